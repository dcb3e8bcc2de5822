"""The paper's tables: of speed, of the objective over iterations, and of super-resolution.

What is printed is from Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution", ECCV 2016.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import numpy as np
import torch
from PIL import Image, ImageOps

from impasto.catalog import list_upscalers
from impasto.catalog.own import weights_of
from impasto.data import Degradation, degrade
from impasto.errors import ImageError
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.pixels import resize_longer_side
from impasto.evaluation.quality import mean_scores
from impasto.evaluation.superres import (
    METRICS_SOURCE,
    SuperresScores,
    Upscaler,
    crop_to_multiple,
    resampling_methods,
    score_methods,
)
from impasto.export import load_weights
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork
from impasto.paper.descent import noise, optimize
from impasto.paper.inputs import Inputs, ObjectiveSize, Rgb, Sizes, StyleModelFile, read_photo
from impasto.paper.objective import prepared_loss_network
from impasto.paper.report import Measurements, Picture, Progress, Section, Table, colour, plot
from impasto.runtime.loading import load_upscaler
from impasto.training.pictures import to_tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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

STARTS: Final = ("noise", "photo")

DEGRADATIONS: tuple[Degradation, ...] = ("paper", "bicubic")
SCALES = (4, 8)
METHODS = ("bicubic", "lanczos")
# In the plot: each lies close below another method.
NAMED_BELOW = ("lanczos", "sharp")

Means = dict[str, dict[str, float]]
"""Mean scores by method."""


# --- speed ----------------------------------------------------------------------------------


def measure_speed(inputs: Inputs, sizes: Sizes, folder: Path, progress: Progress) -> Section:
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
            speed_ups = [
                baseline_s / times[model.name]["runtime"] for baseline_s, times in plotted.values()
            ]
            axes.plot(list(plotted), speed_ups, "o-", color=colour(number), label=model.name)
        printed = {s: PRINTED_SPEED[s]["speed-up"] for s in plotted if s in PRINTED_SPEED}
        axes.plot(list(printed), list(printed.values()), "s--", color="grey", label="paper")
        axes.set(xlabel="side, px", ylabel="times as fast as 500 iterations", yscale="log")
        axes.set_xticks(list(plotted))
        axes.legend()
    text = (
        f"The baseline is L-BFGS, timed for {sizes.speed_iterations} iterations (evaluations "
        "of objective and gradient) and scaled to 100, 300 and 500. Networks are timed in "
        "PyTorch and in ONNX Runtime, the latter from 8-bit picture to 8-bit picture; "
        f"medians. CPU, {torch.get_num_threads()} threads; the paper's figures are from a "
        "Titan X."
    )
    seconds = Table(
        "Seconds per picture, and how many times as fast as 500 iterations",
        ["", *(f"{n} iterations" for n in ITERATIONS), "network", "speed-up"],
        rows,
    )
    caption = "Time of an iteration, in forward and backward passes of the loss network alone"
    tables = [seconds, Table(caption, ["", "passes"], passes)]
    drawn = Picture("speed.png", "Speed-up over 500 iterations of the baseline, in ONNX Runtime")
    return Section("speed", "Speed", [text], tables, [drawn])


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
    objective = inputs.objective(prepared_loss_network(), photo)
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
    network, weights = prepared_loss_network(), inputs.models[0].weights
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
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


# --- objective over iterations --------------------------------------------------------------


class Curves(TypedDict):
    """The objective on one photo.

    Attributes:
        baseline: per iteration, by where the baseline began.
        content: of the photo itself.
        networks: of each network's result.
    """

    baseline: dict[str, list[float]]
    content: float
    networks: dict[str, float]


def measure_objective(inputs: Inputs, sizes: Sizes, folder: Path, progress: Progress) -> Section:
    """Runs the baseline beside the networks, all under the first model's objective."""
    kept = Measurements(folder, inputs.painted_from())
    names = [model.name for model in inputs.models]
    rows = []
    with plot(folder / "objective", len(sizes.objective)) as axes:
        for panel, size in zip(axes, sizes.objective, strict=True):
            found: list[Curves] = []
            for path in spread(inputs.photos, size.photos):
                progress(f"objective: {path.name} at {size.longer_side_px} px")
                key = f"{path.name} {size.longer_side_px} px, {size.iterations} iterations"
                found.append(kept.get(key, partial(_curves, inputs, path, size)))
            _plot_objective(panel, found, names, size)
            rows += [_objective_row(name, found, size) for name in names]
    text = (
        f"Content, style and total variation with the weights that {names[0]} was trained "
        "with. An iteration is one evaluation of objective and gradient, those of the line "
        "search included, so that each costs the same. The baseline begins with noise, as the "
        "paper's does, and with the photo. The paper: 50 to 100 iterations at 256, 512 and "
        "1024 px, on 50 photos."
    )
    table = Table(
        "The iteration at which the baseline reaches the network's objective: median (lowest to "
        "highest)",
        ["", "photos", "from noise", "from the photo", "objective, of the photo's"],
        rows,
    )
    drawn = Picture(
        "objective.png",
        "Mean objective over iterations, the band from the lowest to the highest photo",
    )
    return Section("objective", "Objective", [text], [table], [drawn])


