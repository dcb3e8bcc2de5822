"""The run that ``stylize`` and ``upscale`` share: one picture after another, each on its own."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from impasto.cli.console import Screen, one_line, progress_bar
from impasto.cli.pipes import check_stdin, check_stdout, read_stdin, write_stdout
from impasto.cli.plan import PIPE, Job, Plan, exists
from impasto.cli.report import Outcome, Report, Words
from impasto.cli.settings import Settings, Voice
from impasto.errors import ImageTooLargeError, ImpastoError, OutputError, UsageError
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo, read_image
from impasto.images.writing import (
    LOSSY_FORMATS,
    check_sides,
    encode_image,
    format_of,
    writable_format,
    write_image,
)

_DISK_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@dataclass(frozen=True)
class Task:
    """What a run does with each picture.

    Attributes:
        change: the picture, painted or enlarged.
        words: what that is called.
        how: what it is done with: fields of a ``--json`` line.
        device: where the network runs.
        scale: how many times as wide and high a result is; 1 also where it may be smaller.
    """

    change: Callable[[Photo], Photo]
    words: Words
    how: dict[str, str | int]
    device: str
    scale: int = 1


class Run:
    """Works through a plan's pictures; an error stops one picture, not the run."""

    def __init__(self, task: Task, settings: Settings, voice: Voice) -> None:
        """Prepares a run.

        Args:
            task: what is done with each picture.
            settings: how the pictures are read and written.
            voice: how much is said.
        """
        self._task, self._settings, self._voice = task, settings, voice

    def work(self, plan: Plan) -> None:
        """Works on everything and prints what became of it.

        Raises:
            typer.Exit: something failed.
        """
        words, not_begun = self._task.words, 0
        report, total = Report(words), len(plan.jobs)
        shown = total > 1 and not self._voice.quiet
        with progress_bar(total, shown=shown, doing=words.doing) as screen:
            for path, error in plan.failures:
                self._tell(report, screen, self._failed(Job(path, None), error, 0.0), error)
            for number, job in enumerate(plan.jobs, start=1):
                outcome, failure = self._work_on_one(job, screen)
                self._tell(report, screen, outcome, failure)
                screen.advance()
                if failure is not None and _disk_is_full(failure):
                    not_begun = total - number
                    break
        report.finish(quiet=self._voice.quiet, not_begun=not_begun)

    def _tell(
        self, report: Report, screen: Screen, outcome: Outcome, error: ImpastoError | None
    ) -> None:
        report.add(outcome, error)
        if self._voice.as_json:
            screen.result(outcome.to_json())
        elif outcome.status == "done" and outcome.output != PIPE and not self._voice.quiet:
            screen.result(str(outcome.output))

    def _work_on_one(self, job: Job, screen: Screen) -> tuple[Outcome, ImpastoError | None]:
        start_s = time.perf_counter()
        skip = not self._settings.overwrite and job.target is not None and exists(job.target)
        if skip:
            return self._outcome(job, "skipped"), None
        try:
            photo = self._change_and_write(job, screen)
        except (ImpastoError, MemoryError) as caught:
            error = (
                caught
                if isinstance(caught, ImpastoError)
                else ImageTooLargeError(f"{_name(job.source)} does not fit into memory")
            )
            return self._failed(job, error, time.perf_counter() - start_s), error
        height, width = photo.rgb.shape[:2]
        elapsed_s = time.perf_counter() - start_s
        done = self._outcome(job, "done", elapsed_s)
        return dataclasses.replace(done, width=width, height=height), None

    def _change_and_write(self, job: Job, screen: Screen) -> Photo:
        settings, done, clock = self._settings, self._task.words.done, [time.perf_counter()]
        if job.target is not None:
            _check_writable(job.target)
        source = read_stdin() if job.source is None else job.source
        max_pixels = settings.max_pixels or DEFAULT_MAX_PIXELS
        photo = read_image(source, max_pixels=max_pixels, name="stdin")
        height, width = photo.rgb.shape[:2]
        given = f"{_name(job.source)}: {width}x{height} {photo.format}"
        if photo.frames > 1 and not self._voice.quiet:
            pages = photo.format == "TIFF"
            kind = f"has {photo.frames} pages" if pages else f"is animated ({photo.frames} frames)"
            screen.note(f"{_name(job.source)} {kind}: the first one was {done}")
        file_format = self._format(job, photo)
        if self._task.scale > 1:  # found out before minutes of work
            check_sides(file_format, self._task.scale * width, self._task.scale * height)
        clock.append(time.perf_counter())
        photo = self._task.change(photo)
        clock.append(time.perf_counter())
        if job.target is None:
            write_stdout(encode_image(photo, file_format, quality=settings.quality))
        else:
            write_image(job.target, photo, quality=settings.quality)
        clock.append(time.perf_counter())
        if self._voice.verbose:
            read_s, change_s, write_s = (b - a for a, b in itertools.pairwise(clock))
            screen.note(
                f"{given}, read in {read_s:.3f} s, {done} in {change_s:.3f} s, "
                f"written in {write_s:.3f} s"
            )
        return photo

    def _format(self, job: Job, photo: Photo) -> str:
        """Returns the result's format; for stdout it may be known only from the photo."""
        if job.target is not None:
            return format_of(job.target)
        chosen = self._settings.file_format or writable_format(photo.format)
        if self._settings.quality is not None and chosen not in LOSSY_FORMATS:
            raise lossless(chosen)
        return chosen

    def _outcome(self, job: Job, status: str, elapsed_s: float = 0.0) -> Outcome:
        return Outcome(
            input=_name(job.source),
            output=_name(job.target),
            width=None,
            height=None,
            how=self._task.how,
            device=self._task.device,
            elapsed_s=round(elapsed_s, 4),
            status=status,
        )

    def _failed(self, job: Job, error: ImpastoError, elapsed_s: float) -> Outcome:
        output = None if job.target is None else str(job.target)
        failed = self._outcome(job, "failed", elapsed_s)
        return dataclasses.replace(failed, output=output, error=one_line(str(error)))


