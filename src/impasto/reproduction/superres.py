"""The paper's tables of super-resolution, x4 and x8."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from impasto.catalog import list_upscalers
from impasto.data import Degradation, degrade
from impasto.errors import ImageError
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
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork
from impasto.reproduction.inputs import Inputs
from impasto.reproduction.measurements import Measurements
from impasto.reproduction.plots import colour, plot
from impasto.reproduction.printed import SUPERRES
from impasto.reproduction.report import Picture, Section, Table
from impasto.reproduction.sizes import Sizes
from impasto.runtime.loading import load_upscaler

DEGRADATIONS: tuple[Degradation, ...] = ("paper", "bicubic")
SCALES = (4, 8)
METHODS = ("bicubic", "lanczos")
# In the plot: each lies close below another method.
NAMED_BELOW = ("lanczos", "sharp")

Means = dict[str, dict[str, float]]
"""Mean scores by method."""


def measure_superres(
    inputs: Inputs, sizes: Sizes, folder: Path, progress: Callable[[str], None]
) -> Section:
    """Scores the shipped networks and plain resampling.

    Args:
        inputs: the test sets.
        sizes: how many pictures, and how large.
        folder: the section's.
        progress: told what is measured.

    Returns:
        The section.
    """
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
                rows += _rows(name, degradation, means)
                found[name, scale, degradation] = means
            rows += [
                [f"{name}, the paper's {method}", f"{psnr:.2f}", f"{ssim:.4f}", "", ""]
                for method, (psnr, ssim) in SUPERRES[scale].get(name, {}).items()
            ]
        header = ["", "PSNR", "SSIM", "relu2_2", "relu3_3"]
        tables.append(Table(f"x{scale}: means over pictures", header, rows))
    _draw(found, folder)
    return Section("superres", "Super-resolution", _text(), tables, [_caption()])


def _text() -> list[str]:
    text = [
        f"PSNR and SSIM of Y, without a border as wide as the scale ({METRICS_SOURCE}); distance "
        "of VGG-16's features from the original's at relu2_2 and relu3_3, where less is better. "
        "Low-resolution pictures are made in two ways: as the paper says (Gaussian blur of sigma "
        "1, then bicubic), with the networks' results matched to their input's histogram, and by "
        "plain bicubic. The paper's printed bicubic rows at x4 are those of the second.",
    ]
    if not list_upscalers():
        text.append("This version ships no super-resolution network: only resampling is scored.")
    return text


def _caption() -> Picture:
    return Picture("superres.png", "Feature distance against PSNR, by degradation and scale")


def _scores(folder: Path, scale: int, degradation: Degradation, sizes: Sizes) -> Means:
    """Scores every method on a test set."""
    methods: dict[str, Upscaler] = {
        name: method for name, method in resampling_methods(scale).items() if name in METHODS
    }
    for item in list_upscalers():
        if item.scale == scale:
            model = load_upscaler(item.path, scale=scale)
            methods[item.name] = partial(
                model.upscale, scale=scale, match_histogram=degradation == "paper"
            )
    network = LossNetwork()
    scores: dict[str, list[SuperresScores]] = {name: [] for name in methods}
    for path in sorted(iterate_pictures(folder))[: sizes.superres_pictures]:
        original = read_original(path, scale, sizes.superres_px)
        low_res = degrade(original, scale, degradation)
        for name, _, score in score_methods(methods, low_res, original, scale, network):
            scores[name].append(score)
    return {name: mean_scores(values).to_dict() for name, values in scores.items()}


def read_original(path: Path, scale: int, longer_side_px: int | None = None) -> NDArray[np.uint8]:
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


def _rows(name: str, degradation: str, means: Means) -> list[list[str]]:
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


def _draw(found: dict[tuple[str, int, Degradation], Means], folder: Path) -> None:
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
