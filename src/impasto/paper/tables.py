"""The paper's tables: of speed, and of super-resolution x4 and x8.

What is printed is from Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution", ECCV 2016.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageOps

from impasto.catalog import list_upscalers
from impasto.catalog.own import weights_of
from impasto.data import Degradation, degrade
from impasto.errors import ImageError
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.quality import resize_longer_side
from impasto.evaluation.superres import (
    METRICS_SOURCE,
    SuperresScores,
    Upscaler,
    crop_to_multiple,
    mean_scores,
    resampling_methods,
    score_methods,
)
from impasto.export import load_weights
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork
from impasto.paper.descent import noise, optimize
from impasto.paper.inputs import Inputs, Rgb, Sizes, StyleModelFile
from impasto.paper.objective import prepared_loss_network, trained_objective
from impasto.paper.report import Measurements, Picture, Section, Table, colour, plot
from impasto.runtime.loading import load_upscaler
from impasto.training.pictures import to_tensor

PRINTED_SPEED: Final = {
    256: {100: 3.17, 300: 9.52, 500: 15.86, "network": 0.015, "speed-up": 1060},
    512: {100: 10.97, 300: 32.91, 500: 54.85, "network": 0.05, "speed-up": 1026},
    1024: {100: 42.89, 300: 128.66, 500: 214.44, "network": 0.21, "speed-up": 1042},
}
"""Table 1, seconds on a Titan X: the baseline by iterations, the network, and their ratio at 500
iterations, by longer side in pixels."""

PRINTED_METHODS: Final[dict[int, tuple[str, ...]]] = {
    4: ("bicubic", "l_pixel", "SRCNN", "l_feat"),
    8: ("bicubic", "l_pixel", "l_feat"),
}
PRINTED_SUPERRES: Final[dict[int, dict[str, tuple[tuple[float, float], ...]]]] = {
    4: {
        "Set5": ((28.43, 0.8114), (28.40, 0.8205), (30.48, 0.8628), (27.09, 0.7680)),
        "Set14": ((25.99, 0.7301), (25.75, 0.6994), (27.49, 0.7503), (24.99, 0.6731)),
        "BSD100": ((25.96, 0.682), (25.91, 0.6680), (26.90, 0.7101), (24.95, 0.6317)),
    },
    8: {
        "Set5": ((23.80, 0.6455), (24.77, 0.6864), (23.26, 0.7058)),
        "Set14": ((22.37, 0.5518), (23.02, 0.5787), (21.64, 0.5837)),
        "BSD100": ((22.11, 0.5322), (22.54, 0.5526), (21.35, 0.5474)),
    },
}
"""PSNR in dB and SSIM of the super-resolution tables by scale and test set, of each method."""

ITERATIONS = (100, 300, 500)
WARM_UPS = 2
ROUNDS = 5

DEGRADATIONS: tuple[Degradation, ...] = ("paper", "bicubic")
SCALES = (4, 8)
METHODS = ("bicubic", "lanczos")
# In the plot: each lies close below another method.
NAMED_BELOW = ("lanczos", "sharp")

Means = dict[str, dict[str, float]]
"""Mean scores by method."""


def measure_speed(
    inputs: Inputs, sizes: Sizes, folder: Path, progress: Callable[[str], None]
) -> Section:
    """Times the baseline and the networks."""
    machine = describe_machine(torch.get_num_threads(), ("torch", "onnxruntime"))
    kept = Measurements(folder, inputs.painted_from() | {"machine": machine})
    rows, passes, plotted = [], [], {}
    for side in sizes.speed_px:
        image = Image.fromarray(read_image(inputs.photos[0]).rgb)
        photo = np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS))
        progress(f"speed: the baseline at {side} px")
        name = f"baseline {side}, {sizes.speed_iterations} iterations"
        step_s = kept.get(name, partial(_iteration_s, inputs, photo, sizes))
        alone_s = kept.get(f"loss network {side}", partial(_loss_network_s, inputs, photo))
        times = {}
        for model in inputs.models:
            progress(f"speed: {model.name} at {side} px")
            times[model.name] = kept.get(f"{model.name} {side}", partial(_network_s, model, photo))
        rows += _speed_rows(side, step_s, times)
        passes.append([f"{side} px", f"{step_s / alone_s:.2f}"])
        plotted[side] = (ITERATIONS[-1] * step_s, times)
    with plot(folder / "speed") as (axes,):
        for number, model in enumerate(inputs.models):
            speed_ups = [plotted[s][0] / plotted[s][1][model.name]["runtime"] for s in plotted]
            axes.plot(list(plotted), speed_ups, "o-", color=colour(number), label=model.name)
        printed = [PRINTED_SPEED[s]["speed-up"] for s in plotted if s in PRINTED_SPEED]
        axes.plot(
            [s for s in plotted if s in PRINTED_SPEED], printed, "s--", color="grey", label="paper"
        )
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


def _speed_rows(side: int, step_s: float, times: dict[str, dict[str, float]]) -> list[list[str]]:
    rows = [
        [
            f"{side} px, {name} in {where}",
            *(f"{n * step_s:.1f}" for n in ITERATIONS),
            f"{by_runtime[key]:.3f}",
            f"{ITERATIONS[-1] * step_s / by_runtime[key]:,.0f}",
        ]
        for name, by_runtime in times.items()
        for key, where in (("torch", "PyTorch"), ("runtime", "ONNX Runtime"))
    ]
    if side in PRINTED_SPEED:
        *seconds, speed_up = PRINTED_SPEED[side].values()
        rows.append([f"{side} px, the paper", *(f"{s:g}" for s in seconds), f"{speed_up:,}"])
    return rows


def _iteration_s(inputs: Inputs, photo: Rgb, sizes: Sizes) -> float:
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
    return float(np.median(np.diff(clock)[WARM_UPS:]))


def _loss_network_s(inputs: Inputs, photo: Rgb) -> float:
    """Times one forward and backward pass of the loss network; the median in seconds."""
    network = prepared_loss_network()
    weights = inputs.models[0].weights
    layers = [weights.content_layer, *weights.style]
    image = to_tensor(photo).requires_grad_()

    def passes() -> None:
        features = network(image, layers)
        torch.autograd.grad([features[layer].sum() for layer in layers], image)

    return _median_s(passes)


def _network_s(model: StyleModelFile, photo: Rgb) -> dict[str, float]:
    """Times a network in PyTorch and in ONNX Runtime; medians in seconds."""
    network = load_weights(weights_of(model.path))
    inputs = [to_tensor(photo)]
    if network.spec.holds_many:  # one that refines is timed by its draft of the whole photo
        inputs.append(torch.eye(network.spec.parameter_sets)[0])
    with torch.inference_mode():
        torch_s = _median_s(lambda: network(*inputs))
    painter = model.load(torch.get_num_threads())
    return {"torch": torch_s, "runtime": _median_s(lambda: painter.paint(photo))}


def _median_s(run: Callable[[], object]) -> float:
    times = []
    for number in range(1 + ROUNDS):
        start = time.perf_counter()
        run()
        if number:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_superres(
    inputs: Inputs, sizes: Sizes, folder: Path, progress: Callable[[str], None]
) -> Section:
    """Scores the shipped networks and plain resampling."""
    kept = Measurements(folder, inputs.enlarged_from())
    count, side = sizes.superres_pictures or "all", sizes.superres_px or "full"
    tables, found = [], {}
    for scale in SCALES:
        rows = []
        for name, test_set in inputs.test_sets.items():
            for degradation in DEGRADATIONS:
                progress(f"superres: {name} x{scale}, {degradation}")
                means = kept.get(
                    f"{name} x{scale} {degradation}, {count} pictures, {side} px",
                    partial(_scores, test_set, scale, degradation, sizes),
                )
                rows += _superres_rows(name, degradation, means)
                found[name, scale, degradation] = means
            printed = PRINTED_SUPERRES[scale].get(name, ())
            rows += [
                [f"{name}, the paper's {method}", f"{psnr:.2f}", f"{ssim:.4f}", "", ""]
                for method, (psnr, ssim) in zip(PRINTED_METHODS[scale], printed, strict=False)
            ]
        header = ["", "PSNR", "SSIM", "relu2_2", "relu3_3"]
        tables.append(Table(f"x{scale}: means over pictures", header, rows))
    _plot_superres(found, folder)
    text = [
        f"PSNR and SSIM of Y, without a border as wide as the scale ({METRICS_SOURCE}); distance "
        "of VGG-16's features from the original's at relu2_2 and relu3_3, where less is better. "
        "Low-resolution pictures are made in two ways: as the paper says (Gaussian blur of sigma "
        "1, then bicubic), with the networks' results matched to their input's histogram, and by "
        "plain bicubic. The paper's printed bicubic rows at x4 are those of the second.",
    ]
    if not list_upscalers():
        text.append("This version ships no super-resolution network: only resampling is scored.")
    picture = Picture("superres.png", "Feature distance against PSNR, by degradation and scale")
    return Section("superres", "Super-resolution", text, tables, [picture])


def shipped_upscalers(scale: int, *, match_histogram: bool = False) -> dict[str, Upscaler]:
    """Loads the shipped networks of a scale, by name."""
    return {
        item.name: partial(
            load_upscaler(item.path, scale=scale).upscale,
            scale=scale,
            match_histogram=match_histogram,
        )
        for item in list_upscalers()
        if item.scale == scale
    }


def _scores(folder: Path, scale: int, degradation: Degradation, sizes: Sizes) -> Means:
    """Scores every method on a test set."""
    methods = {name: resampling_methods(scale)[name] for name in METHODS}
    methods |= shipped_upscalers(scale, match_histogram=degradation == "paper")
    network = LossNetwork()
    scores: dict[str, list[SuperresScores]] = {name: [] for name in methods}
    for path in sorted(iterate_pictures(folder))[: sizes.superres_pictures]:
        original = read_original(path, scale, sizes.superres_px)
        low_res = degrade(original, scale, degradation)
        for name, _, score in score_methods(methods, low_res, original, scale, network):
            scores[name].append(score)
    return {name: mean_scores(values).to_dict() for name, values in scores.items()}


def read_original(path: Path, scale: int, longer_side_px: int | None = None) -> Rgb:
    """Reads a test picture, cropped so that the scale divides its sides; none is enlarged.

    Raises:
        ImageError: it cannot be read, or is too small to be scored.
    """
    rgb = read_image(path).rgb
    if longer_side_px is not None and longer_side_px < max(rgb.shape[:2]):
        rgb = resize_longer_side(rgb, longer_side_px)
    try:
        return crop_to_multiple(rgb, scale)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _superres_rows(name: str, degradation: str, means: Means) -> list[list[str]]:
    return [
        [
            f"{name}, {degradation}: {method}",
            f"{score['psnr']:.2f}",
            f"{score['ssim']:.4f}",
            f"{score['feature_relu2_2']:,.0f}",
            f"{score['feature_relu3_3']:,.0f}",
        ]
        for method, score in means.items()
    ]


def _plot_superres(found: dict[tuple[str, int, Degradation], Means], folder: Path) -> None:
    """Draws each method's place between fidelity and likeness."""
    panels = [(scale, degradation) for scale in SCALES for degradation in DEGRADATIONS]
    with plot(folder / "superres", len(panels)) as axes:
        for panel, (scale, degradation) in zip(axes, panels, strict=True):
            for number, (name, means) in enumerate(
                (key[0], means) for key, means in found.items() if key[1:] == (scale, degradation)
            ):
                x = [score["psnr"] for score in means.values()]
                y = [score["feature_relu3_3"] for score in means.values()]
                panel.scatter(x, y, color=colour(number), label=name)
                for method, psnr, distance in zip(means, x, y, strict=True):
                    offset = (3, -9 if method in NAMED_BELOW else 3)
                    panel.annotate(
                        method, (psnr, distance), offset, textcoords="offset points", fontsize=7
                    )
            panel.set(
                xlabel="PSNR, dB", ylabel="feature distance", title=f"x{scale}, {degradation}"
            )
            panel.legend(fontsize=7)
