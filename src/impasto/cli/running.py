"""The run that ``stylize`` and ``upscale`` share: one picture after another, each on its own."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import typer

from impasto.catalog import find_upscaler
from impasto.cli.console import (
    Screen,
    named,
    one_line,
    own_stderr,
    print_error,
    print_note,
    progress_bar,
)
from impasto.cli.options import Voice
from impasto.cli.plan import PIPE, Job, Plan, check_free, check_writable, exists, make_plan
from impasto.dials import Enlarging, Painting, Writing
from impasto.errors import ImageReadError, ImageTooLargeError, ImpastoError, OutputError, UsageError
from impasto.images.mapping import is_mapped
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo, without_huge
from impasto.images.writing import LOSSY_FORMATS, format_of
from impasto.runtime.changes import Enlarger, Painter
from impasto.runtime.loading import load_model, load_upscaler
from impasto.runtime.mixing import parse_blend
from impasto.runtime.stylizer import with_mask
from impasto.work import Work

if TYPE_CHECKING:
    from impasto.runtime.stylizer import StyleModel
    from impasto.runtime.upscaler import UpscaleModel

MAX_STDIN_BYTES: Final = 1 << 30  # 1 GiB: a file is read in parts, a pipe must fit into memory
# Of decoded pixels: 20 megapixels.
_LARGE_BYTES: Final = 60_000_000
_BAR_AFTER_S: Final = 1.0
_DISK_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

How: TypeAlias = dict[str, str | int]
"""What pictures are changed with, fields of a ``--json`` line: the style, or model and scale."""


@dataclass(frozen=True)
class Words:
    """What a run calls its work: "stylize", "paints", "painting", "painted"."""

    command: str
    does: str
    doing: str
    done: str

    def summary(self, statuses: Sequence[str]) -> str:
        """Returns how many pictures came to each end: "done", "skipped" or "failed"."""
        note = f"{statuses.count('done')} {self.done}"
        if skipped := statuses.count("skipped"):
            note += f", {skipped} were already there (--overwrite {self.does} them again)"
        if failed := statuses.count("failed"):
            note += f", {failed} failed"
        return note


PAINTING: Final = Words("stylize", "paints", "painting", "painted")
UPSCALING: Final = Words("upscale", "upscales", "upscaling", "upscaled")


@dataclass(frozen=True)
class Task:
    """What a run does with each picture, what that is called, and where the network runs."""

    work: Work
    words: Words
    how: How
    device: str


def load_painter(
    style: str | None, model: str | Path | None, threads: int | None, device: str
) -> StyleModel:
    """Loads the style that ``--style`` and ``--model`` mean together.

    Raises:
        UsageError: there is no such device, or the style is no blend.
        ModelError: the model cannot be used, or does not hold that style.
    """
    if model is None:
        return load_model(style, threads=threads, device=device)
    painter = load_model(Path(model), threads=threads, device=device)
    return painter if style is None else painter.with_blend(parse_blend(style))


def load_enlarger(
    model: str | None, scale: int, threads: int | None, device: str
) -> tuple[UpscaleModel, How]:
    """Loads the network that ``--model`` means for a scale; errors are `load_upscaler`'s."""
    name = find_upscaler(None, scale).name if model is None else model
    upscaler = load_upscaler(name, scale=scale, threads=threads, device=device)
    return upscaler, {"model": name, "scale": scale}


def label(how: How) -> str:
    """Returns the part of a default name that tells what was done: the style, or ``x2``."""
    return str(how.get("style", f"x{how.get('scale')}"))


def read_mask(dials: Painting, writing: Writing) -> Painting:
    """Returns the same dials with their mask read; errors are those of `with_mask`."""
    return with_mask(dials, max_pixels=writing.max_pixels or DEFAULT_MAX_PIXELS)


def painting_task(painter: StyleModel, dials: Painting, writing: Writing) -> Task:
    """Makes the task of painting in a style; a mask that cannot be read is an ImageError."""
    work = Work(Painter(painter, read_mask(dials, writing)), writing)
    return Task(work, PAINTING, {"style": painter.name}, painter.device)


