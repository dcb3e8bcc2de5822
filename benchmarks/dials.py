"""Measures strength and stroke size: `python benchmarks/dials.py MODEL PAINTINGS PHOTOS`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from quality import input_parser, paintings_of
from torch import Tensor, from_numpy, no_grad

import impasto
from impasto.evaluation import StyleScores, mean_scores, score_style
from impasto.evaluation.quality import PAINTING_PX, PHOTO_PX, Picture, resize_longer_side
from impasto.images.colour import luma
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork, gram_matrix, load_style_targets
from impasto.losses.layers import STYLE_LAYERS
from impasto.runtime.stylizer import StyleModel

LARGE_PX = (4000, 3000)
TILES = (4, 4)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
DARK = 0.2
LEVELS = np.float32(255)
SIZES_PX = (2048, 2560, 3072, 4000)
Row = list[str | float]


def main() -> None:
    """Prints a table for the stroke size, one for large pictures and one for the strength."""
    parser = input_parser(__doc__)
    parser.add_argument("--styles", help="names with commas; all that have a painting if omitted")
    parser.add_argument("--count", type=int, default=4, help="photos to score, by name")
    parser.add_argument("--large", type=Path, help="a 12-megapixel photo; a mosaic if omitted")
    arguments = parser.parse_args()

    model = impasto.load_model(arguments.model)
    paths = sorted(iterate_pictures(arguments.photos))
    photos = [read_image(path).rgb for path in paths[: arguments.count]]
    large = read_image(arguments.large).rgb if arguments.large else mosaic(paths)
    network = LossNetwork()
    wanted = arguments.styles.split(",") if arguments.styles else None
    found = targets_of(model, arguments.paintings, wanted, network)
    models = {name: model.with_blend({name: 1.0}) for name in found}
    print_stroke_sizes(models, found, photos, network)
    print_large(models, large)
    print_strengths(models, found, photos, network)


def mosaic(paths: list[Path]) -> Picture:
    """Fills 12 megapixels with photos, which stay sharper than a single one enlarged."""
    columns, rows = TILES
    width, height = LARGE_PX[0] // columns, LARGE_PX[1] // rows
    canvas = Image.new("RGB", LARGE_PX)
    for number in range(columns * rows):
        tile = Image.fromarray(read_image(paths[number % len(paths)]).rgb)
        row, column = divmod(number, columns)
        fitted = ImageOps.fit(tile, (width, height), Image.Resampling.LANCZOS)
        canvas.paste(fitted, (column * width, row * height))
    return np.asarray(canvas)


def targets_of(
    model: StyleModel, path: Path, wanted: list[str] | None, network: LossNetwork
) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Returns the Gram matrices of each style's painting at the two sizes it is trained at."""
    sizes = (PAINTING_PX, 2 * PAINTING_PX)
    if path.suffix == ".safetensors":
        stored = load_style_targets(path)
        names = [style.name for style in model.metadata.styles if style.name in stored]
        return {
            name: (stored[name].at(sizes[0]), stored[name].at(sizes[1]))
            for name in names
            if wanted is None or name in wanted
        }
    return {
        name: (grams(network, painting, sizes[0]), grams(network, painting, sizes[1]))
        for name, painting in paintings_of(model, path).items()
        if wanted is None or name in wanted
    }


@no_grad()
def grams(network: LossNetwork, painting: Picture, longer_side_px: int) -> dict[str, Tensor]:
    """Returns the Gram matrices of a painting at a size."""
    pixels = resize_longer_side(painting, longer_side_px).astype(np.float32) / LEVELS
    features = network(from_numpy(pixels.transpose(2, 0, 1)[None]), set(STYLE_LAYERS))
    return {layer: gram_matrix(features[layer]) for layer in STYLE_LAYERS}


def gradient_energy(rgb: Picture) -> float:
    """Returns the mean squared step of luma from pixel to pixel."""
    grey = luma(rgb.astype(np.float32) / LEVELS)
    return float(sum(np.square(np.diff(grey, axis=axis)).mean() for axis in (0, 1)))


