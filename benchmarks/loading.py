"""Does loading hold training back: `python benchmarks/loading.py PAINTING PHOTOS`.

Blocks of training steps on photos that are loaded alternate with blocks on one batch held in
memory; each row gives medians over the pairs of blocks, "lost" that of the pairs' ratios.
Run it on a machine that does nothing else: what other programs take counts as lost or gained.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from impasto.data import open_photos
from impasto.training import make_config
from impasto.training.setup import Run, make_task, set_up, silent
from impasto.training.trainer import _batches, _step

ALLOWED_LOSS = 0.05
ENDLESS = 10**6


def main() -> None:
    """Prints a table of steps per second for every source and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--steps", type=int, default=20, help="steps of a block")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of blocks")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--crop-px", type=int, default=192)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = make_config(
            arguments.painting,
            from_scratch=True,
            photos=arguments.photos,
            output=folder / "run",
            style_weight=1.0,
            steps=ENDLESS,
            crop_px=arguments.crop_px,
            batch_size=arguments.batch_size,
            device=arguments.device,
            precision=arguments.precision,
        )
        run = set_up(config, resume=False, on_note=silent, until_end=ExitStack())
        print(
            f"{run.fabric.device}, {run.config.precision}, crops of {arguments.crop_px} px, "
            f"batch {config.batch_size}, {arguments.rounds} x {arguments.steps} steps"
        )
        print("| photos | workers | in memory, steps/s | loaded, steps/s | lost |")
        print("| --- | --- | --- | --- | --- |")
        sources = [arguments.photos] + [
            Path(shutil.make_archive(str(folder / "photos"), kind, arguments.photos))
            for kind in ("zip", "tar")
        ]
        for source, workers in itertools.product(sources, arguments.workers):
            photos = open_photos(source)
            run.task = make_task(config, photos, photos, run.fabric.device)
            run.config = replace(run.config, workers=workers)
            pairs = compare(run, arguments.steps, arguments.rounds)
            memory_s, loaded_s = map(statistics.median, zip(*pairs, strict=True))
            lost = statistics.median(loaded / memory for memory, loaded in pairs) - 1
            verdict = "" if lost <= ALLOWED_LOSS else f" (above {ALLOWED_LOSS:.0%})"
            print(
                f"| {source.suffix or 'folder'} | {workers} | {1 / memory_s:.3f} "
                f"| {1 / loaded_s:.3f} | {lost:.1%}{verdict} |",
                flush=True,
            )
        if run.writer:
            run.writer.close()


def compare(run: Run, steps: int, rounds: int) -> list[tuple[float, float]]:
    """Returns pairs of seconds per step: on one batch in memory, and on loaded photos."""
    pairs = []
    for _ in range(rounds):
        batches = _batches(run)
        held = next(batches)  # workers have started by now
        time_steps(run, itertools.repeat(held), 1)
        loaded_s = time_steps(run, batches, steps)
        del batches  # ends the workers
        pairs.append((time_steps(run, itertools.repeat(held), steps), loaded_s))
    return pairs


def time_steps(run: Run, batches: Iterator[Tensor], steps: int) -> float:
    """Trains and returns seconds per step, loading included."""
    start = time.perf_counter()
    for images in itertools.islice(batches, steps):
        _step(run, images)
    if run.fabric.device.type != "cpu":
        torch.accelerator.synchronize()
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    main()
