"""`impasto batch` on one and on two cores: `python benchmarks/batch.py`.

Repeats some photos until there are enough, and paints them with one actor and with two, each of
one core. The rate counts once every actor is warm, that is, has done two photos; Ray's start and
the loading of the model come before, and stand beside it as the time of the whole run. In a last
run one of two actors is killed half-way. What it has left is compared with the undisturbed run,
file by file and bit by bit.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from impasto.cli.batch_running import Task, make_plan, painting_task
from impasto.cluster.running import ray_started, run_on_ray, write_manifest
from impasto.cluster.worker import Result
from impasto.data.examples import example_photos_folder
from impasto.dials import Painting, Writing
from impasto.evaluation.machine import describe_machine
from impasto.images.folders import iterate_pictures

WARM_AFTER = 2


@dataclasses.dataclass
class Run:
    """One run.

    Attributes:
        folder: of its results.
        photos_per_s: once all actors were warm.
        elapsed_s: of all of it, Ray's start included.
        driver_s: CPU time of the process that hands out the photos.
        killed: the worker that was killed, or None.
    """

    folder: Path
    photos_per_s: float
    elapsed_s: float
    driver_s: float
    killed: str | None


def main() -> None:
    """Prints a table of rates, and one of what the killed worker left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="?", default=example_photos_folder())
    parser.add_argument("--style", help="[default: the first one]")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()

    task = painting_task(arguments.style, None, Painting(), Writing())
    print(f"\n{arguments.count} photos, {task.how['style']};", end=" ")
    print(describe_machine(1, ("onnxruntime", "pillow", "ray")))
    with tempfile.TemporaryDirectory(prefix="impasto-batch-") as folder:
        place = Path(folder)
        repeat(list(iterate_pictures(arguments.photos)), place / "photos", arguments.count)
        print(
            "\n| actors of one core | photos per second, warm | of the first | whole run, s | "
            "CPU of the driver, s |\n| --- | --- | --- | --- | --- |"
        )
        runs: list[Run] = []
        for actors in arguments.actors:
            runs.append(paint(task, place / "photos", place / f"with {actors}", actors))
            rate, first = runs[-1].photos_per_s, runs[0].photos_per_s
            print(
                f"| {actors} | {rate:.3f} | {rate / first:.2f}x | {runs[-1].elapsed_s:.1f} | "
                f"{runs[-1].driver_s:.1f} |"
            )
        disturbed = paint(task, place / "photos", place / "disturbed", 2, kill_half_way=True)
        print_comparison(disturbed, runs[0].folder)


def repeat(photos: list[Path], folder: Path, count: int) -> None:
    """Makes a folder of that many photos, in subfolders of a hundred."""
    for number in range(count):
        photo = photos[number % len(photos)]
        copy = folder / f"{number // 100:03}" / f"{number:05}{photo.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo, copy)


def paint(
    task: Task, photos: Path, folder: Path, actors: int, *, kill_half_way: bool = False
) -> Run:
    """Paints all photos."""
    start, cpu_before = time.perf_counter(), time.process_time()
    plan = make_plan(str(photos), str(folder), Writing())
    done_by: collections.Counter[str | None] = collections.Counter()
    times: list[float] = []
    warm_at = 0
    killed = None
    with ray_started(None, actors) as started:
        for result in run_on_ray(plan.jobs, task.make_work, started):
            plan.results[result.path] = result
            times.append(time.perf_counter())
            done_by[result.worker] += 1
            if not warm_at and sum(n >= WARM_AFTER for n in done_by.values()) == actors:
                warm_at = len(times)
            if kill_half_way and killed is None and len(times) >= len(plan.jobs) / 2:
                killed = kill(result)
        write_manifest(str(folder), list(plan.results.values()))
    if not 0 < warm_at < len(times):
        raise SystemExit("there are too few photos to find a rate: raise --count")
    rate = (len(times) - warm_at) / (times[-1] - times[warm_at - 1])
    elapsed_s, driver_s = time.perf_counter() - start, time.process_time() - cpu_before
    return Run(folder, rate, elapsed_s, driver_s, killed)


def kill(result: Result) -> str:
    """Kills the worker that made a result, which has begun with another photo."""
    worker = str(result.worker)
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
    return worker


def print_comparison(run: Run, whole: Path) -> None:
    """Compares the results of a disturbed run with those of another."""
    wanted = {path.relative_to(whole) for path in whole.rglob("*.*") if path.suffix != ".parquet"}
    found = {path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()}
    found.discard(Path("manifest.parquet"))
    same = sum((run.folder / name).read_bytes() == (whole / name).read_bytes() for name in wanted)
    rows = pq.read_table(run.folder / "manifest.parquet").to_pylist()
    again = sum(row["attempts"] > 1 for row in rows)
    after = {row["worker"] for row in rows} - {run.killed}
    print("\n| one of two actors killed half-way | |\n| --- | --- |")
    print(f"| photos | {len(wanted)} |")
    print(f"| results that are those of an undisturbed run, bit by bit | {same} |")
    print(f"| other files, such as half-written ones | {len(found - wanted)} |")
    print(f"| rows of the manifest | {len(rows)} |")
    print(f"| of these, done | {sum(row['status'] == 'done' for row in rows)} |")
    print(f"| photos that were begun twice | {again} |")
    print(f"| actors that did the rest | {len(after)} |")
    print(f"| photos per second, warm | {run.photos_per_s:.3f} |")


if __name__ == "__main__":
    main()
