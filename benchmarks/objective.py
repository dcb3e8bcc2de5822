"""One style in several models, by the objective of training.

`python benchmarks/objective.py PAINTING PHOTOS VALIDATION_PHOTOS MODEL...`: content and style terms
on whole validation photos, all under one balance, which is measured on the training photos as
training itself does. Each model paints with its style that has the painting's name.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import impasto
from impasto.data import open_photos
from impasto.evaluation import mean_scores, score_style
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.quality import PHOTO_PX, Picture, resize_longer_side
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.runtime.cores import usable_cores
from impasto.training import make_config
from impasto.training.pictures import to_tensor
from impasto.training.style_task import StyleTask


@torch.no_grad()
def mean_terms(
    task: StyleTask, paint: Callable[[Picture], Picture], photos: list[Picture]
) -> dict[str, float]:
    """Returns the objective and its content and style terms, for the run's first painting."""
    terms = {"content": 0.0, "style": 0.0}
    for photo in photos:
        found = task.terms(to_tensor(paint(photo)), to_tensor(photo), torch.tensor([0]))[0]
        for name in terms:
            terms[name] += found[name].item() / len(photos)
    return {"objective": sum(terms.values()), **terms}


def validation_photos(folder: Path, every: int) -> list[Picture]:
    """Reads every n-th photo, by name, at the size that quality is measured at."""
    paths = sorted(iterate_pictures(folder))[::every]
    return [resize_longer_side(read_image(path).rgb, PHOTO_PX) for path in paths]


def main() -> None:
    """Prints a row for each model, and how much more than the first one's its objective is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path, help="folder, .zip or .tar of training photos")
    parser.add_argument("validation", type=Path, help="a folder of other photos, to judge on")
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--style-scale", type=float, default=3.0)
    parser.add_argument("--every", type=int, default=3, help="judge on every n-th photo, by name")
    arguments = parser.parse_args()

    photos = validation_photos(arguments.validation, arguments.every)
    painting = read_image(arguments.painting).rgb
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(
            arguments.painting,
            from_scratch=True,  # a painting of the gallery cannot be added to it
            photos=arguments.photos,
            output=Path(folder) / "judge",
            style_scale=(arguments.style_scale,),
            device="cpu",
        )
        sources = open_photos(arguments.photos), open_photos(arguments.validation)
        judge = StyleTask(config, *sources, torch.device("cpu"))
    print("| model | objective | than the first | content | style | balanced | correlation |")
    print("|" + " --- |" * 7)
    first = None
    for path in arguments.models:
        model = impasto.load_model(path)
        if len(model.metadata.styles) > 1:
            model = model.with_blend({arguments.painting.stem: 1.0})
        paint = partial(model.paint)
        row = mean_terms(judge, paint, photos)
        first = first or row["objective"]
        more = 100 * (row["objective"] / first - 1)
        scores = mean_scores(
            score_style(paint, painting, photos, loss_network=judge.loss.loss_network)
        )
        print(
            f"| {path.stem} | {row['objective']:.3f} | {more:+.0f} % | {row['content']:.3f} "
            f"| {row['style']:.3f} | {scores.balanced_ratio:.3f} | {scores.correlation:.3f} |",
            flush=True,
        )
    print(describe_machine(usable_cores(), ("torch",)))


if __name__ == "__main__":
    main()
