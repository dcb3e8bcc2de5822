"""Measuring how steady a painting is, on a clip or on camera moves over a photo."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

from impasto.errors import UsageError
from impasto.video.animations import Animation, open_source
from impasto.video.changes import Change
from impasto.video.clips import READ_ERRORS, open_clip
from impasto.video.flow import FlowFinder, grey
from impasto.video.frames import Frame, Picture
from impasto.video.moves import MOVES, Shot, make_clip
from impasto.video.steadiness import CUT_SHARE, Carrier, followed
from impasto.video.warp_error import WarpError

NOISE_LEVELS: Final = 2.0
"""Standard deviation of the noise of a made clip's camera."""


@dataclass(frozen=True)
class Footage:
    """A clip to measure on.

    Attributes:
        name: what it is called.
        shots: gives its frames, each with the motion from the one before.
    """

    name: str
    shots: Callable[[], Iterator[Shot]]


def clip_footage(path: Path, *, frames: int, max_side_px: int) -> Footage:
    """Takes the beginning of a clip; motion is found by optical flow at full size.

    Args:
        path: the clip, or an animated picture.
        frames: how many at most.
        max_side_px: frames are made smaller until no side is longer.

    Raises:
        VideoError: the clip cannot be used.
    """
    clip = open_source(path, max_side_px=max_side_px)

    def shots() -> Iterator[Shot]:
        finder = FlowFinder()
        before: Picture | None = None
        for frame in islice(clip.frames(), frames):
            now = grey(frame.rgb, None)
            motion = None if before is None else finder.motion(before, now)
            yield Shot(frame.rgb, motion if motion and motion.share >= CUT_SHARE else None)
            before = now

    return Footage(path.name, shots)


def photo_footage(
    photo: Picture, *, frames: int, max_side_px: int, noise: float = NOISE_LEVELS
) -> list[Footage]:
    """Makes each of `MOVES` over a photo; motion is known.

    Args:
        photo: (H, W, 3) uint8.
        frames: how many of each.
        max_side_px: longer side of the frames, at most the photo's.
        noise: of the camera, in levels.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, max_side_px / max(height, width))
    sides = {"width": max(16, round(width * scale)), "height": max(16, round(height * scale))}

    def made(move: str) -> Callable[[], Iterator[Shot]]:
        return lambda: make_clip(photo, move, frames=frames, noise=noise, **sides)

    return [Footage(move, made(move)) for move in MOVES]


def check_counts(clip: Path, painted: Path) -> None:
    """Refuses a painting whose frames are not those of its clip, one for one.

    Raises:
        VideoError: one of them cannot be used.
        UsageError: they are not as many.
    """
    if _packets(clip) == _packets(painted):
        return
    # A packet is a frame in nearly every file, and the others are known only by decoding.
    sources = [open_source(path, max_side_px=16) for path in (painted, clip)]
    now, before = (sum(1 for _ in source.frames()) for source in sources)
    if now != before:
        raise UsageError(
            f"{painted} has {now} frames, and {clip} has {before}: --painted takes a painting "
            "that was made without --fps, --start and --end"
        )


def _packets(path: Path) -> int | None:
    source = open_source(path)
    if isinstance(source, Animation):
        return source.frame_count
    count = 0
    with open_clip(path) as container, contextlib.suppress(*READ_ERRORS):
        for packet in container.demux(container.streams[source.index]):
            count += packet.size > 0
    return count


def changed(shots: Iterable[Shot], change: Change) -> Iterator[Picture]:
    """Changes a clip as `impasto video` does, without looking at its known motion."""
    frames: Iterator[Frame] = (
        Frame(shot.rgb, number, 1, Fraction(number)) for number, shot in enumerate(shots)
    )
    carrier = None
    if change.steadiness is not None:
        frames = followed(frames)
        carrier = Carrier(change.steadiness.painting_kept)
    for frame in frames:
        result = change.apply(frame)
        if carrier is not None:
            carrier.carry(result)
        yield result.rgb


def measure(
    shots: Iterable[Shot],
    painted: Iterable[Picture],
    *,
    on_frame: Callable[[], None] = lambda: None,
) -> WarpError:
    """Measures the warp error of a painted clip.

    Args:
        shots: the clip.
        painted: its frames, painted.
        on_frame: called after each.

    Raises:
        UsageError: a painted frame is of another size.
    """
    error = WarpError()
    before: Picture | None = None
    for shot, now in zip(shots, painted, strict=False):
        if now.shape != shot.rgb.shape:
            (height, width), (wanted_height, wanted_width) = now.shape[:2], shot.rgb.shape[:2]
            raise UsageError(
                f"the painted frames are {width}x{height}, and the clip's "
                f"{wanted_width}x{wanted_height}: they must be of one size"
            )
        if before is not None and shot.motion is not None:
            error.add(before, now, shot.motion)
        before = now
        on_frame()
    return error
