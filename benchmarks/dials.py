"""What strength, stroke size and the picture's size do to each style.

`python benchmarks/dials.py MODEL PAINTINGS PHOTOS [--large LARGE_PHOTOS]` prints a curve of
strengths and one of stroke sizes, by the measures of `impasto evaluate style`. With large photos it
paints these at several sizes too, and looks at the detail of their results at 100 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import impasto
from impasto.evaluation import PreparedPhoto, StyleMeasures, measure_style
from impasto.evaluation.features import see_painting
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.pixels import gaussian_blur, resize_longer_side
from impasto.images.colour import luma
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork, gram_matrix
from impasto.runtime.cores import usable_cores
from impasto.training.pictures import to_tensor

STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
STROKE_SIZES = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)
SIZES_PX = (512, 1024, 2048, 4096)
MEASURES = ("painted", "kept", "repainted", "follow", "lattice_2", "lattice_4", "grid", "halo")
DETAIL_LAYERS = ("relu1_2", "relu2_2")
CROP_PX = 512
HIGH_PASS_SIGMA_PX = 2.0
Picture = NDArray[np.uint8]


def main() -> None:
    """Prints the tables, a style at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a style's name or a model file")
    parser.add_argument("paintings", type=Path, help="a folder with each style's painting")
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--every", type=int, default=3, help="every n-th photo, by name")
    parser.add_argument("--large", type=Path, help="a folder of photos of 1000 px or more")
    parser.add_argument("--styles", help="names with commas; all that have a painting if omitted")
    arguments = parser.parse_args()

    model, network = impasto.load_model(arguments.model), LossNetwork()
    paintings = {path.stem: path for path in iterate_pictures(arguments.paintings)}
    wanted = arguments.styles.split(",") if arguments.styles else None
    styles = [style.name for style in model.metadata.styles if style.name in paintings]
    photos = _read(arguments.photos)[:: arguments.every]
    large = _read(arguments.large) if arguments.large else []
    prepared = [PreparedPhoto.of(photo, network) for photo in photos]
    machine = describe_machine(usable_cores(), ("onnxruntime", "torch"))
    print(f"{len(photos)} photos, {len(large)} large ones; {machine}\n")
    print("| style | dial | " + " | ".join(MEASURES) + " |")
    print("|" + " --- |" * (2 + len(MEASURES)))
    details: list[str] = []
    for name in styles:
        if wanted and name not in wanted:
            continue
        painting = read_image(paintings[name]).rgb
        style, target = model.with_blend({name: 1.0}), see_painting(network, painting)
        for dial, strength, size in _settings():
            results = [style.paint(p, strength=strength, stroke_size=size) for p in photos]
            _row(name, dial, measure_style(prepared, results, target, loss_network=network))
        for size_px in SIZES_PX if large else ():
            sized = [resize_longer_side(p, size_px) for p in large if max(p.shape) >= size_px]
            if not sized:  # an enlarged photo has no detail to compare with
                continue
            results = [style.paint(photo) for photo in sized]
            _row(name, f"{size_px} px", measure_style(sized, results, target, loss_network=network))
            if size_px > SIZES_PX[0]:
                values = [
                    _detail(photo, result, painting, network)
                    for photo, result in zip(sized, results, strict=True)
                ]
                means = np.mean(values, axis=0)
                cells = " | ".join(f"{value:.3f}" for value in means)
                details.append(f"| {name} | {size_px} px | {cells} |")
    if details:
        heads = (*(f"{layer} at 1:1" for layer in DETAIL_LAYERS), "gradient energy", "high-pass")
        print("\n| style | size | " + " | ".join(heads) + " |")
        print("|" + " --- |" * (2 + len(heads)))
        print("\n".join(details))


def _settings() -> Iterator[tuple[str, float, float]]:
    """Yields each dial's name, strength and stroke size."""
    for strength in STRENGTHS:
        yield f"strength {strength:g}", strength, 1.0
    for size in STROKE_SIZES:
        yield f"strokes {size:g}", 1.0, size


def _read(folder: Path) -> list[Picture]:
    return [read_image(path).rgb for path in sorted(iterate_pictures(folder))]


def _row(name: str, dial: str, measures: StyleMeasures) -> None:
    values: Mapping[str, Any] = measures.to_dict()
    cells = ("" if values[m] is None else f"{values[m]:.3f}" for m in MEASURES)
    print(f"| {name} | {dial} | " + " | ".join(cells) + " |", flush=True)


def _detail(
    photo: Picture, result: Picture, painting: Picture, network: LossNetwork
) -> tuple[float, ...]:
    """Looks at the middle of a result at 100 %.

    Returns:
        The Gram distance to the painting at its own size as a share of the photo's, by
        `DETAIL_LAYERS`; the energy of gradients as a share of the photo's; the correlation of
        the high-passes of photo and result.
    """
    parts = [_middle(rgb) for rgb in (photo, result, painting)]
    grams = [network(to_tensor(part), DETAIL_LAYERS) for part in parts]
    ratios = []
    for layer in DETAIL_LAYERS:
        before, after, target = (gram_matrix(gram[layer]) for gram in grams)
        ratio = (after - target).square().sum() / (before - target).square().sum()
        ratios.append(ratio.item())
    before_grey, after_grey = (luma(part.astype(np.float32))[..., 0] for part in parts[:2])
    energies = [
        sum(np.square(np.diff(grey, axis=axis)).mean() for axis in (0, 1))
        for grey in (before_grey, after_grey)
    ]
    fine = [grey - gaussian_blur(grey, HIGH_PASS_SIGMA_PX) for grey in (before_grey, after_grey)]
    correlation = float(np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1])
    return (*ratios, float(energies[1] / energies[0]), correlation)


def _middle(rgb: Picture) -> Picture:
    top, left = (max(0, (side - CROP_PX) // 2) for side in rgb.shape[:2])
    return rgb[top : top + CROP_PX, left : left + CROP_PX]


if __name__ == "__main__":
    main()
