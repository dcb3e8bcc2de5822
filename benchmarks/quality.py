"""Scores a model on photos: `python benchmarks/quality.py MODEL PAINTINGS PHOTOS`."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import impasto
from impasto.evaluation import mean_scores, score_style, warp_error
from impasto.evaluation.quality import PAINTING_PX, Picture
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork, load_style_targets
from impasto.runtime.stylizer import StyleModel

PEER = "MicroAST"
# balanced ratio, correlation, style ratio, content, lattice 4 on every third of 45 COCO photos
PEER_SCORES = {
    "composition_1913": (0.394, 0.458, 0.316, 291_000, 8.626),
    "composition_vii": (0.252, 0.525, 0.223, 223_857, 2.527),
    "contrast_of_forms": (0.377, 0.531, 0.329, 205_576, 2.749),
    "delaunay_portrait": (0.391, 0.544, 0.354, 192_488, 3.087),
    "great_wave": (0.379, 0.553, 0.355, 142_537, 3.420),
    "red_chalk": (0.350, 0.604, 0.231, 107_264, 2.250),
    "roman_mosaic": (0.397, 0.485, 0.333, 182_712, 7.257),
    "shipwreck": (0.257, 0.612, 0.237, 101_807, 2.545),
    "starry_night": (0.305, 0.497, 0.230, 230_492, 6.864),
    "the_scream": (0.335, 0.618, 0.293, 109_271, 1.573),
    "udnie": (0.383, 0.601, 0.350, 117_382, 1.197),
    "water_lilies": (0.324, 0.571, 0.317, 132_387, 3.024),
    "woman_with_a_hat": (0.318, 0.603, 0.304, 139_302, 2.383),
}
COLUMNS = ("balanced_ratio", "correlation", "style_ratio", "content", "lattice_2", "lattice_4")


def main() -> None:
    """Prints mean scores and worst lattices as a table, or as JSON for `impasto export`."""
    parser = input_parser(__doc__)
    parser.add_argument("--every", type=int, default=1, help="score every n-th photo, by name")
    parser.add_argument("--warp", action="store_true", help="measure steadiness too")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    model = impasto.load_model(arguments.model)
    paths = sorted(iterate_pictures(arguments.photos))[:: arguments.every]
    photos = [read_image(path).rgb for path in paths]
    network = LossNetwork()
    rows: dict[str, dict[str, float]] = {}
    for name, painting in paintings_of(model, arguments.paintings).items():
        styled = model.with_blend({name: 1.0})
        paint = partial(styled.paint)
        scores = score_style(paint, painting, photos, loss_network=network)
        rows[name] = mean_scores(scores).to_dict()
        rows[name]["worst_lattice_4"] = max(score.lattice_4 for score in scores)
        if arguments.warp:
            rows[name]["warp_error"] = warp_error(paint, photos)
    if arguments.json:
        print(json.dumps({"photos": len(paths), "styles": rows}))
    else:
        print_table(rows, len(paths))


def input_parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser of a model, its paintings and photos to judge it on."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", help="a style's name or a model file")
    parser.add_argument(
        "paintings",
        type=Path,
        help="the painting, or a folder or file of style targets with one per style",
    )
    parser.add_argument("photos", type=Path, help="a folder of photos")
    return parser


def paintings_of(model: StyleModel, path: Path) -> dict[str, Any]:
    """Finds the painting of each style of the model, or its Gram matrices."""
    if path.is_file() and path.suffix != ".safetensors":
        return {model.name: read_image(path).rgb}
    names = [style.name for style in model.metadata.styles]
    found: dict[str, Picture | dict[str, Any]] = {}
    if path.is_file():
        found |= {name: target.at(PAINTING_PX) for name, target in load_style_targets(path).items()}
    else:
        found |= {file.stem: read_image(file).rgb for file in iterate_pictures(path)}
    return {name: found[name] for name in names if name in found}


def print_table(rows: dict[str, dict[str, float]], photos: int) -> None:
    """Prints Markdown; where the peer was measured on the same photos, its row comes after."""
    columns = list(dict.fromkeys((*COLUMNS, *(name for row in rows.values() for name in row))))
    print(f"Means over {photos} photos\n")
    print("| style | " + " | ".join(name.replace("_", " ") for name in columns) + " |")
    print("|" + " --- |" * (len(columns) + 1))
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(shown(row[column]) for column in columns) + " |")
        if photos == 15 and name in PEER_SCORES:
            *first, lattice_4 = PEER_SCORES[name]
            cells = [*map(shown, first), "", shown(lattice_4), *[""] * (len(columns) - 6)]
            print(f"| {PEER} | " + " | ".join(cells) + " |")


def shown(value: float) -> str:
    """Three digits for ratios, whole numbers for large ones."""
    return f"{value:.3f}" if value < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
