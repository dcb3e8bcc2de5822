"""What ``impasto batch`` does with its options."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import typer

from impasto.cli.console import named, pace, print_error, print_note, print_result, steps_shown
from impasto.cli.options import Voice
from impasto.cli.plan import free_target, no_pictures, with_format
from impasto.cli.running import (
    PAINTING,
    UPSCALING,
    How,
    Words,
    check_quality,
    load_enlarger,
    load_painter,
    read_mask,
)
from impasto.cluster import storage
from impasto.cluster.running import ray_started, run_on_ray, write_manifest
from impasto.cluster.worker import STATUSES, Job, MakeWork, Result, Status
from impasto.dials import Enlarging, Painting, Writing
from impasto.errors import UsageError
from impasto.images.writing import format_of
from impasto.runtime.changes import Enlarger, Painter
from impasto.runtime.loading import load_model, load_upscaler, model_path, upscaler_path
from impasto.work import Work

_MOST_ERRORS: Final = 10  # printed one by one; the manifest has them all
_DEVICE: Final = "cpu"
_NOT_REACHED: Final = "was not reached: run the same line again"


def painting_work(model: bytes, blend: dict[str, float], dials: Painting, writing: Writing) -> Work:
    """Makes, on any machine, the work of painting photos.

    Args:
        model: content of the model file, so that no other machine needs it.
        blend: styles of the model and their shares.
        dials: how photos are painted; the mask is read.
        writing: how results are written.
    """
    with _model_file(model) as path:
        painter = load_model(path, threads=1, device=_DEVICE).with_blend(blend)
    return Work(Painter(painter, dials), writing)


def enlarging_work(model: bytes, dials: Enlarging, writing: Writing) -> Work:
    """Makes, on any machine, the work of enlarging photos with a model file's content."""
    with _model_file(model) as path:
        upscaler = load_upscaler(path, scale=dials.scale, threads=1, device=_DEVICE)
    return Work(Enlarger(upscaler, dials, writing.max_pixels), writing)


@contextlib.contextmanager
def _model_file(data: bytes) -> Iterator[Path]:
    """Gives a model a file for as long as it is loaded."""
    with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(data)
        yield path


@dataclass(frozen=True)
class Task:
    """What is done with every photo: what makes the work in each worker, and what it is called."""

    make_work: MakeWork
    words: Words
    how: How


@dataclass
class Plan:
    """The work of one run, from a folder or URL to another."""

    source: str
    destination: str
    jobs: list[Job] = field(default_factory=list)  # what is to be done
    results: dict[str, Result] = field(default_factory=dict)  # what is known, by the photo's path


def painting_task(style: str | None, model: str | None, dials: Painting, writing: Writing) -> Task:
    """Loads the model once here, so that what is wrong with it is told before anything starts."""
    painter = load_painter(style, model, 1, _DEVICE)
    data = (model_path(style) if model is None else Path(model)).read_bytes()
    make_work = partial(painting_work, data, painter.blend, read_mask(dials, writing), writing)
    return Task(make_work, PAINTING, {"style": painter.name})


def upscaling_task(dials: Enlarging, model: str | None, writing: Writing) -> Task:
    """Loads the model once here, for the same reason; errors are those of `painting_task`."""
    _, how = load_enlarger(model, dials.scale, 1, _DEVICE)
    data = upscaler_path(str(how["model"]), dials.scale).read_bytes()
    return Task(partial(enlarging_work, data, dials, writing), UPSCALING, how)


