"""The paper's figures: objective over iterations, inversions, style results, enlarged details."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import numpy as np
from PIL import Image, ImageOps

from impasto.data import degrade
from impasto.evaluation.superres import resampling_methods
from impasto.images.contact_sheet import Cell, contact_sheet
from impasto.images.folders import iterate_pictures
from impasto.images.writing import write_image
from impasto.losses import LossNetwork
from impasto.losses.layers import STYLE_LAYERS
from impasto.paper.descent import noise, optimize
from impasto.paper.inputs import Inputs, ObjectiveSize, Rgb, Sizes, read_photo
from impasto.paper.objective import (
    TV_SCALE,
    Objective,
    feature_objective,
    gram_objective,
    prepared_loss_network,
    trained_objective,
    tv_reference,
)
from impasto.paper.report import Measurements, Picture, Section, Table, colour, plot
from impasto.paper.tables import read_original, shipped_upscalers
from impasto.training.pictures import to_pictures, to_tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STARTS: Final = ("noise", "photo")

STYLE_PHOTOS = 2
DETAIL_PX = 128


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


def measure_objective(
    inputs: Inputs, sizes: Sizes, folder: Path, progress: Callable[[str], None]
) -> Section:
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
    return Section(
        "objective",
        "Objective",
        [
            f"Content, style and total variation with the weights that {names[0]} was trained "
            "with. An iteration is one evaluation of objective and gradient, those of the line "
            "search included, so that each costs the same. The baseline begins with noise, as the "
            "paper's does, and with the photo. The paper: 50 to 100 iterations at 256, 512 and "
            "1024 px, on 50 photos.",
        ],
        [
            Table(
                "The iteration at which the baseline reaches the network's objective: median "
                "(lowest to highest)",
                ["", "photos", "from noise", "from the photo", "objective, of the photo's"],
                rows,
            )
        ],
        [
            Picture(
                "objective.png",
                "Mean objective over iterations, the band from the lowest to the highest photo",
            )
        ],
    )


def spread(photos: Sequence[Path], count: int) -> list[Path]:
    """Takes as many as are wanted and there, evenly spread."""
    numbers = np.linspace(0, len(photos) - 1, min(count, len(photos))).round().astype(int)
    return [photos[number] for number in dict.fromkeys(numbers.tolist())]


def crossing(curve: Sequence[float], level: float) -> int | None:
    """Returns the first iteration, from 1, at which a curve is as low as a level; else None."""
    return next((n for n, value in enumerate(curve, start=1) if value <= level), None)


def _curves(inputs: Inputs, path: Path, size: ObjectiveSize) -> Curves:
    rgb = read_photo(path, size.longer_side_px)
    network, weights = prepared_loss_network(), inputs.models[0].weights
    photo = to_tensor(rgb)
    objective = trained_objective(network, photo, [inputs.grams(network)], weights)

    baseline = {}
    for name, start in zip(STARTS, (noise(*rgb.shape[:2]), photo), strict=True):
        curve = optimize(objective, start, iterations=size.iterations).curve
        baseline[name] = [evaluation.values.total for evaluation in curve]
    painted = {model.name: to_tensor(model.load().paint(rgb)) for model in inputs.models}
    networks = {name: objective.values(result).total for name, result in painted.items()}
    return {
        "baseline": baseline,
        "content": objective.values(photo).total,
        "networks": networks,
    }


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
    axes.set(
        xlabel="iterations",
        ylabel="objective",
        yscale="log",
        title=f"{size.longer_side_px} px, {len(found)} photo{'s' * (len(found) != 1)}",
    )
    axes.legend(fontsize=7)


def _objective_row(name: str, found: list[Curves], size: ObjectiveSize) -> list[str]:
    cells = [f"{name}, {size.longer_side_px} px", str(len(found))]
    for start in STARTS:
        numbers = [crossing(f["baseline"][start], f["networks"][name]) for f in found]
        cells.append(median_and_range(numbers, size.iterations))
    shares = [f["networks"][name] / f["content"] for f in found]
    return [*cells, f"{np.mean(shares):.3f}"]


def median_and_range(numbers: Sequence[int | None], iterations: int) -> str:
    """Says the median iteration, and from which to which they go where they differ.

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


