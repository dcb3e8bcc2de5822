"""``impasto stylize``: photos and folders of photos, painted."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.console import one_line, print_error, print_note, progress_bar
from impasto.errors import ImageTooLargeError, ImpastoError, UsageError

if TYPE_CHECKING:
    from impasto.cli.plan import Job, Plan
    from impasto.runtime.stylizer import StyleModel


@dataclass(frozen=True)
class Settings:
    """How every picture of a run is painted."""

    strength: float
    keep_colors: bool
    overwrite: bool
    max_pixels: int


@dataclass(frozen=True)
class Outcome:
    """What became of one input; the fields are those of a ``--json`` line.

    Attributes:
        status: ``"done"``, ``"skipped"`` (the output was there) or ``"failed"``.
    """

    input: str
    output: str | None
    width: int | None
    height: int | None
    style: str
    device: str
    elapsed_s: float
    status: str
    error: str | None = None


def command(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="Photos, and folders of photos.")
    ],
    *,
    style: Annotated[
        str | None,
        typer.Option(
            "--style",
            "-s",
            metavar="NAME",
            help="A style of `impasto styles`, or a model file. [default: the first one]",
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", metavar="FILE", help="A model file.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="A file; or a folder if it ends in /, exists as one, or there are several "
            "inputs. [default: PHOTO.STYLE.jpg beside the photo]",
        ),
    ] = None,
    strength: Annotated[float, typer.Option(help="0 leaves the photo, 1 paints it fully.")] = 1.0,
    keep_colors: Annotated[
        bool, typer.Option("--keep-colors", help="Keep the photo's colours.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are already there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per file.")] = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(help="Refuse pictures with more pixels. [default: 200 million]"),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads. [default: all cores]")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Paint photos and folders of photos in a style.

    A result has its photo's size. Folders keep their structure; run the same line again to go
    on where it stopped. Each result's path is printed.
    """
    _check_numbers(strength, max_pixels, threads)
    from impasto.cli.plan import make_plan
    from impasto.images.reading import DEFAULT_MAX_PIXELS

    painter = _load(style, model, threads)
    plan = make_plan(inputs, output, painter.style.name)
    settings = Settings(strength, keep_colors, overwrite, max_pixels or DEFAULT_MAX_PIXELS)
    if plan.single and plan.jobs[0].target.exists() and not overwrite:
        raise UsageError(f"{plan.jobs[0].target} is already there: --overwrite replaces it")
    outcomes = _run(plan, painter, settings, as_json=as_json, quiet=quiet)
    _finish(outcomes, quiet=quiet)


def _check_numbers(strength: float, max_pixels: int | None, threads: int | None) -> None:
    if not 0.0 <= strength <= 1.0:
        raise UsageError(f"--strength must lie between 0 and 1, not {strength}")
    if max_pixels is not None and max_pixels < 1:
        raise UsageError(f"--max-pixels must be at least 1, not {max_pixels}")
    if threads is not None and not 1 <= threads <= 1024:
        raise UsageError(f"--threads must lie between 1 and 1024, not {threads}")


def _load(style: str | None, model: Path | None, threads: int | None) -> StyleModel:
    from impasto.runtime.loading import load_model

    if model is None:
        return load_model(style, threads=threads)
    painter = load_model(model, threads=threads)
    if style not in (None, painter.style.name):
        raise UsageError(
            f"--model {model} holds the style {painter.style.name!r}, not {style!r}: "
            "leave --style out"
        )
    return painter


def _run(
    plan: Plan, painter: StyleModel, settings: Settings, *, as_json: bool, quiet: bool
) -> list[tuple[Outcome, ImpastoError | None]]:
    """Paints everything; an error stops one picture, not the run."""
    outcomes: list[tuple[Outcome, ImpastoError | None]] = []
    total = len(plan.jobs)
    with progress_bar(total, shown=total > 1 and not quiet) as (advance, print_result):

        def report(outcome: Outcome, error: ImpastoError | None) -> None:
            outcomes.append((outcome, error))
            if as_json:
                print_result(json.dumps(dataclasses.asdict(outcome)))
            elif outcome.status == "done" and outcome.output is not None and not quiet:
                print_result(outcome.output)

        for path, error in plan.failures:
            report(_failed(path, None, painter, 0.0, error), error)
        for job in plan.jobs:
            report(*_paint_one(job, painter, settings))
            advance()
    return outcomes


def _paint_one(
    job: Job, painter: StyleModel, settings: Settings
) -> tuple[Outcome, ImpastoError | None]:
    from impasto.images.reading import read_image
    from impasto.images.writing import write_image

    start_s = time.perf_counter()
    if job.target.exists() and not settings.overwrite:
        done = Outcome(
            input=str(job.source),
            output=str(job.target),
            width=None,
            height=None,
            style=painter.style.name,
            device=painter.device,
            elapsed_s=0.0,
            status="skipped",
        )
        return done, None
    try:
        photo = read_image(job.source, max_pixels=settings.max_pixels)
        rgb = painter.paint(photo.rgb, strength=settings.strength, keep_colors=settings.keep_colors)
        write_image(job.target, dataclasses.replace(photo, rgb=rgb))
    except (ImpastoError, MemoryError) as caught:
        error = (
            caught
            if isinstance(caught, ImpastoError)
            else ImageTooLargeError(f"{job.source} does not fit into memory")
        )
        elapsed_s = time.perf_counter() - start_s
        return _failed(job.source, job.target, painter, elapsed_s, error), error
    return Outcome(
        input=str(job.source),
        output=str(job.target),
        width=rgb.shape[1],
        height=rgb.shape[0],
        style=painter.style.name,
        device=painter.device,
        elapsed_s=round(time.perf_counter() - start_s, 4),
        status="done",
    ), None


def _failed(
    source: Path, target: Path | None, painter: StyleModel, elapsed_s: float, error: ImpastoError
) -> Outcome:
    return Outcome(
        input=str(source),
        output=None if target is None else str(target),
        width=None,
        height=None,
        style=painter.style.name,
        device=painter.device,
        elapsed_s=round(elapsed_s, 4),
        status="failed",
        error=one_line(str(error)),
    )


def _finish(outcomes: list[tuple[Outcome, ImpastoError | None]], *, quiet: bool) -> None:
    """Prints what failed and a summary, and sets the exit code."""
    errors = [error for _, error in outcomes if error is not None]
    for outcome, error in outcomes:
        if error is not None:
            text = str(error)
            print_error(text if outcome.input in text else f"{outcome.input}: {text}")
    counts = {
        status: sum(outcome.status == status for outcome, _ in outcomes)
        for status in ("done", "skipped", "failed")
    }
    if not quiet and len(outcomes) > 1:
        note = f"{counts['done']} painted"
        if counts["skipped"]:
            note += f", {counts['skipped']} were already there (--overwrite paints them again)"
        if counts["failed"]:
            note += f", {counts['failed']} failed"
        print_note(note)
    if errors:
        # 2: nothing among the inputs was usable; 1: some of the work failed.
        nothing_usable = len(errors) == len(outcomes) and all(e.exit_code == 2 for e in errors)
        raise typer.Exit(2 if nothing_usable else 1)
