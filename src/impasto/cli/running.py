"""The run that ``stylize`` and ``upscale`` share: one picture after another, each on its own."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from impasto.cli.console import Screen, one_line, progress_bar
from impasto.cli.pipes import check_stdin, check_stdout, read_stdin, write_stdout
from impasto.cli.plan import PIPE, Job, Plan, check_writable, exists
from impasto.cli.report import Outcome, Report, Words
from impasto.cli.settings import Voice
from impasto.dials import Writing
from impasto.errors import ImageTooLargeError, ImpastoError, OutputError, UsageError
from impasto.images.mapping import is_mapped
from impasto.images.reading import Photo, without_huge
from impasto.images.writing import LOSSY_FORMATS, format_of
from impasto.work import Work

# Of decoded pixels: 20 megapixels.
_LARGE_BYTES: Final = 60_000_000
_BAR_AFTER_S: Final = 1.0
_DISK_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@dataclass(frozen=True)
class Task:
    """What a run does with each picture.

    Attributes:
        work: how a picture is read, painted or enlarged, and written.
        words: what that is called.
        how: what it is done with: fields of a ``--json`` line.
        device: where the network runs.
    """

    work: Work
    words: Words
    how: dict[str, str | int]
    device: str


@dataclass
class _Item:
    """A picture on its way through a run.

    Attributes:
        job: where it comes from and goes to.
        file_format: of the result; unknown until the picture is read where it goes to stdout.
        photo: as far as it has come; without its pixels when it is written.
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

    def __init__(self, task: Task, voice: Voice) -> None:
        """Prepares a run.

        Args:
            task: what is done with each picture.
            voice: how much is said.
        """
        self._task, self._work, self._voice = task, task.work, voice

    def do(self, plan: Plan) -> None:
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
            with contextlib.closing(self._items(plan.jobs, screen)) as items:
                for number, item in enumerate(items, start=1):
                    self._tell(report, screen, item)
                    screen.advance()
                    if item.error is not None and _disk_is_full(item.error):
                        not_begun = total - number
                        break
        report.finish(quiet=self._voice.quiet, not_begun=not_begun)

    def _items(self, jobs: Sequence[Job], screen: Screen) -> Generator[_Item, None, None]:
        """Does the jobs in their order.

        While the network works on one picture, the one before is written and the next one read.
        """
        if len(jobs) == 1:  # stdin, for which a thread could not be told to stop waiting
            with self._own_bar() as progress:
                item = self._write(self._change(self._read(jobs[0]), progress))
            yield item
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
                item = self._change(item, screen.share)
                if writing is not None:
                    yield writing.result()
                large = _is_large(item)
                writing = pool.submit(self._write, item)
                if large:
                    yield writing.result()
                    writing = None
            if writing is not None:
                yield writing.result()

    @contextlib.contextmanager
    def _own_bar(self) -> Iterator[Callable[[float], None]]:
        """Gives a picture that is alone a bar, unless it is soon done."""
        with contextlib.ExitStack() as opened:
            screens: list[Screen] = []
            begun_s = time.monotonic()

            def progress(share: float) -> None:
                if not screens and (share == 1.0 or time.monotonic() - begun_s < _BAR_AFTER_S):
                    return
                if not screens:
                    bar = progress_bar(1, shown=not self._voice.quiet, doing=self._task.words.doing)
                    screens.append(opened.enter_context(bar))
                screens[0].share(share)

            yield progress

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
        if not self._work.writing.overwrite and job.target is not None and exists(job.target):
            item.skipped = True
            return item
        with _timed(item):
            if job.target is not None:
                check_writable(job.target)
            if job.source is None:
                photo = self._work.read(read_stdin(), name="stdin")
            else:
                photo = self._work.read(job.source, job.target)
            item.photo = photo
            height, width = photo.rgb.shape[:2]
            item.given = f"{_name(job.source)}: {width}x{height} {photo.format}"
            item.file_format = self._format(job, photo)
            self._work.check(photo, item.file_format)
        return item

    def _change(self, item: _Item, progress: Callable[[float], None]) -> _Item:
        photo = item.photo
        if photo is None or item.error is not None:
            return item
        with _timed(item):
            item.photo = self._work.change(photo, progress)
        return item

    def _write(self, item: _Item) -> _Item:
        photo, target = item.photo, item.job.target
        if photo is None:
            return item
        if item.error is None:
            with _timed(item):
                if target is None:
                    write_stdout(self._work.encode(photo, item.file_format))
                else:
                    self._work.write(photo, target)
        # Only its size is wanted from here on: the next picture needs the room.
        black = np.broadcast_to(np.uint8(0), photo.rgb.shape)
        item.photo = dataclasses.replace(photo, rgb=black, alpha=None)
        return item

    def _format(self, job: Job, photo: Photo) -> str:
        """Returns the result's format; for stdout it may be known only from the photo."""
        if job.target is not None:
            return format_of(job.target)
        chosen = self._work.file_format(photo)
        if self._work.writing.quality is not None and chosen not in LOSSY_FORMATS:
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
        _drop_frames(error)
    except MemoryError:
        name = _name(item.job.source)
        item.error = ImageTooLargeError(f"{name} does not fit into memory{without_huge()}")
    item.times_s.append(time.perf_counter() - start_s)


def _drop_frames(error: BaseException | None) -> None:
    """Takes from an error that is kept the frames, which hold the picture."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _is_large(item: _Item) -> bool:
    """Tells whether a picture is worked on without its neighbours, to spare memory."""
    photo = item.photo
    # libvips keeps one text of errors for all threads: what it says of one picture must not be
    # taken for another's.
    return photo is not None and (is_mapped(photo.rgb) or math.prod(photo.rgb.shape) > _LARGE_BYTES)


def check_plan(plan: Plan, settings: Writing, voice: Voice, *, command: str) -> None:
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


def _check_quality(plan: Plan, settings: Writing) -> None:
    if settings.quality is None:
        return
    formats = [
        settings.pillow_format if job.target is None else format_of(job.target) for job in plan.jobs
    ]
    if formats and None not in formats and not LOSSY_FORMATS.intersection(formats):
        raise lossless(str(formats[0]))


def _disk_is_full(error: ImpastoError) -> bool:
    cause = error.__cause__
    return (
        isinstance(error, OutputError) and isinstance(cause, OSError) and cause.errno in _DISK_FULL
    )


def _name(path: Path | None) -> str:
    return PIPE if path is None else str(path)
