"""From a clip to a painted or enlarged clip, with all that belongs to it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from impasto._version import __version__
from impasto.errors import UsageError, VideoError
from impasto.video.animations import Animation, is_animation, open_source, write_animation
from impasto.video.changes import Change
from impasto.video.clips import Clip
from impasto.video.encoding import Encoding, choose_codec
from impasto.video.frames import Frame
from impasto.video.joining import ALL, Extract, join, streams_left_out
from impasto.video.pieces import Memory, PieceFolder
from impasto.video.pipeline import run_stages
from impasto.video.steadiness import Carrier, followed

# Sound that is a little longer than the picture is usual.
_EARLY_S: Final = Fraction(1, 2)

OnFrame = Callable[[int, int | None], None]
"""Told the frames that are done, and about how many there are, if that is known."""


@dataclass(frozen=True)
class VideoSettings:
    """How a clip is read and written.

    Attributes:
        codec: one of `encoding.CODECS`; None chooses by container and bits.
        crf: constant rate factor; None is the codec's usual one.
        max_side_px: frames are made smaller until no side is longer; None keeps the size.
        extract: which part of the clip.
        frame_rate: frames per second of the result; None keeps each frame's time.
    """

    codec: str | None = None
    crf: int | None = None
    max_side_px: int | None = None
    extract: Extract = ALL
    frame_rate: Fraction | None = None


@dataclass
class Outcome:
    """What became of a clip.

    Attributes:
        width, height: of the result, in px, as it is shown.
        frames: of the result.
        resumed: those of them that an interrupted run had finished.
        scenes: scenes that were told apart among the rest; 0 where steadiness is off.
        damaged: packets of the clip that were skipped, and frames that were patched up.
        notes: lines for a person.
    """

    width: int
    height: int
    frames: int = 0
    resumed: int = 0
    scenes: int = 0
    damaged: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)


def render(
    path: Path,
    result: Path,
    change: Change,
    settings: VideoSettings,
    *,
    on_frame: OnFrame = lambda _done, _total: None,
) -> Outcome:
    """Changes each frame of a clip.

    A run that is interrupted leaves the pieces that it finished beside the result, and the next
    one with the same settings goes on from there. An animated picture is made in one go.

    Args:
        path: the clip, or an animated picture.
        result: the file, written atomically; its suffix is one of `joining.CONTAINERS` or
            `animations.FORMATS`.
        change: paints or enlarges each frame.
        settings: how the clip is read and written.
        on_frame: told after each frame.

    Raises:
        VideoError: the clip cannot be used.
        OutputError: the result cannot be written, or cannot hold the clip's sound.
        UsageError: codec, rate factor and the result's suffix do not go together.
    """
    source = open_source(path, max_side_px=settings.max_side_px)
    run = _Run(source, result, change, settings, on_frame)
    if is_animation(result):
        run.animation()
    else:
        run.clip()
    run.outcome.damaged = source.damaged
    return run.outcome


class _Run:
    """One source on its way to one result."""

    def __init__(
        self,
        source: Clip | Animation,
        result: Path,
        change: Change,
        settings: VideoSettings,
        on_frame: OnFrame,
    ) -> None:
        self._source, self._result = source, result
        self._change, self._settings, self._on_frame = change, settings, on_frame
        rate = settings.frame_rate
        self._time_base = source.time_base if rate is None else 1 / rate
        self.outcome = Outcome(source.width * change.scale, source.height * change.scale)
        self._carrier: Carrier | None = None

    def animation(self) -> None:
        """Makes an animated picture."""
        if self._settings.codec is not None or self._settings.crf is not None:
            raise UsageError(
                f"--codec and --crf are for clips, and {self._result.suffix} is an animated "
                "picture: leave them out"
            )
        if self._source.has_sound:
            self.outcome.notes.append(f"{self._result.suffix} holds no sound: it is left out")

        def write(frames: Iterator[Frame]) -> None:
            left_out = write_animation(
                self._result, frames, time_base=self._time_base, loop=self._source.loop
            )
            if left_out:
                self.outcome.notes.append(
                    f"left out of {self._result.suffix}: {left_out} frames that come faster than "
                    "viewers show them"
                )

        self._work(None, {}, write)

    def clip(self) -> None:
        """Makes a clip, in pieces."""
        encoding, suffix = self._encoding(), self._result.suffix.lower()
        notes, extract = self.outcome.notes, self._settings.extract
        clip = self._source if isinstance(self._source, Clip) else None
        if clip is not None:
            left_out = streams_left_out(clip.path, suffix)
            notes += [f"left out of {suffix}: {what}" for what in left_out]
            if clip.other_videos:
                notes.append(f"only the first of {clip.other_videos + 1} videos was taken")
        if encoding.pixel_format.startswith("yuv444") and encoding.codec in ("h264", "hevc"):
            notes.append(
                f"{encoding.width}x{encoding.height} is odd, and {encoding.codec} holds that only "
                "in full colour resolution, which some players refuse: --codec vp9 or an even "
                "--max-size avoids it"
            )
        with PieceFolder(self._result, self._made_by(encoding)) as folder:

            def write(frames: Iterator[Frame]) -> None:
                carrier = self._carrier
                folder.write(frames, encoding, lambda: carrier.mixture if carrier else None)

            next_pts = folder.pieces[-1].next_pts if folder.pieces else None
            self.outcome.resumed = self.outcome.frames = folder.frame_count
            self._work(next_pts, folder.memory, write)
            if clip is not None and extract.ends_s is None:
                notes += _ends_early(clip)
            join(self._result, folder, encoding, clip, extract)
            folder.clear()

    def _work(
        self, next_pts: int | None, memory: Memory, write: Callable[[Iterator[Frame]], None]
    ) -> None:
        """Reads, changes and writes frames at the same time.

        Args:
            next_pts: of the first frame, in the result's time; None begins with the first of all.
            memory: of the frame before it.
            write: takes all frames.
        """
        frames, steadiness, total = self._selected(next_pts), self._change.steadiness, self._total()
        if steadiness is not None:
            self._carrier = Carrier(steadiness, memory.get("mixture"))
            frames = followed(frames, memory.get("grey"))

        def work(frame: Frame) -> Frame:
            frame = self._change.apply(frame)
            self.outcome.frames += 1
            self.outcome.scenes += steadiness is not None and frame.motion is None
            self._on_frame(self.outcome.frames, total)
            return frame

        def carried(changed: Iterator[Frame]) -> Iterator[Frame]:
            for frame in changed:
                if self._carrier is not None:
                    self._carrier.carry(frame)
                yield frame

        run_stages(frames, work, lambda changed: write(carried(changed)))
        if not self.outcome.frames:
            raise VideoError(f"{self._source.path} has no frame between --start and --end")

    def _selected(self, next_pts: int | None) -> Iterator[Frame]:
        """Reads the frames of the extract, with their times in the result."""
        extract, origin_s = self._settings.extract, self._source.origin_s
        if self._settings.frame_rate is not None:
            yield from self._at_rate(self._settings.frame_rate, next_pts or 0)
            return
        shift = round((origin_s + extract.shift_s) / self._time_base)
        first_s = extract.begins_s
        if next_pts is not None:
            first_s = (next_pts + shift) * self._time_base - origin_s
        for frame in self._source.frames(first_s):
            if not extract.holds(frame.time_s):
                return
            frame.pts -= shift
            yield frame

    def _at_rate(self, rate: Fraction, number: int) -> Iterator[Frame]:
        """Gives the frame that is shown at each time of a grid, from one of them on."""
        extract = self._settings.extract
        waiting: Frame | None = None

        def until(end_s: Fraction) -> Iterator[Frame]:
            nonlocal number
            if waiting is None:
                return
            while (time_s := extract.shift_s + number / rate) < end_s:
                yield dataclasses.replace(waiting, pts=number, duration=1, time_s=time_s)
                number += 1

        end_s = extract.shift_s
        for frame in self._source.frames(None):
            if extract.ends_s is not None and frame.time_s >= extract.ends_s:
                break
            yield from until(frame.time_s)
            waiting = frame
            end_s = frame.time_s + frame.duration * self._source.time_base
        yield from until(end_s if extract.ends_s is None else min(end_s, extract.ends_s))

    def _encoding(self) -> Encoding:
        settings, source = self._settings, self._source
        sides = self.outcome.width, self.outcome.height
        return Encoding(
            choose_codec(settings.codec, settings.crf, self._result.suffix.lower(), source.bits),
            settings.crf,
            *(sides if source.turns % 2 == 0 else sides[::-1]),
            source.bits,
            self._time_base,
            settings.frame_rate or source.frame_rate,
            source.colour.sdr,
            source.turns,
            source.pixel_shape,
        )

    def _made_by(self, encoding: Encoding) -> dict[str, Any]:
        stat = self._source.path.stat()
        return {
            "impasto": __version__,
            "clip": [os.path.realpath(self._source.path), stat.st_size, stat.st_mtime_ns],
            "settings": repr(self._settings),
            "encoding": repr(encoding),
            "change": self._change.settings(),
        }

    def _total(self) -> int | None:
        """Returns how many frames about the result has, if that is known."""
        source, extract = self._source, self._settings.extract
        if source.frame_count is None:
            return None
        length_s = source.frame_count / source.frame_rate
        if extract.ends_s is not None:
            length_s = min(length_s, extract.ends_s)
        rate = self._settings.frame_rate or source.frame_rate
        return max(1, round((length_s - extract.shift_s) * rate))


def _ends_early(clip: Clip) -> list[str]:
    """Tells of a clip whose frames end before the stated time, as a truncated one's do."""
    if clip.stated_s is None or not 0 < clip.ended_s < clip.stated_s - _EARLY_S:
        return []
    ended_s, stated_s = float(clip.ended_s), float(clip.stated_s)
    return [f"{clip.path} states {stated_s:.1f} s, and its frames end after {ended_s:.1f} s"]
