"""The run that ``stylize`` and ``upscale`` share: one picture after another, each on its own."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

# Of decoded pixels: 20 megapixels.
_LARGE_BYTES: Final = 60_000_000
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


@dataclass
class _Item:
    """A picture on its way through a run.

    Attributes:
        job: where it comes from and goes to.
        file_format: of the result; unknown until the picture is read where it goes to stdout.
        photo: as far as it has come.
        error: what stopped it.
        skipped: the result was there.
        given: the picture in words.
        times_s: of reading, working and writing.
    """

    job: Job
    file_format: str = ""
    photo: Photo | None = None
    error: ImpastoError | None = None
    skipped: bool = False
    given: str = ""
    times_s: list[float] = dataclasses.field(default_factory=list)


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
                self._tell(report, screen, _Item(Job(path, None), error=error))
            with contextlib.closing(self._items(plan.jobs)) as items:
                for number, item in enumerate(items, start=1):
                    self._tell(report, screen, item)
                    screen.advance()
                    if item.error is not None and _disk_is_full(item.error):
                        not_begun = total - number
                        break
        report.finish(quiet=self._voice.quiet, not_begun=not_begun)

    def _items(self, jobs: Sequence[Job]) -> Generator[_Item, None, None]:
        """Does the jobs in their order.

        While the network works on one picture, the one before is written and the next one read.
        """
        if len(jobs) == 1:  # stdin, for which a thread could not be told to stop waiting
            yield self._write(self._change(self._read(jobs[0])))
            return
        steps = [self._read, self._write]
        with ThreadPoolExecutor(len(steps), "impasto") as pool:
            ahead: Future[_Item] | None = None
            writing: Future[_Item] | None = None
            for number, job in enumerate(jobs):
                item = self._read(job) if ahead is None else ahead.result()
                ahead = None
                if number + 1 < len(jobs) and not _is_large(item):
                    ahead = pool.submit(self._read, jobs[number + 1])
                item = self._change(item)
                if writing is not None:
                    yield writing.result()
                writing = pool.submit(self._write, item)
                if _is_large(item):
                    yield writing.result()
                    writing = None
            if writing is not None:
                yield writing.result()

    def _tell(self, report: Report, screen: Screen, item: _Item) -> None:
        """Keeps what became of a picture, and prints it."""
        outcome, name = self._outcome(item), _name(item.job.source)
        report.add(outcome, item.error)
        photo = item.photo
        if item.error is None and photo is not None:
            done = self._task.words.done
            if photo.frames > 1 and not self._voice.quiet:
                pages = photo.format == "TIFF"
                kind = f"{photo.frames} pages" if pages else f"animated ({photo.frames} frames)"
                screen.note(f"{name} {'has' if pages else 'is'} {kind}: the first one was {done}")
            if self._voice.verbose:
                read_s, change_s, write_s = item.times_s
                screen.note(
                    f"{item.given}, read in {read_s:.3f} s, {done} in {change_s:.3f} s, "
                    f"written in {write_s:.3f} s"
                )
        if self._voice.as_json:
            screen.result(outcome.to_json())
        elif outcome.status == "done" and outcome.output != PIPE and not self._voice.quiet:
            screen.result(str(outcome.output))

    def _read(self, job: Job) -> _Item:
        item = _Item(job)
        if not self._settings.overwrite and job.target is not None and exists(job.target):
            item.skipped = True
            return item
        with _timed(item):
            if job.target is not None:
                _check_writable(job.target)
            source = read_stdin() if job.source is None else job.source
            max_pixels = self._settings.max_pixels or DEFAULT_MAX_PIXELS
            photo = read_image(source, max_pixels=max_pixels, name="stdin")
            height, width = photo.rgb.shape[:2]
            item.given = f"{_name(job.source)}: {width}x{height} {photo.format}"
            item.file_format = self._format(job, photo)
            if self._task.scale > 1:  # found out before minutes of work
                check_sides(item.file_format, self._task.scale * width, self._task.scale * height)
            item.photo = photo
        return item

    def _change(self, item: _Item) -> _Item:
        if item.photo is not None:
            with _timed(item):
                item.photo = self._task.change(item.photo)
        return item

    def _write(self, item: _Item) -> _Item:
        if item.photo is None or item.error is not None:
            return item
        quality = self._settings.quality
        with _timed(item):
            if item.job.target is None:
                write_stdout(encode_image(item.photo, item.file_format, quality=quality))
            else:
                write_image(item.job.target, item.photo, quality=quality)
        return item

    def _format(self, job: Job, photo: Photo) -> str:
        """Returns the result's format; for stdout it may be known only from the photo."""
        if job.target is not None:
            return format_of(job.target)
        chosen = self._settings.file_format or writable_format(photo.format)
        if self._settings.quality is not None and chosen not in LOSSY_FORMATS:
            raise lossless(chosen)
        return chosen

    def _outcome(self, item: _Item) -> Outcome:
        height = width = None
        output: str | None = _name(item.job.target)
        if item.error is not None:
            output = None if item.job.target is None else output
        elif item.photo is not None:
            height, width = item.photo.rgb.shape[:2]
        return Outcome(
            input=_name(item.job.source),
            output=output,
            width=width,
            height=height,
            how=self._task.how,
            device=self._task.device,
            elapsed_s=round(sum(item.times_s), 4),
            status="skipped" if item.skipped else "failed" if item.error else "done",
            error=None if item.error is None else one_line(str(item.error)),
        )


@contextlib.contextmanager
def _timed(item: _Item) -> Iterator[None]:
    """Times a step of a picture, and keeps what makes it fail."""
    start_s = time.perf_counter()
    try:
        yield
    except ImpastoError as error:
        item.error = error
    except MemoryError:
        item.error = ImageTooLargeError(f"{_name(item.job.source)} does not fit into memory")
    item.times_s.append(time.perf_counter() - start_s)


def _is_large(item: _Item) -> bool:
    """Tells whether a picture's neighbours shall not lie in memory with it."""
    return item.photo is not None and item.photo.rgb.size > _LARGE_BYTES


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