def print_stroke_sizes(
    models: dict[str, StyleModel],
    targets: dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]],
    photos: list[Picture],
    network: LossNetwork,
) -> None:
    """Prints what twice the stroke size does to style and sharpness."""
    title = f"Twice the stroke size, {len(photos)} photos at {PHOTO_PX} px"
    columns = ("style ratio at 1", "at 2", "quotient", "gradient energy at 2 / at 1")
    rows: list[Row] = []
    small = [resize_longer_side(photo, PHOTO_PX) for photo in photos]
    for name, model in models.items():
        ratios, energies = [], []
        for size, target in zip((1.0, 2.0), targets[name], strict=True):
            paint = painter(model, size)
            scores = mean_scores(score_style(paint, target, small, loss_network=network))
            ratios.append(scores.style_ratio)
            energies.append(statistics.mean(gradient_energy(paint(photo)) for photo in small))
        rows.append([name, *ratios, ratios[1] / ratios[0], energies[1] / energies[0]])
    print_table(title, columns, rows)


def painter(
    model: StyleModel, stroke_size: float, strength: float = 1.0
) -> Callable[[Picture], Picture]:
    """Returns a function of a picture alone."""
    return lambda rgb: model.paint(rgb, stroke_size=stroke_size, strength=strength)


def print_large(models: dict[str, StyleModel], large: Picture) -> None:
    """Prints how far large results, shrunk, are from the one at 1024 px, and how sharp."""
    title = (
        "Results at larger sizes shrunk to 1024 px against the result at 1024 px: mean absolute "
        f"difference of 255; gradient energy at {SIZES_PX[-1]} px"
    )
    columns = (*(f"{size} px" for size in SIZES_PX), "energy / enlarged result", "/ photo")
    reference = resize_longer_side(large, 1024)
    rows: list[Row] = []
    for name, model in models.items():
        wanted = model.paint(reference)
        differences = []
        for size in SIZES_PX:
            photo = resize_longer_side(large, size)
            result = model.paint(photo)
            shrunk = resize_longer_side(result, 1024)
            differences.append(float(np.abs(shrunk.astype(np.float32) - wanted).mean()))
        energy = gradient_energy(result)
        enlarged = gradient_energy(resize_longer_side(wanted, SIZES_PX[-1]))
        rows.append([name, *differences, energy / enlarged, energy / gradient_energy(photo)])
    print_table(title, columns, rows)


def print_strengths(
    models: dict[str, StyleModel],
    targets: dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]],
    photos: list[Picture],
    network: LossNetwork,
) -> None:
    """Prints correlation and style ratio from the photo to the painting."""
    title = f"Strength: correlation and style ratio, and the same at {DARK:g} of the brightness"
    columns = [f"{kind}{s:g}" for kind in ("", "dark ") for s in STRENGTHS]
    dark = [np.rint(photo * DARK).astype(np.uint8) for photo in photos]
    rows: list[Row] = []
    for name, model in models.items():

        def cell(some: list[Picture], strength: float, name: str, model: StyleModel) -> StyleScores:
            paint = painter(model, 1.0, strength)
            return mean_scores(score_style(paint, targets[name][0], some, loss_network=network))

        cells = [cell(some, s, name, model) for some in (photos, dark) for s in STRENGTHS]
        rows.append([name, *(f"{c.correlation:.3f} {c.style_ratio:.3f}" for c in cells)])
    print_table(title, columns, rows)


def print_table(title: str, columns: Iterable[str], rows: list[Row]) -> None:
    """Prints Markdown."""
    print(f"{title}\n")
    print("| style | " + " | ".join(columns) + " |")
    print("|" + " --- |" * len(rows[0]))
    for row in rows:
        cells = (cell if isinstance(cell, str) else f"{cell:.3f}" for cell in row)
        print("| " + " | ".join(cells) + " |", flush=True)
    print()


if __name__ == "__main__":
    main()