def make_plan(
    given_source: str, given_destination: str, settings: Writing, *, mask: Path | None = None
) -> Plan:
    """Lists the photos and the results that are there; no result takes the mask's place.

    Raises:
        UsageError: a result would replace a photo, or the format has no quality.
        DataError: the photos or the results cannot be listed, or there are none.
        OutputError: nothing can be written at the destination.
    """
    source, destination = storage.resolve(given_source), storage.resolve(given_destination)
    if storage.same(source, destination):
        raise UsageError(f"{destination} has the photos in it: choose another DESTINATION")
    outputs: dict[storage.Entry, str] = {}
    taken: set[str] = set()
    for entry in storage.list_pictures(source, skip=destination):
        path = Path(storage.relative(entry.name))
        target = free_target(path, with_format(path, settings.pillow_format), taken)
        outputs[entry] = target.as_posix()
    if not outputs:
        raise no_pictures(given_source)
    check_quality(sorted({format_of(name) for name in outputs.values()}), settings)
    there = set() if settings.overwrite else storage.existing(destination, outputs.values())
    plan = Plan(source, destination)
    for entry, name in outputs.items():
        job = Job(
            storage.join(source, entry.name), storage.join(destination, name), entry.size_bytes
        )
        if name in there:
            plan.results[job.path] = _row(job, "skipped")
        elif not _is_text(job.path):
            error = f"{job.path}: no UTF-8, which a manifest cannot hold: rename it"
            plan.results[job.path] = _row(job, "failed", error)
        else:
            plan.results[job.path] = _row(job, "failed", _NOT_REACHED)
            plan.jobs.append(job)
    _protect_inputs(plan, mask)
    storage.check_writable(destination)
    return plan


def run(task: Task, plan: Plan, voice: Voice, *, actors: int | None, address: str | None) -> None:
    """Does the work, writes the manifest and says what became of it.

    Args:
        task: what is done with each photo.
        plan: the photos.
        voice: how much is said.
        actors: workers; None is one for every core.
        address: of a Ray cluster; None starts Ray on this machine.
    """
    start_s = time.monotonic()
    used = 0
    with contextlib.ExitStack() as opened:
        results: Iterable[Result] = ()
        if plan.jobs:
            shown = not (voice.quiet or voice.as_json)
            advance = opened.enter_context(_progress(len(plan.jobs), shown=shown))
            used = opened.enter_context(ray_started(address, actors))
            results = run_on_ray(plan.jobs, task.make_work, used)
        try:
            for result in results:
                plan.results[result.path] = result
                advance()
        finally:  # even where it is interrupted
            manifest = write_manifest(plan.destination, list(plan.results.values()))
    _tell(task, plan, voice, manifest, actors=used, elapsed_s=time.monotonic() - start_s)


@contextlib.contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Shows photos per second and the time left; yields what counts a photo."""
    if not shown:
        yield lambda: None
        return
    done, text = 0, pace("photos")
    with steps_shown() as (show, _):

        def advance() -> None:
            nonlocal done
            done += 1
            show(done, total, text(done, total))

        yield advance


def _tell(
    task: Task, plan: Plan, voice: Voice, manifest: str, *, actors: int, elapsed_s: float
) -> None:
    """Prints what failed, a summary, and the manifest's place or the JSON object."""
    statuses = [result.status for result in plan.results.values()]
    failed = [result for result in plan.results.values() if result.status == "failed"]
    for result in failed[:_MOST_ERRORS]:
        print_error(named(result.path, result.error or ""))
    if len(failed) > _MOST_ERRORS:
        print_error(f"{len(failed) - _MOST_ERRORS} more failed, as {manifest} tells")
    if not voice.quiet:
        print_note(task.words.summary(statuses))
    if voice.as_json:
        row: dict[str, object] = {
            "source": plan.source,
            "destination": plan.destination,
            "manifest": manifest,
            **task.how,
            "actors": actors,
            "photos": len(statuses),
            **{status: statuses.count(status) for status in STATUSES},
            "elapsed_s": round(elapsed_s, 4),
        }
        print_result(json.dumps(row))
    elif not voice.quiet:
        print_result(manifest)
    if failed:
        raise typer.Exit(1)


def _protect_inputs(plan: Plan, mask: Path | None) -> None:
    """Refuses a run in which a result would take the place of a photo or of the mask."""
    inputs = {storage.identity(result.path): "a photo" for result in plan.results.values()}
    if mask is not None:
        inputs[storage.identity(storage.resolve(str(mask)))] = "the mask"
    for result in plan.results.values():
        if kind := inputs.get(storage.identity(result.output)):
            raise UsageError(
                f"{result.output} is {kind} and would be overwritten: choose another DESTINATION"
            )


def _row(job: Job, status: Status, error: str | None = None) -> Result:
    return Result(job.path, job.output, status, error, size_bytes=job.size_bytes)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
