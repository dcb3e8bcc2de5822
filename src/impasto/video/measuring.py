"""Measuring how steady a painting is, on a clip or on camera moves over a photo."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from impasto.errors import UsageError
from impasto.video.animations import Animation, open_source
from impasto.video.changes import Change
from impasto.video.clips import READ_ERRORS, open_clip
from impasto.video.flow import moved
from impasto.video.frames import Frame, Motion, Picture
from impasto.video.moves import MOVES, make_clip
from impasto.video.steadiness import Carrier, followed

NOISE_LEVELS: Final = 2.0
"""Standard deviation of the noise of a made clip's camera."""


@dataclass
class WarpError:
    """Mean squared difference on pixels that are followed, over the frames so far.

    It is in the scale of colours from 0 to 1, over the three channels. Zero is a painting that
    sticks to what it shows; a painting that ignores motion is as bad as one that flickers.

    Attributes:
        squares: sum of the squared differences.
        values: number of the differences.
        pairs: of frames that were compared.
        pixels: of those pairs, followed or not.
    """

    squares: float = 0.0
    values: int = 0
    pairs: int = 0
    pixels: int = 0

    def add(self, before: Picture, now: Picture, motion: Motion) -> None:
        """Compares a painted frame with the one before, by the unpainted clip's motion."""
        difference = moved(before.astype(np.float32), motion.flow) - now
        followed = difference[motion.followed] / 255
        self.squares += float(np.square(followed).sum(dtype=np.float64))
        self.values += followed.size
        self.pairs += 1
        self.pixels += motion.followed.size

    @property
    def mean(self) -> float:
        """The error; not a number where nothing was compared."""
        return self.squares / self.values if self.values else float("nan")

    @property
    def followed(self) -> float:
        """The share of pixels that were compared."""
        return self.values / (3 * self.pixels) if self.pixels else 0.0


@dataclass(frozen=True)
class Footage:
    """A clip to measure on.

    Attributes:
        name: for people.
        shots: gives its frames, each with the motion from the one before.
    """

    name: str
    shots: Callable[[], Iterator[Frame]]


def clip_footage(path: Path, *, frames: int, max_side_px: int) -> Footage:
    """Takes at most so many frames of a clip; motion is found by optical flow at full size.

    Raises:
        VideoError: the clip cannot be used.
    """
    clip = open_source(path, max_side_px=max_side_px)

    def shots() -> Iterator[Frame]:
        return followed(islice(clip.frames(), frames), longer_side_px=None)

    return Footage(path.name, shots)


def photo_footage(
    photo: Picture, *, frames: int, max_side_px: int, noise: float = NOISE_LEVELS
) -> list[Footage]:
    """Makes each of `MOVES` over a photo, (H, W, 3) uint8; motion is known.

    The longer side of a frame is at most the photo's; ``noise`` is the camera's, in levels.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, max_side_px / max(height, width))
    sides = {"width": max(16, round(width * scale)), "height": max(16, round(height * scale))}
    make = partial(make_clip, photo, frames=frames, noise=noise, **sides)
    return [Footage(move, partial(make, move)) for move in MOVES]


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


def changed(shots: Iterable[Frame], change: Change) -> Iterator[Picture]:
    """Changes a clip as `impasto video` does, without looking at its known motion."""
    frames: Iterable[Frame] = (dataclasses.replace(shot, motion=None) for shot in shots)
    carrier = None
    if change.steadiness is not None:
        frames = followed(frames)
        carrier = Carrier(change.steadiness)
    for frame in map(change.apply, frames):
        if carrier is not None:
            carrier.carry(frame)
        yield frame.rgb


def measure(
    shots: Iterable[Frame],
    painted: Iterable[Picture],
    *,
    on_frame: Callable[[], None] = lambda: None,
) -> WarpError:
    """Measures the warp error of a painted clip; ``on_frame`` is called after each frame.

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