def upscaling_task(
    dials: Enlarging, writing: Writing, model: str | None, threads: int | None, device: str
) -> Task:
    """Makes the task of enlarging; errors are those of `load_enlarger`."""
    upscaler, how = load_enlarger(model, dials.scale, threads, device)
    work = Work(Enlarger(upscaler, dials, writing.max_pixels), writing)
    return Task(work, UPSCALING, how, upscaler.device)


def run(
    task: Task,
    inputs: Sequence[str],
    output: str | None,
    voice: Voice,
    *,
    mask: Path | None = None,
    note: str | None = None,
) -> None:
    """Works on the pictures of a command line; no result replaces the mask.

    Raises:
        UsageError: inputs, output and settings do not go together.
        typer.Exit: something failed.
    """
    writing = task.work.writing
    also_read = [] if mask is None else [mask]
    plan = make_plan(
        inputs, output, label(task.how), file_format=writing.pillow_format, also_read=also_read
    )
    check_plan(plan, writing, voice, task.words.command)
    if voice.verbose:
        kind, name = next(iter(task.how.items()))
        print_note(f"{kind} {name} on {task.device}")
    if note and not voice.quiet:
        print_note(note)
    with own_stderr():
        Run(task, voice).do(plan)


@dataclass
class _Item:
    """A picture on its way through a run."""

    job: Job
    file_format: str = ""  # of the result; for stdout it is known when the picture is read
    photo: Photo | None = None  # as far as it has come; without its pixels when it is written
    error: ImpastoError | None = None
    skipped: bool = False  # the result was there
    given: str = ""  # the picture in words
    times_s: list[float] = dataclasses.field(default_factory=list)  # reading, working, writing

    @property
    def name(self) -> str:
        return _name(self.job.source)

    @property
    def status(self) -> str:
        return "skipped" if self.skipped else "failed" if self.error else "done"


class Run:
    """Works through a plan's pictures; an error stops one picture, not the run."""

    def __init__(self, task: Task, voice: Voice) -> None:
        self._task, self._work, self._voice = task, task.work, voice
        self._statuses: list[str] = []
        self._failed: list[tuple[str, int]] = []  # messages and exit codes

    def do(self, plan: Plan) -> None:
        """Works on everything and prints what became of it."""
        words, not_begun, total = self._task.words, 0, len(plan.jobs)
        shown = total > 1 and not self._voice.quiet
        with progress_bar(total, shown=shown, doing=words.doing) as screen:
            for path, error in plan.failures:
                self._tell(screen, _Item(Job(path, None), error=error))
            with contextlib.closing(self._items(plan.jobs, screen)) as items:
                for number, item in enumerate(items, start=1):
                    self._tell(screen, item)
                    screen.advance()
                    if item.error is not None and _disk_is_full(item.error):
                        not_begun = total - number
                        break
        for message, _ in self._failed:
            print_error(message)
        if not_begun:
            print_error(f"stopped, since the disk is full: {not_begun} more were not begun")
        if not self._voice.quiet and len(self._statuses) > 1:
            print_note(words.summary(self._statuses))
        if self._failed:
            unusable = len(self._failed) == len(self._statuses)
            raise typer.Exit(2 if unusable and all(code == 2 for _, code in self._failed) else 1)

    def _items(self, jobs: Sequence[Job], screen: Screen) -> Generator[_Item, None, None]:
        """Does the jobs in their order.

        While the network works on one picture, the one before is written and the next one read.
        """
        if len(jobs) == 1:  # stdin, for which a thread could not be told to stop waiting
            with self._own_bar() as progress:
                item = self._write(self._change(self._read(jobs[0]), progress))
            yield item
            return
        with ThreadPoolExecutor(2, "impasto") as pool:
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
            screen: Screen | None = None
            begun_s = time.monotonic()

            def progress(share: float) -> None:
                nonlocal screen
                if screen is None:
                    if share == 1.0 or time.monotonic() - begun_s < _BAR_AFTER_S:
                        return
                    bar = progress_bar(1, shown=not self._voice.quiet, doing=self._task.words.doing)
                    screen = opened.enter_context(bar)
                screen.share(share)

            yield progress

    def _tell(self, screen: Screen, item: _Item) -> None:
        """Keeps what became of a picture, and prints it."""
        self._statuses.append(item.status)
        photo, done = item.photo, self._task.words.done
        if item.error is not None:
            message = named(item.name, one_line(str(item.error)))
            self._failed.append((message, item.error.exit_code))
        elif photo is not None:
            if photo.frames > 1 and not self._voice.quiet:
                pages = photo.format == "TIFF"
                kind = f"{photo.frames} pages" if pages else f"animated ({photo.frames} frames)"
                verb = "has" if pages else "is"
                screen.note(f"{item.name} {verb} {kind}: the first one was {done}")
            if self._voice.verbose:
                read_s, change_s, write_s = item.times_s
                screen.note(
                    f"{item.given}, read in {read_s:.3f} s, {done} in {change_s:.3f} s, "
                    f"written in {write_s:.3f} s"
                )
        if self._voice.as_json:
            screen.result(json.dumps(self._row(item)))
        elif item.status == "done" and item.job.target is not None and not self._voice.quiet:
            screen.result(str(item.job.target))

    def _row(self, item: _Item) -> dict[str, object]:
        """Returns the ``--json`` line of a picture."""
        target, height, width = item.job.target, None, None
        if item.error is None and item.photo is not None:
            height, width = item.photo.rgb.shape[:2]
        return {
            "input": item.name,
            "output": None if item.error is not None and target is None else _name(target),
            "width": width,
            "height": height,
            **self._task.how,
            "device": self._task.device,
            "elapsed_s": round(sum(item.times_s), 4),
            "status": item.status,
            "error": None if item.error is None else one_line(str(item.error)),
        }

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
            item.given = f"{item.name}: {width}x{height} {photo.format}"
            if job.target is not None:
                item.file_format = format_of(job.target)
            else:
                item.file_format = self._work.file_format(photo)
                check_quality([item.file_format], self._work.writing)
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
        item.error = ImageTooLargeError(f"{item.name} does not fit into memory{without_huge()}")
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


