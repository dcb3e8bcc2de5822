"""What is done to each frame of a clip: it is painted with dials that may change, or enlarged.

Both are used from one thread, frame after frame. Their ``settings`` are all that the results
depend on, ready for JSON. ``steadiness`` is the share of the result before that is kept, or None.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from impasto.dials import Number, Painting, dials_of
from impasto.errors import UsageError
from impasto.images.reading import Photo
from impasto.runtime.changes import Enlarger
from impasto.runtime.mixing import parse_blend
from impasto.runtime.stylizer import StyleModel
from impasto.video.frames import Frame

Value = TypeVar("Value")
Blend = Mapping[str, float]


@dataclass
class FramePainter:
    """Paints frames with the dials of a timeline.

    Attributes:
        model: the styles.
        timeline: blend and dials at each time.
        steadiness: one of `impasto.video.steadiness.MODES`.
        digest: of the model's file.
        scale: how many times as wide and high a result is.
    """

    model: StyleModel
    timeline: Timeline
    steadiness: float | None = None
    digest: str = ""
    scale: ClassVar[int] = 1

    def apply(self, frame: Frame) -> Frame:
        """Paints a frame."""
        blend, dials = self.timeline.at(float(frame.time_s))
        frame.rgb = self.model.with_blend(blend).paint_with(frame.rgb, dials)
        return frame

    def settings(self) -> dict[str, Any]:
        """Returns the model's digests and all dials."""
        dials = vars(self.timeline.dials)
        mask = dials["mask"]
        timeline = (self.timeline.blend, self.timeline.styles, self.timeline.tracks)
        return {
            "model": [self.digest, self.model.metadata.weights_sha256],
            "timeline": repr(timeline),
            "dials": dials | {"mask": None if mask is None else zlib.crc32(mask.tobytes())},
            "steadiness": repr(self.steadiness),
        }


@dataclass
class FrameEnlarger:
    """Enlarges frames, with their transparency."""

    enlarger: Enlarger
    steadiness: float | None = None

    @property
    def scale(self) -> int:
        """How many times as wide and high a result is."""
        return self.enlarger.scale

    def apply(self, frame: Frame) -> Frame:
        """Enlarges a frame."""
        photo = self.enlarger(Photo(frame.rgb, frame.alpha))
        frame.rgb, frame.alpha = np.ascontiguousarray(photo.rgb), photo.alpha
        return frame

    def settings(self) -> dict[str, Any]:
        """Returns the model's digest and the dials."""
        return {
            "model": self.enlarger.model.metadata.weights_sha256,
            **vars(self.enlarger.dials),
            "steadiness": repr(self.steadiness),
        }


Change: TypeAlias = FramePainter | FrameEnlarger


@dataclass(frozen=True)
class Track(Generic[Value]):
    """A dial's values at some times.

    Attributes:
        times_s: ascending.
        values: one for each; before the first and after the last time they stay.
    """

    times_s: Sequence[float]
    values: Sequence[Value]

    def at(self, time_s: float, mix: Callable[[Value, Value, float], Value]) -> Value:
        """Returns the value at a time; ``mix`` makes what lies between two, given a share."""
        number = bisect_right(self.times_s, time_s)
        if number == 0 or number == len(self.times_s):
            return self.values[max(0, number - 1)]
        first, second = self.times_s[number - 1 : number + 1]
        share = (time_s - first) / (second - first)
        return mix(self.values[number - 1], self.values[number], share)


@dataclass(frozen=True)
class Timeline:
    """The dials of a clip.

    Attributes:
        blend: shares of styles, together 1, where there are no key frames of styles.
        dials: the values of dials without key frames.
        styles: key frames of blends.
        tracks: key frames of dials that are numbers, by the dial's name.
    """

    blend: Blend
    dials: Painting = field(default_factory=Painting)
    styles: Track[Blend] | None = None
    tracks: Mapping[str, Track[float]] = field(default_factory=dict)

    def at(self, time_s: float) -> tuple[Blend, Painting]:
        """Returns the blend and the dials of a frame by when it is shown."""
        blend = self.blend if self.styles is None else self.styles.at(time_s, _mix_blends)
        values: dict[str, Any] = {
            name: track.at(time_s, _mix_by_factors if _by_factors(name) else _mix_evenly)
            for name, track in self.tracks.items()
        }
        return blend, replace(self.dials, **values)


def _by_factors(name: str) -> bool:
    dial = dials_of(Painting)[name]
    return isinstance(dial, Number) and dial.by_factors


def _mix_evenly(first: float, second: float, share: float) -> float:
    return (1 - share) * first + share * second


def _mix_by_factors(first: float, second: float, share: float) -> float:
    return first * math.pow(second / first, share)


def _mix_blends(first: Blend, second: Blend, share: float) -> Blend:
    mixed = {
        name: _mix_evenly(first.get(name, 0.0), second.get(name, 0.0), share)
        for name in {**first, **second}
    }
    return {name: part for name, part in mixed.items() if part > 0}


def parse_styles(flag: str, texts: Sequence[str]) -> Track[Blend] | None:
    """Reads key frames such as ``12.5:great_wave`` or ``0:udnie:0.7,great_wave:0.3``.

    Raises:
        UsageError: one of them is none.
    """
    return _track(flag, texts, "STYLE, such as 12.5:great_wave", parse_blend)


def parse_numbers(name: str, texts: Sequence[str]) -> Track[float] | None:
    """Reads key frames such as ``12.5:0.8`` of a dial of `Painting`.

    Raises:
        UsageError: one of them is none, or its number is none of the dial's.
    """
    dial, flag = dials_of(Painting)[name], f"{name.replace('_', '-')}-at"
    wanted = f"{dial.values}, such as 12.5:{dial.default:g}"
    return _track(flag, texts, wanted, lambda text: dial.read(f"--{flag}", text))


def parse_time(flag: str, text: str) -> float:
    """Reads a time in seconds; a `UsageError` says that it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UsageError(f"--{flag} takes seconds, such as 12.5, not {text!r}")
    return value


def _track(
    flag: str, texts: Sequence[str], wanted: str, parse: Callable[[str], Value]
) -> Track[Value] | None:
    keys: dict[float, Value] = {}
    for text in texts:
        time, colon, rest = text.partition(":")
        try:
            if not colon:
                raise ValueError
            value = parse(rest)
        except ValueError:
            raise UsageError(f"--{flag} takes TIME:{wanted}, not {text!r}") from None
        time_s = parse_time(flag, time)
        if time_s in keys:
            raise UsageError(f"--{flag} is given twice for {time_s:g} s")
        keys[time_s] = value
    times = sorted(keys)
    return Track(times, [keys[time] for time in times]) if keys else None