def draw_figures(
    inputs: Inputs, sizes: Sizes, folder: Path, progress: Callable[[str], None]
) -> Section:
    """Draws every figure that is not there yet, or was drawn at other sizes."""
    kept = Measurements(folder, inputs.painted_from() | inputs.enlarged_from())
    drawn_at = {"px": sizes.figure_px, "iterations": sizes.figure_iterations}
    network = prepared_loss_network()
    figures: dict[str, tuple[str, Callable[[], Sequence[Cell]]]] = {
        "features.jpg": (
            "Feature reconstruction: what each layer holds of a photo (the paper's figure 3)",
            lambda: _features(inputs, sizes, network),
        ),
        "style.jpg": (
            "Style reconstruction: what the Gram matrices of each layer, and of all of them, hold "
            "of the painting (figure 4)",
            lambda: _style(inputs, sizes, network),
        ),
        "results.jpg": (
            f"The baseline after {sizes.figure_iterations} iterations beside the networks "
            "(figure 6)",
            lambda: _results(inputs, sizes, network),
        ),
        "superres_x4.jpg": ("Details enlarged by 4 (figure 8)", lambda: _details(inputs, 4)),
        "superres_x8.jpg": ("Details enlarged by 8 (figure 9)", lambda: _details(inputs, 8)),
    }
    for name, (_, cells) in figures.items():
        if not (kept.holds(name, drawn_at) and (folder / name).exists()):
            progress(f"figures: {name}")
            write_image(folder / name, contact_sheet(cells()))
            kept.keep(name, drawn_at)
    return Section(
        "figures",
        "Figures",
        ["Inversions begin with noise and are found by L-BFGS."],
        [],
        [Picture(name, caption) for name, (caption, _) in figures.items()],
    )


def _optimized(objective: Objective, height: int, width: int, sizes: Sizes) -> Rgb:
    result = optimize(objective, noise(height, width), iterations=sizes.figure_iterations)
    picture: Rgb = to_pictures(result.image)[0]
    return picture


def _features(inputs: Inputs, sizes: Sizes, network: LossNetwork) -> list[Cell]:
    photo = read_photo(inputs.photos[0], sizes.figure_px)
    cells = [Cell(photo, "the photo")]
    for layer in STYLE_LAYERS:
        objective = feature_objective(network, to_tensor(photo), layer)
        cells.append(Cell(_optimized(objective, photo.shape[0], photo.shape[1], sizes), layer))
    return cells


def _style(inputs: Inputs, sizes: Sizes, network: LossNetwork) -> list[Cell]:
    grams = inputs.grams(network)
    side = sizes.figure_px
    cells = []
    painting = inputs.painting.photo
    # Style targets have no variation of their own: a photo's is of the same order.
    like = painting.rgb if painting else read_photo(inputs.photos[0], side)
    fitted = np.asarray(ImageOps.fit(Image.fromarray(like), (side, side)))
    tv_weight = TV_SCALE / tv_reference(to_tensor(fitted))
    if painting:
        cells.append(Cell(fitted, "the painting"))
    for layers in (*((layer,) for layer in grams), tuple(grams)):
        chosen = {layer: grams[layer] for layer in layers}
        objective = gram_objective(network, chosen, tv_weight=tv_weight)
        name = layers[0] if len(layers) == 1 else "all layers"
        cells.append(Cell(_optimized(objective, side, side, sizes), name))
    return cells


def _results(inputs: Inputs, sizes: Sizes, network: LossNetwork) -> list[Cell]:
    weights = inputs.models[0].weights
    grams = inputs.grams(network)
    cells = []
    for path in spread(inputs.photos, STYLE_PHOTOS):
        photo = read_photo(path, sizes.figure_px)
        side = min(photo.shape[:2])
        photo = np.ascontiguousarray(photo[:side, :side])
        objective = trained_objective(network, to_tensor(photo), [grams], weights)
        cells.append(Cell(photo, path.stem))
        cells.append(Cell(_optimized(objective, side, side, sizes), "the baseline"))
        for model in inputs.models:
            painted = model.load().paint(photo)
            cells.append(Cell(painted, model.name))
    shape = min(cell.rgb.shape[:2] for cell in cells)
    return [Cell(c.rgb[: shape[0], : shape[1]], c.name) for c in cells]


def _details(inputs: Inputs, scale: int) -> list[Cell]:
    """Cuts the middle of one picture per test set, in every method's version."""
    methods = {"bicubic": resampling_methods(scale)["bicubic"], **shipped_upscalers(scale)}
    cells = []
    for name, folder in inputs.test_sets.items():
        path = min(iterate_pictures(folder))
        original = read_original(path, scale)
        original = original[: 8 * DETAIL_PX, : 8 * DETAIL_PX]
        low_res = degrade(original, scale, "bicubic")
        for method, upscale in methods.items():
            cells.append(Cell(_middle(upscale(low_res)), method, f"{name}, {path.stem}"))
        cells.append(Cell(_middle(original), "original", f"{name}, {path.stem}"))
    return cells


def _middle(rgb: Rgb) -> Rgb:
    """Cuts the detail from the middle; what a smaller picture lacks is black."""
    height, width = rgb.shape[:2]
    left, top = (width - DETAIL_PX) // 2, (height - DETAIL_PX) // 2
    return np.asarray(Image.fromarray(rgb).crop((left, top, left + DETAIL_PX, top + DETAIL_PX)))