def check_plan(plan: Plan, writing: Writing, voice: Voice, command: str) -> None:
    """Refuses a run that cannot do what is asked, before any picture is read."""
    formats = [
        writing.pillow_format if job.target is None else format_of(job.target) for job in plan.jobs
    ]
    check_quality(formats, writing)
    if not plan.single:
        return
    (job,) = plan.jobs
    if job.source is None and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError(
            f"- takes the picture from stdin, where none is: `impasto {command} - < photo.jpg`"
        )
    if job.target is not None:
        check_free(job.target, overwrite=writing.overwrite)
    elif voice.as_json:
        raise UsageError("--json and the picture cannot both go to stdout: give -o FILE")
    elif sys.stdout is None or sys.stdout.isatty():
        raise UsageError(
            "the picture would go to stdout, which is a terminal or closed: give -o FILE, or "
            "redirect it with > FILE"
        )


def check_quality(formats: Sequence[str | None], writing: Writing) -> None:
    """Refuses ``--quality`` for results that all lose nothing; a format of None is not known."""
    if writing.quality is None or not formats or {None, *LOSSY_FORMATS}.intersection(formats):
        return
    raise UsageError(
        "--quality is for jpeg, webp and avif, and this result is "
        f"{str(formats[0]).lower()}: leave it out, or choose another --format"
    )


def read_stdin() -> bytes:
    """Reads one picture's file."""
    try:
        data = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    except OSError as error:
        raise ImageReadError(f"cannot read stdin: {error.strerror or error}") from error
    if len(data) > MAX_STDIN_BYTES:
        raise ImageTooLargeError(
            f"stdin holds more than {MAX_STDIN_BYTES >> 20} MiB: give the picture as a file"
        )
    return data


def write_stdout(data: bytes) -> None:
    """Writes one picture's file; a reader that has gone is a BrokenPipeError."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error


def _disk_is_full(error: ImpastoError) -> bool:
    cause = error.__cause__
    return (
        isinstance(error, OutputError) and isinstance(cause, OSError) and cause.errno in _DISK_FULL
    )


def _name(path: Path | None) -> str:
    return PIPE if path is None else str(path)