def check_plan(plan: Plan, settings: Settings, voice: Voice, *, command: str) -> None:
    """Refuses a run that cannot do what is asked, before any picture is read.

    Args:
        plan: what shall be done.
        settings: how.
        voice: how much is said.
        command: the command's name.

    Raises:
        UsageError: no result has a quality to be chosen; stdin or stdout cannot take part; or
            the one result is there.
    """
    _check_quality(plan, settings)
    if not plan.single:
        return
    (job,) = plan.jobs
    if job.source is None:
        check_stdin(command)
    if job.target is None:
        if voice.as_json:
            raise UsageError("--json and the picture cannot both go to stdout: give -o FILE")
        check_stdout()
    elif exists(job.target) and not settings.overwrite:
        raise UsageError(f"{job.target} is already there: --overwrite replaces it")


def lossless(file_format: str) -> UsageError:
    """Returns the error of a quality given for a format that loses nothing."""
    return UsageError(
        f"--quality is for jpeg, webp and avif, and this result is {file_format.lower()}: "
        "leave it out, or choose another --format"
    )


def _check_quality(plan: Plan, settings: Settings) -> None:
    if settings.quality is None:
        return
    formats = [
        settings.file_format if job.target is None else format_of(job.target) for job in plan.jobs
    ]
    if formats and None not in formats and not LOSSY_FORMATS.intersection(formats):
        raise lossless(str(formats[0]))


def _check_writable(target: Path) -> None:
    """Finds out before the work, as far as that is possible, that a result can be written."""
    folder = target.parent
    while not exists(folder) and folder != folder.parent:
        folder = folder.parent
    if not os.path.isdir(folder):  # noqa: PTH112 (pathlib's raises for a name that is too long)
        raise OutputError(f"cannot write {target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {target}: no permission to write in {folder}")


def _disk_is_full(error: ImpastoError) -> bool:
    cause = error.__cause__
    return (
        isinstance(error, OutputError) and isinstance(cause, OSError) and cause.errno in _DISK_FULL
    )


def _name(path: Path | None) -> str:
    return PIPE if path is None else str(path)
