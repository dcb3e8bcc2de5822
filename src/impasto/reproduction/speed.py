"""The paper's table of speed: the baseline, and the networks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from impasto.catalog.own import weights_of
from impasto.evaluation.machine import describe_machine
from impasto.export import load_weights
from impasto.images.reading import read_image
from impasto.networks import DraftRefineNetwork
from impasto.optimization import (
    noise,
    optimize,
    prepared_loss_network,
    trained_objective,
)
from impasto.reproduction.inputs import Inputs, StyleModelFile
from impasto.reproduction.measurements import Measurements
from impasto.reproduction.plots import colour, plot
from impasto.reproduction.printed import SPEED
from impasto.reproduction.report import Picture, Section, Table
from impasto.reproduction.sizes import Sizes
from impasto.training.pictures import to_tensor

ITERATIONS = (100, 300, 500)
WARM_UPS = 2
ROUNDS = 5


def measure_speed(
    inputs: Inputs, sizes: Sizes, folder: Path, progress: Callable[[str], None]
) -> Section:
    """Times the baseline and the networks.

    Args:
        inputs: the first photo is used, as a square.
        sizes: which sizes, and how many iterations are timed.
        folder: the section's.
        progress: told what is measured.

    Returns:
        The section.
    """
    machine = describe_machine(torch.get_num_threads(), ("torch", "onnxruntime"))
    kept = Measurements(folder, inputs.painted_from() | {"machine": machine})
    rows, passes, plotted = [], [], {}
    for side in sizes.speed_px:
        photo = square(inputs.photos[0], side)
        progress(f"speed: the baseline at {side} px")
        name = f"baseline {side}, {sizes.speed_iterations} iterations"
        step_s = kept.get(name, partial(_iteration_s, inputs, photo, sizes))
        alone_s = kept.get(f"loss network {side}", partial(_loss_network_s, inputs, photo))
        times = {}
        for model in inputs.models:
            progress(f"speed: {model.name} at {side} px")
            times[model.name] = kept.get(f"{model.name} {side}", partial(_network_s, model, photo))
        rows += _rows(side, step_s, times)
        passes.append([f"{side} px", f"{step_s / alone_s:.2f}"])
        plotted[side] = (ITERATIONS[-1] * step_s, times)
    with plot(folder / "speed") as (axes,):
        for number, model in enumerate(inputs.models):
            speed_ups = [plotted[s][0] / plotted[s][1][model.name]["runtime"] for s in plotted]
            axes.plot(list(plotted), speed_ups, "o-", color=colour(number), label=model.name)
        printed = [SPEED[s]["speed-up"] for s in plotted if s in SPEED]
        axes.plot([s for s in plotted if s in SPEED], printed, "s--", color="grey", label="paper")
        axes.set(xlabel="side, px", ylabel="times as fast as 500 iterations", yscale="log")
        axes.set_xticks(list(plotted))
        axes.legend()
    return Section(
        "speed",
        "Speed",
        [
            f"The baseline is L-BFGS, timed for {sizes.speed_iterations} iterations (evaluations "
            "of objective and gradient) and scaled to 100, 300 and 500. Networks are timed in "
            "PyTorch and in ONNX Runtime, the latter from 8-bit picture to 8-bit picture; "
            f"medians. CPU, {torch.get_num_threads()} threads; the paper's figures are from a "
            "Titan X.",
        ],
        [
            Table(
                "Seconds per picture, and how many times as fast as 500 iterations",
                ["", *(f"{n} iterations" for n in ITERATIONS), "network", "speed-up"],
                rows,
            ),
            Table(
                "Time of an iteration, in forward and backward passes of the loss network alone",
                ["", "passes"],
                passes,
            ),
        ],
        [Picture("speed.png", "Speed-up over 500 iterations of the baseline, in ONNX Runtime")],
    )


def _rows(side: int, step_s: float, times: dict[str, dict[str, float]]) -> list[list[str]]:
    baseline = [f"{n * step_s:.1f}" for n in ITERATIONS]
    rows = [
        [
            f"{side} px, {name} in {where}",
            *baseline,
            f"{s:.3f}",
            f"{ITERATIONS[-1] * step_s / s:,.0f}",
        ]
        for name, by_runtime in times.items()
        for where, s in (("PyTorch", by_runtime["torch"]), ("ONNX Runtime", by_runtime["runtime"]))
    ]
    if side in SPEED:
        printed = SPEED[side]
        rows.append(
            [
                f"{side} px, the paper",
                *(f"{printed[n]:g}" for n in ITERATIONS),
                f"{printed['network']:g}",
                f"{printed['speed-up']:,}",
            ]
        )
    return rows


def square(path: Path, side_px: int) -> NDArray[np.uint8]:
    """Reads a photo's middle square at a size: ``(side, side, 3)`` uint8."""
    from PIL import Image, ImageOps

    image = Image.fromarray(read_image(path).rgb)
    return np.asarray(ImageOps.fit(image, (side_px, side_px), Image.Resampling.LANCZOS))


def _iteration_s(inputs: Inputs, photo: NDArray[np.uint8], sizes: Sizes) -> float:
    """Times iterations of the baseline on a photo; returns the median in seconds."""
    network = prepared_loss_network()
    weights = inputs.models[0].weights
    objective = trained_objective(network, to_tensor(photo), [inputs.grams(network)], weights)
    clock = [time.perf_counter()]
    optimize(
        objective,
        noise(*photo.shape[:2]),
        iterations=WARM_UPS + sizes.speed_iterations,
        on_iteration=lambda _: clock.append(time.perf_counter()),
    )
    steps = np.diff(clock)[WARM_UPS:]
    return float(np.median(steps))


def _loss_network_s(inputs: Inputs, photo: NDArray[np.uint8]) -> float:
    """Times one forward and backward pass of the loss network; the median in seconds."""
    network = prepared_loss_network()
    weights = inputs.models[0].weights
    layers = [weights.content_layer, *weights.style]
    image = to_tensor(photo).requires_grad_()

    def passes() -> None:
        features = network(image, layers)
        torch.autograd.grad([features[layer].sum() for layer in layers], image)

    return _median_s(passes)


def _network_s(model: StyleModelFile, photo: NDArray[np.uint8]) -> dict[str, float]:
    """Times a network in PyTorch and in ONNX Runtime; medians in seconds."""
    network = load_weights(weights_of(model.path))
    images = to_tensor(photo)
    if isinstance(network, DraftRefineNetwork):  # timed by its draft network on the whole photo
        style_weights = torch.zeros(network.spec.parameter_sets)
        style_weights[0] = 1.0
        inputs: tuple[torch.Tensor, ...] = (images, style_weights)
    else:
        inputs = (images,)

    def in_torch() -> None:
        with torch.inference_mode():
            network(*inputs)

    painter = model.load(torch.get_num_threads())
    return {
        "torch": _median_s(in_torch),
        "runtime": _median_s(lambda: painter.paint(photo)),
    }


def _median_s(run: Callable[[], object]) -> float:
    times = []
    for number in range(1 + ROUNDS):
        start = time.perf_counter()
        run()
        if number:
            times.append(time.perf_counter() - start)
    return statistics.median(times)
