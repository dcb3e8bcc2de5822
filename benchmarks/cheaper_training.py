"""What makes training cheaper: `python benchmarks/cheaper_training.py PAINTING PHOTOS VALIDATION`.

Trains a style in several ways for the same time and judges every model under VGG-16. The
objective is content and style terms on whole validation photos, balanced as the plain run
balances them; all ways train on that balance. `--minutes` is turned into steps by the steps'
times, which are measured first and kept, so that every schedule ends in time. Results gather in
a JSON file: an interrupted study goes on where it stopped, and other `--arms` and `--minutes`
add rows. A way that is as good as `plain` in half of its minutes halves the time.

- `plain`: crops of 256 px, Adam 1e-3, constant, no averaging.
- `growing`: crops of 128, 192 and 256 px. A run has one size of the style image, which cannot
  grow with the crops. So photos are scaled to 1.75 to 2.25 crops, at most to their own size:
  photos of 288 px keep about that size, and small crops are windows of pictures that are as
  large as the style image expects. All ways do the same.
- `growing-2e-3`: the same with Adam 2e-3; `growing-decay`: with 1e-3, cosine decay and weight
  averaging; `growing-wsd`: with `--learning-rate`, decay over the last fifth and averaging.
- `rate-2e-3`, `rate-4e-3`: Adam 2e-3 or 4e-3, cosine decay, weight averaging; 256 px.
- `both`: growing crops, and cosine decay from `--learning-rate` with weight averaging.
- `compact-first`: the same with the network of `compact_loss_network.py` for the first
  `--compact-share` of the steps and VGG-16 for the rest; `compact`: with it alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from compact_loss_network import load_compact
from objective import mean_terms, validation_photos

import impasto
from impasto.data import open_photos
from impasto.evaluation import mean_scores, score_style
from impasto.evaluation.machine import describe_machine
from impasto.images.reading import read_image
from impasto.images.writing import atomic_path
from impasto.losses.balancing import References
from impasto.runtime.cores import usable_cores
from impasto.training import StepReport, TrainingConfig, make_config, train
from impasto.training.checkpoints import has_checkpoint, load_checkpoint
from impasto.training.finish import model_path
from impasto.training.schedule import bfloat16_is_faster
from impasto.training.style_task import StyleTask

TIMED_STEPS = 5
STOPPED = "stopped; the same command goes on from here"
FREE = ("arms", "minutes", "output", "compact", "threads")
"""Options that may differ between the commands of one study."""


@dataclass(frozen=True)
class Arm:
    """A way to train: settings, and the share of the steps that the compact network judges."""

    settings: dict[str, Any]
    compact_share: float = 0.0


def all_arms(arguments: argparse.Namespace) -> dict[str, Arm]:
    """Returns the ways to train by name; the docstring of this file explains them."""
    plain = {
        "crop_px": (arguments.crop_px[-1],),
        "learning_rate": 1e-3,
        "schedule": "constant",
        "averaging": 0.0,
    }
    growing = {
        "crop_px": tuple(arguments.crop_px),
        "crop_shares": tuple(arguments.crop_shares),
    }

    def decaying(learning_rate: float) -> dict[str, Any]:
        return {"learning_rate": learning_rate, "schedule": "cosine", "averaging": 0.995}

    both = plain | growing | decaying(arguments.learning_rate)
    return {
        "plain": Arm(plain),
        "growing": Arm(plain | growing),
        "growing-2e-3": Arm(plain | growing | {"learning_rate": 2e-3}),
        "growing-decay": Arm(plain | growing | decaying(1e-3)),
        "growing-wsd": Arm(both | {"schedule": "wsd"}),
        "rate-2e-3": Arm(plain | decaying(2e-3)),
        "rate-4e-3": Arm(plain | decaying(4e-3)),
        "both": Arm(both),
        "compact-first": Arm(both, arguments.compact_share),
        "compact": Arm(both, 1.0),
    }


@contextlib.contextmanager
def trained_under(references: References, compact: Path | None) -> Iterator[None]:
    """Gives `StyleTask` the study's balance and, where one is named, a compact loss network."""
    with contextlib.ExitStack() as stack:
        task = "impasto.training.style_task"
        stack.enter_context(patch(f"{task}.measure_references", return_value=references))
        if compact:
            network = load_compact(compact)
            stack.enter_context(patch(f"{task}.LossNetwork", return_value=network))
        yield


