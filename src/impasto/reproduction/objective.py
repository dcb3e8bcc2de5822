"""The paper's figure 5: the objective against the iterations of the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from impasto.optimization import (
    noise,
    optimize,
    prepared_loss_network,
    trained_objective,
)
from impasto.reproduction.inputs import Inputs, read_photo
from impasto.reproduction.measurements import Measurements
from impasto.reproduction.plots import colour, plot
from impasto.reproduction.printed import ITERATIONS
from impasto.reproduction.report import Picture, Section, Table
from impasto.reproduction.sizes import ObjectiveSize, Sizes
from impasto.training.pictures import to_tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STARTS: Final = ("noise", "photo")


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
    """Runs the baseline beside the networks, all under the first model's objective.

    Args:
        inputs: photos, spread evenly over those there are.
        sizes: how many photos and iterations at which size.
        folder: the section's.
        progress: told what is measured.

    Returns:
        The section.
    """
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
            _draw(panel, found, names, size)
            rows += [_row(name, found, size) for name in names]
    return Section(
        "objective",
        "Objective",
        [
            f"Content, style and total variation with the weights that {names[0]} was trained "
            "with. An iteration is one evaluation of objective and gradient, those of the line "
            "search included, so that each costs the same. The baseline begins with noise, as the "
            f"paper's does, and with the photo. The paper: {ITERATIONS} iterations at 256, 512 "
            "and 1024 px, on 50 photos.",
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

    def values(start: NDArray[np.uint8] | None) -> list[float]:
        image = noise(*rgb.shape[:2]) if start is None else to_tensor(start)
        result = optimize(objective, image, iterations=size.iterations)
        return [evaluation.values.total for evaluation in result.curve]

    painted = {model.name: model.load().paint(rgb) for model in inputs.models}
    return {
        "baseline": {"noise": values(None), "photo": values(rgb)},
        "content": objective.values(photo).total,
        "networks": {
            name: objective.values(to_tensor(result)).total for name, result in painted.items()
        },
    }


def _draw(axes: Axes, found: list[Curves], names: list[str], size: ObjectiveSize) -> None:
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


def _row(name: str, found: list[Curves], size: ObjectiveSize) -> list[str]:
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