def spread(photos: Sequence[Path], count: int) -> list[Path]:
    """Takes up to ``count`` photos, evenly spread."""
    numbers = np.linspace(0, len(photos) - 1, min(count, len(photos))).round().astype(int)
    return [photos[number] for number in dict.fromkeys(numbers.tolist())]


def crossing(curve: Sequence[float], level: float) -> int | None:
    """Returns the first iteration, from 1, at which a curve is as low as a level; else None."""
    return next((n for n, value in enumerate(curve, start=1) if value <= level), None)


def _curves(inputs: Inputs, path: Path, size: ObjectiveSize) -> Curves:
    rgb = read_photo(path, size.longer_side_px)
    photo = to_tensor(rgb)
    objective = inputs.objective(prepared_loss_network(), rgb)
    baseline = {}
    for name, start in zip(STARTS, (noise(*rgb.shape[:2]), photo), strict=True):
        curve = optimize(objective, start, iterations=size.iterations).curve
        baseline[name] = [evaluation.values.total for evaluation in curve]
    networks = {
        model.name: objective.values(to_tensor(model.load().paint(rgb))).total
        for model in inputs.models
    }
    content = objective.values(photo).total
    return {"baseline": baseline, "content": content, "networks": networks}


def _plot_objective(axes: Axes, found: list[Curves], names: list[str], size: ObjectiveSize) -> None:
    """Draws one size's curves, with lines for the photo and the networks."""
    iterations = np.arange(1, size.iterations + 1)
    for number, start in enumerate(STARTS):
        curves = np.minimum.accumulate(np.array([f["baseline"][start] for f in found]), axis=1)
        label = f"baseline, from {start}"
        axes.plot(iterations, curves.mean(axis=0), color=colour(number), label=label)
        if len(found) > 1:
            band = curves.min(axis=0), curves.max(axis=0)
            axes.fill_between(iterations, *band, color=colour(number), alpha=0.15)
    for number, name in enumerate(names, start=len(STARTS)):
        level = float(np.mean([f["networks"][name] for f in found]))
        axes.axhline(level, color=colour(number), linestyle="--", label=name)
    level = float(np.mean([f["content"] for f in found]))
    axes.axhline(level, color="grey", label="the photo")
    title = f"{size.longer_side_px} px, {len(found)} photo{'s' * (len(found) != 1)}"
    axes.set(xlabel="iterations", ylabel="objective", yscale="log", title=title)
    axes.legend(fontsize=7)


def _objective_row(name: str, found: list[Curves], size: ObjectiveSize) -> list[str]:
    cells = [f"{name}, {size.longer_side_px} px", str(len(found))]
    for start in STARTS:
        numbers = [crossing(f["baseline"][start], f["networks"][name]) for f in found]
        cells.append(median_and_range(numbers, size.iterations))
    shares = [f["networks"][name] / f["content"] for f in found]
    return [*cells, f"{np.mean(shares):.3f}"]


def median_and_range(numbers: Sequence[int | None], iterations: int) -> str:
    """Says the median iteration, and the range where they differ.

    Args:
        numbers: iterations at which a level was reached; None where it was not.
        iterations: how many there were: what was not reached is above them.
    """
    reached = sorted(iterations + 1 if number is None else number for number in numbers)
    middle = reached[(len(reached) - 1) // 2], reached[len(reached) // 2]
    median = sum(min(number, iterations) for number in middle) / 2
    text = f"{'>' if middle[1] > iterations else ''}{median:g}"
    if reached[0] == reached[-1]:
        return text
    ends = (f">{iterations}" if n > iterations else str(n) for n in (reached[0], reached[-1]))
    return f"{text} ({' to '.join(ends)})"


# --- super-resolution -----------------------------------------------------------------------


def measure_superres(inputs: Inputs, sizes: Sizes, folder: Path, progress: Progress) -> Section:
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
                rows += [
                    [
                        f"{name}, {degradation}: {method}",
                        f"{score['psnr']:.2f}",
                        f"{score['ssim']:.4f}",
                        f"{score['feature_relu2_2']:,.0f}",
                        f"{score['feature_relu3_3']:,.0f}",
                    ]
                    for method, score in means.items()
                ]
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
    drawn = Picture("superres.png", "Feature distance against PSNR, by degradation and scale")
    return Section("superres", "Super-resolution", text, tables, [drawn])


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


def _plot_superres(found: dict[tuple[str, int, Degradation], Means], folder: Path) -> None:
    """Draws each method's place between fidelity and likeness."""
    panels = [(scale, degradation) for scale in SCALES for degradation in DEGRADATIONS]
    with plot(folder / "superres", len(panels)) as axes:
        for panel, (scale, degradation) in zip(axes, panels, strict=True):
            names = [key[0] for key in found if key[1:] == (scale, degradation)]
            for number, name in enumerate(names):
                means = found[name, scale, degradation]
                x = [score["psnr"] for score in means.values()]
                y = [score["feature_relu3_3"] for score in means.values()]
                panel.scatter(x, y, color=colour(number), label=name)
                for method, place in zip(means, zip(x, y, strict=True), strict=True):
                    offset = (3, -9 if method in NAMED_BELOW else 3)
                    panel.annotate(method, place, offset, textcoords="offset points", fontsize=7)
            title = f"x{scale}, {degradation}"
            panel.set(xlabel="PSNR, dB", ylabel="feature distance", title=title)
            panel.legend(fontsize=7)
