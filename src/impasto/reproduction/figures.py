"""The paper's figures: inversions, style results beside the baseline, enlarged details."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from impasto.catalog import list_upscalers
from impasto.data import degrade
from impasto.evaluation.superres import resampling_methods
from impasto.images.contact_sheet import Cell, contact_sheet
from impasto.images.folders import iterate_pictures
from impasto.images.writing import write_image
from impasto.losses import LossNetwork
from impasto.losses.layers import STYLE_LAYERS
from impasto.optimization import (
    Objective,
    feature_objective,
    gram_objective,
    noise,
    optimize,
    prepared_loss_network,
    trained_objective,
)
from impasto.optimization.balance import TV_SCALE, tv_reference
from impasto.reproduction.inputs import Inputs, read_photo
from impasto.reproduction.measurements import Measurements
from impasto.reproduction.objective import spread
from impasto.reproduction.report import Picture, Section
from impasto.reproduction.sizes import Sizes
from impasto.reproduction.superres import read_original
from impasto.runtime.loading import load_upscaler
from impasto.training.pictures import to_pictures, to_tensor

STYLE_PHOTOS = 2
DETAIL_PX = 128

Rgb = NDArray[np.uint8]


def draw_figures(
    inputs: Inputs, sizes: Sizes, folder: Path, progress: Callable[[str], None]
) -> Section:
    """Draws every figure that is not there yet, or was drawn at other sizes.

    Args:
        inputs: photos, painting, models and test sets.
        sizes: how large the pictures are and how many iterations each gets.
        folder: the section's.
        progress: told what is drawn.

    Returns:
        The section.
    """
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
    for layer in (name for name in network.layers if name in (*STYLE_LAYERS, "relu5_3")):
        objective = feature_objective(network, to_tensor(photo), layer)
        height, width = photo.shape[:2]
        cells.append(Cell(_optimized(objective, height, width, sizes), layer))
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
    methods = {"bicubic": resampling_methods(scale)["bicubic"]}
    for item in list_upscalers():
        if item.scale == scale:
            model = load_upscaler(item.path, scale=scale)
            methods[item.name] = partial(model.upscale, scale=scale)
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
