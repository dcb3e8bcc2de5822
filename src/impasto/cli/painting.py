"""The run of ``impasto stylize``: one picture after another, each on its own."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from impasto.cli.console import Screen, one_line, progress_bar
from impasto.cli.pipes import read_stdin, write_stdout
from impasto.cli.plan import PIPE, Job, Plan, exists
from impasto.cli.report import Outcome, Report
from impasto.cli.settings import Settings, Voice
from impasto.errors import ImageTooLargeError, ImpastoError, OutputError, UsageError
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo, read_image
from impasto.images.writing import (
    LOSSY_FORMATS,
    encode_image,
    format_of,
    writable_format,
    write_image,
)
from impasto.runtime.loading import load_model
from impasto.runtime.mixing import parse_blend

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from impasto.runtime.stylizer import StyleModel

_DISK_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def load(style: str | None, model: Path | None, threads: int | None, device: str) -> StyleModel:
    """Loads the style that ``--style`` and ``--model`` mean together.

    Raises:
        UsageError: there is no such device, or the style is no blend.
        ModelError: the model cannot be used, or does not hold that style.
    """
    if model is None:
        return load_model(style, threads=threads, device=device)
    painter = load_model(model, threads=threads, device=device)
    return painter if style is None else painter.with_blend(parse_blend(style))


class Run:
    """Paints a plan's pictures; an error stops one picture, not the run."""

    def __init__(self, painter: StyleModel, settings: Settings, voice: Voice) -> None:
        """Reads the mask.

        Args:
            painter: the style.
            settings: how the pictures are painted.
            voice: how much is said.

        Raises:
            ImageError: the mask cannot be read.
        """
        self._painter, self._settings, self._voice = painter, settings, voice
        self._max_pixels = settings.max_pixels or DEFAULT_MAX_PIXELS
        self._mask: NDArray[np.uint8] | None = None
        if settings.mask is not None:
            from impasto.images.masks import read_mask

            self._mask = read_mask(settings.mask, max_pixels=self._max_pixels)

    def paint(self, plan: Plan) -> None:
        """Paints everything and prints what became of it.

        Raises:
            typer.Exit: something failed.
        """
        report, not_begun = Report(), 0
        total = len(plan.jobs)
        with progress_bar(total, shown=total > 1 and not self._voice.quiet) as screen:
            for path, error in plan.failures:
                self._tell(report, screen, self._failed(Job(path, None), error, 0.0), error)
            for number, job in enumerate(plan.jobs, start=1):
                outcome, failure = self._paint_one(job, screen)
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

    def _paint_one(self, job: Job, screen: Screen) -> tuple[Outcome, ImpastoError | None]:
        start_s = time.perf_counter()
        skip = not self._settings.overwrite and job.target is not None and exists(job.target)
        if skip:
            return self._outcome(job, "skipped"), None
        try:
            photo = self._paint_and_write(job, screen)
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

    def _paint_and_write(self, job: Job, screen: Screen) -> Photo:
        settings, clock = self._settings, [time.perf_counter()]
        if job.target is not None:
            _check_writable(job.target)
        source = read_stdin() if job.source is None else job.source
        photo = read_image(source, max_pixels=self._max_pixels, name="stdin")
        given = f"{_name(job.source)}: {photo.rgb.shape[1]}x{photo.rgb.shape[0]} {photo.format}"
        if photo.frames > 1 and not self._voice.quiet:
            pages = photo.format == "TIFF"
            kind = f"has {photo.frames} pages" if pages else f"is animated ({photo.frames} frames)"
            screen.note(f"{_name(job.source)} {kind}: the first one was painted")
        file_format = self._format(job, photo)
        if settings.max_side_px is not None:
            from impasto.images.resize import shrink

            photo = shrink(photo, settings.max_side_px)
        clock.append(time.perf_counter())
        rgb = self._painter.paint(
            photo.rgb,
            strength=settings.strength,
            stroke_size=settings.stroke_size,
            keep_colors=settings.keep_colors,
            mask=self._mask,
        )
        clock.append(time.perf_counter())
        photo = dataclasses.replace(photo, rgb=rgb)
        if job.target is None:
            write_stdout(encode_image(photo, file_format, quality=settings.quality))
        else:
            write_image(job.target, photo, quality=settings.quality)
        clock.append(time.perf_counter())
        if self._voice.verbose:
            read_s, paint_s, write_s = (b - a for a, b in itertools.pairwise(clock))
            screen.note(
                f"{given}, read in {read_s:.3f} s, painted in {paint_s:.3f} s, "
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
            style=self._painter.name,
            device=self._painter.device,
            elapsed_s=round(elapsed_s, 4),
            status=status,
        )

    def _failed(self, job: Job, error: ImpastoError, elapsed_s: float) -> Outcome:
        output = None if job.target is None else str(job.target)
        failed = self._outcome(job, "failed", elapsed_s)
        return dataclasses.replace(failed, output=output, error=one_line(str(error)))


def lossless(file_format: str) -> UsageError:
    """Returns the error of a quality given for a format that loses nothing."""
    return UsageError(
        f"--quality is for jpeg, webp and avif, and this result is {file_format.lower()}: "
        "leave it out, or choose another --format"
    )


def check_quality(plan: Plan, settings: Settings) -> None:
    """Refuses ``--quality`` where no result of the run has one.

    Raises:
        UsageError: every result is of a format that loses nothing.
    """
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