class Study:
    """What all ways have in common, kept in the results file.

    Args:
        arguments: the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.file = arguments.output / "results.json"
        self.kept: dict[str, Any] = {"options": {}, "step_s": {}, "rows": {}}
        if self.file.exists():
            self.kept = json.loads(self.file.read_text(encoding="utf-8"))
        options = {k: str(v) for k, v in vars(arguments).items() if k not in FREE}
        if self.kept["options"] not in ({}, options):
            raise SystemExit(f"{self.file} has other options: {self.kept['options']}")
        self.kept["options"] = options
        torch.set_num_threads(arguments.threads)
        if "precision" not in self.kept:
            faster = bfloat16_is_faster(torch.device("cpu"))
            self.kept["precision"] = "bf16-mixed" if faster else "32-true"
        self.arms = all_arms(arguments)
        photos, validation = open_photos(arguments.photos), open_photos(arguments.validation)
        config = self.config(self.arms["plain"], arguments.output / "judge")
        self.judge = StyleTask(config, photos, validation, torch.device("cpu"), saved=self.kept)
        self.kept |= self.judge.saved()
        self.photos = validation_photos(arguments.validation, arguments.every)
        self.save()

    def save(self) -> None:
        """Writes the results file."""
        with atomic_path(self.file) as temporary:
            temporary.write_text(json.dumps(self.kept, indent=2) + "\n", encoding="utf-8")

    def config(self, arm: Arm, folder: Path, **settings: Any) -> TrainingConfig:
        """Returns the settings of a run."""
        arguments = self.arguments
        return make_config(
            arguments.painting,
            photos=arguments.photos,
            output=folder,
            network=arguments.network,
            style_scale=(arguments.style_scale,),
            min_zoom=1.75,
            max_zoom=2.25,
            device="cpu",
            threads=arguments.threads,
            precision=self.kept["precision"],
            preview_every_s=100_000.0,
            seed=arguments.seed,
            **(arm.settings | settings),
        )

    def references(self) -> References:
        """Returns the balance that the plain run trains on."""
        return References.from_dict(self.kept["references"])

    def step_s(self, crop_px: int, compact: Path | None) -> float:
        """Returns the time of a step, measured once for the whole study."""
        key = f"{compact.name if compact else 'VGG-16'}, {crop_px} px"
        if key not in self.kept["step_s"]:
            self.kept["step_s"][key] = self._measure(crop_px, compact)
            self.save()
            print(f"{key}: {self.kept['step_s'][key]:.2f} s a step", flush=True)
        step_s: float = self.kept["step_s"][key]
        return step_s

    def _measure(self, crop_px: int, compact: Path | None) -> float:
        times: list[float] = []

        def on_step(_: StepReport) -> None:
            times.append(time.perf_counter())
            if len(times) > TIMED_STEPS + 1:  # the first step makes a preview too
                raise _MeasuredError

        with (
            tempfile.TemporaryDirectory() as folder,
            trained_under(self.references(), compact),
            contextlib.suppress(_MeasuredError),
        ):
            run = Path(folder) / "run"
            settings = {"crop_px": (crop_px,), "crop_shares": None, "steps": 1000}
            train(self.config(self.arms["plain"], run, **settings), on_step=on_step)
        if len(times) <= TIMED_STEPS + 1:
            raise SystemExit(STOPPED)
        return statistics.median(b - a for a, b in pairwise(times[1:]))

    def mean_step_s(self, arm: Arm) -> float:
        """Returns the mean time of a step over the crop sizes and loss networks of a run."""
        crops = arm.settings["crop_px"]
        shares = arm.settings.get("crop_shares", (1.0,))
        mean = start = 0.0
        for crop_px, share in zip(crops, shares, strict=True):
            compact = min(max(arm.compact_share - start, 0.0), share)
            start += share
            if compact > 0:
                mean += compact * self.step_s(crop_px, self.arguments.compact)
            if share - compact > 1e-9:
                mean += (share - compact) * self.step_s(crop_px, None)
        return mean

    def run(self, name: str) -> dict[str, Any]:
        """Trains in one way, or goes on with it, and scores the model."""
        arm, minutes = self.arms[name], self.arguments.minutes
        folder = self.arguments.output / f"{name}-{minutes:g}min"
        if has_checkpoint(folder):
            steps = load_checkpoint(folder)[1]["schedule_steps"]
        else:
            steps = max(1, round(60 * minutes / self.mean_step_s(arm)))
        config = self.config(arm, folder, steps=steps)
        change = round(arm.compact_share * steps)
        for compact, end in ((self.arguments.compact, change), (None, steps)):
            if steps_done(config) < end:
                with trained_under(self.references(), compact):
                    train_until(config, end)
        values = load_checkpoint(folder)[1]
        images = values["step"] * values["images_per_step"]
        return {
            "minutes": minutes,
            "elapsed_s": values["elapsed_s"],
            "images": images,
            "images_per_s": images / values["elapsed_s"],
            **self.scores(model_path(config)),
        }

    def scores(self, model: Path) -> dict[str, Any]:
        """Scores a model under VGG-16."""
        paint = partial(impasto.load_model(model).paint, stroke_size="native")
        painting = read_image(self.arguments.painting).rgb
        scores = mean_scores(score_style(paint, painting, self.photos))
        return {**mean_terms(self.judge, paint, self.photos), "scores": scores.to_dict()}


class _MeasuredError(Exception):
    """Ends a run that has shown what was asked for."""


def steps_done(config: TrainingConfig) -> int:
    """Returns how far a run has come."""
    folder = config.run_folder
    return int(load_checkpoint(folder)[1]["step"]) if has_checkpoint(folder) else 0


def train_until(config: TrainingConfig, end: int) -> None:
    """Trains up to a step that may lie before the schedule's end.

    Loss network and style targets are made when a run begins or goes on: so the run is
    interrupted there as by Ctrl-C, after the step that follows, and goes on under another.
    """
    ended = False

    def on_step(report: StepReport) -> None:
        nonlocal ended
        if not ended and end - 1 <= report.step < report.total_steps - 1:
            ended = True
            signal.raise_signal(signal.SIGINT)

    train(config, resume=has_checkpoint(config.run_folder), on_step=on_step)
    if steps_done(config) < end:
        raise SystemExit(STOPPED)


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    """Prints the results as Markdown."""
    print("\n| arm | minutes | objective | content | style | balanced | correlation ", end="")
    print("| images | images/s |\n|" + " --- |" * 9)
    for name, row in rows.items():
        scores = row["scores"]
        print(
            f"| {name.split(',')[0]} | {row['elapsed_s'] / 60:.1f} of {row['minutes']:g} "
            f"| {row['objective']:.3f} | {row['content']:.3f} | {row['style']:.3f} "
            f"| {scores['balanced_ratio']:.3f} | {scores['correlation']:.3f} "
            f"| {row['images']:,} | {row['images_per_s']:.2f} |"
        )


def main() -> None:
    """Trains what is not there yet, and prints a row for every run of the study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path, help="folder, .zip or .tar to train on")
    parser.add_argument("validation", type=Path, help="a folder of other photos, to judge on")
    parser.add_argument("--arms", nargs="+", help="all, those with compact only given --compact")
    parser.add_argument("--minutes", type=float, default=20.0, help="training time of each")
    parser.add_argument("--output", type=Path, default=Path("runs/cheaper_training"))
    parser.add_argument("--network", default="fast", help="fast or shipped")
    parser.add_argument("--compact", type=Path, help="weights of compact_loss_network.py")
    parser.add_argument("--compact-share", type=float, default=0.8)
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="of both and compact")
    parser.add_argument("--crop-px", type=int, nargs="+", default=[128, 192, 256])
    parser.add_argument("--crop-shares", type=float, nargs="+", default=[0.5, 0.3, 0.2])
    parser.add_argument("--style-scale", type=float, default=3.0)
    parser.add_argument("--every", type=int, default=3, help="judge on every n-th photo, by name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    arms = all_arms(arguments)
    possible = [name for name, arm in arms.items() if arguments.compact or not arm.compact_share]
    chosen = arguments.arms or possible
    if wrong := [name for name in chosen if name not in possible]:
        parser.error(f"{', '.join(wrong)}: not among {', '.join(arms)}, or --compact is missing")
    study = Study(arguments)
    for name in chosen:
        study.mean_step_s(study.arms[name])  # all before the first run, as like as they can be
    for name in chosen:
        key = f"{name}, {arguments.minutes:g} min"
        if key not in study.kept["rows"]:
            study.kept["rows"][key] = study.run(name)
            study.save()
            print(key, study.kept["rows"][key], flush=True)
    print_table(study.kept["rows"])
    print(describe_machine(arguments.threads, ("torch", "lightning-fabric")))


if __name__ == "__main__":
    main()
