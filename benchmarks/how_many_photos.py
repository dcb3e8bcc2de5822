"""How many photos a style needs: `python benchmarks/how_many_photos.py PAINTING PHOTOS VALIDATION`.

Trains on 9, on 100 and on all photos for equally many steps, and scores each model on photos
that none has seen. A finished run is found again in its folder and not repeated.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import impasto
from impasto.data import PhotoSource, open_photos
from impasto.evaluation import StyleScores, mean_scores, score_style
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.quality import PHOTO_PX, resize_longer_side
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.training import TrainingConfig, make_config, train
from impasto.training.finish import model_path
from impasto.training.pictures import to_tensor
from impasto.training.style_task import StyleTask

COUNTS = (9, 100)


def main() -> None:
    """Prints a table: a row per number of photos, the untouched photos first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of photos to train on")
    parser.add_argument("validation", type=Path, help="a folder of other photos, to score on")
    parser.add_argument("--every", type=int, default=3, help="score every n-th photo, by name")
    parser.add_argument("--runs", type=Path, default=Path("runs/how_many_photos"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--crop-px", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    everything = sorted(iterate_pictures(arguments.photos))
    settings = {name: getattr(arguments, name) for name in ("steps", "crop_px", "threads")}
    configs = {}
    for count in (*COUNTS, len(everything)):
        photos = arguments.runs / f"{count}_photos"
        spread(everything, count, photos)
        configs[count] = make_config(
            arguments.painting,
            from_scratch=True,
            photos=photos,
            output=arguments.runs / f"run_{count}",
            **settings,
        )
    for config in configs.values():
        if not model_path(config).exists():
            train(config)

    all_photos = open_photos(photos)  # those of the last run
    judge = Judge(configs[len(everything)], all_photos, arguments.validation, arguments.every)
    print("| photos | objective | content term | style term | correlation | balanced ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(judge.row("untouched", None))
    for count, config in configs.items():
        print(judge.row(f"{count:,}", model_path(config)))
    print(describe_machine(arguments.threads, ("torch", "onnxruntime")))


def spread(paths: list[Path], count: int, folder: Path) -> None:
    """Copies `count` photos, evenly spread over all, into a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = paths[number * len(paths) // count]
        shutil.copy(path, folder / f"{number}{path.suffix}")


class Judge:
    """Measures every model by one objective: the loss balanced on all training photos.

    Args:
        config: settings of the run on all photos.
        photos: all of them.
        validation: a folder of photos.
        every: use every n-th of them, by name.
    """

    def __init__(
        self, config: TrainingConfig, photos: PhotoSource, validation: Path, every: int
    ) -> None:
        self.task = StyleTask(config, photos, open_photos(validation), torch.device("cpu"))
        paths = sorted(iterate_pictures(validation))[::every]
        self.photos = [resize_longer_side(read_image(path).rgb, PHOTO_PX) for path in paths]
        self.painting = read_image(config.paintings[0]).rgb

    @torch.no_grad()
    def row(self, name: str, model: Path | None) -> str:
        """Returns a table row for a model file; None stands for doing nothing to the photos."""
        painter = impasto.load_model(model) if model else None

        def paint(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return painter.paint(photo) if painter else photo

        sums = dict.fromkeys(("total", "content", "style"), 0.0)
        for photo in self.photos:
            terms = self.task.terms(to_tensor(paint(photo)), to_tensor(photo), torch.tensor([0]))[0]
            for term in sums:
                sums[term] += terms[term].item() / len(self.photos)
        scores: StyleScores = mean_scores(score_style(paint, self.painting, self.photos))
        return (
            f"| {name} | {sums['total']:.3f} | {sums['content']:.3f} | {sums['style']:.3f} "
            f"| {scores.correlation:.3f} | {scores.balanced_ratio:.3f} |"
        )


if __name__ == "__main__":
    main()
