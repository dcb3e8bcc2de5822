"""Scores a model on photos: `python benchmarks/quality.py MODEL PAINTING PHOTOS`."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from functools import partial
from pathlib import Path

import impasto
from impasto.evaluation import StyleScores, mean_scores, score_style
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image


def main() -> None:
    """Prints the mean scores and the worst lattice as a table row or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a shipped style's name or a model file")
    parser.add_argument("painting", type=Path, help="the painting it was trained on")
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--every", type=int, default=1, help="score every n-th photo, by name")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    model = impasto.load_model(arguments.model)
    paint = partial(model.paint, stroke_size="native")
    paths = sorted(iterate_pictures(arguments.photos))[:: arguments.every]
    photos = [read_image(path).rgb for path in paths]
    scores = score_style(paint, read_image(arguments.painting).rgb, photos)
    means = mean_scores(scores)
    worst = {name: max(getattr(s, name) for s in scores) for name in ("lattice_2", "lattice_4")}
    if arguments.json:
        print(json.dumps({"photos": len(paths), "mean": means.to_dict(), "worst": worst}))
        return
    names = [item.name for item in fields(StyleScores)]
    print(f"{arguments.model}: means over {len(paths)} photos")
    print("| " + " | ".join([*names, "worst lattice_2", "worst lattice_4"]) + " |")
    print("|" + " --- |" * (len(names) + 2))
    values = [*means.to_dict().values(), *worst.values()]
    print(
        "| "
        + " | ".join(f"{value:.3f}" if value < 1000 else f"{value:,.0f}" for value in values)
        + " |"
    )


if __name__ == "__main__":
    main()
