"""Measuring how steady a painting is, on a clip or on camera moves over a photo."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from impasto.errors import UsageError
from impasto.video.animations import Animation, open_source
from impasto.video.changes import Change
from impasto.video.clips import READ_ERRORS, open_clip
from impasto.video.flow import inside, moved
from impasto.video.frames import Floats, Frame, Motion, Picture
from impasto.video.steadiness import Carrier, followed

MOVES: Final = ("pan", "zoom", "object")

# What changes from frame to frame: in frame widths and heights, as a factor, in radians. A pan
# and a zoom turn back before they reach the photo's edge and its pixels.
_PAN: Final = (0.006, 0.0025)
_PAN_ROOM: Final = 0.6
_ZOOM: Final = 1.012
_ZOOM_MOST: Final = 2.0
_ORBIT_RAD: Final = 0.05
_ORBIT: Final = 0.22
_DISC: Final = 0.22
# Pixels on either side of the disc's edge are mixtures, which nothing follows.
_EDGE_PX: Final = 2.0

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


@dataclass(frozen=True)
class _View:
    """What is seen in a frame: ``corner + scale * pixel`` of the photo, and a disc before it."""

    corner: tuple[float, float]
    scale: float = 1.0
    disc: tuple[float, float] | None = None


def make_clip(
    photo: Picture, move: str, *, frames: int, width: int, height: int, noise: float = 0.0
) -> Iterator[Frame]:
    """Films a photo.

    Args:
        photo: (H, W, 3) uint8, best larger than the frames.
        move: one of `MOVES`; ``"object"`` is a disc that shows the photo upside down and goes
            around before the photo, which rests.
        frames: how many.
        width: of a frame, in px.
        height: of a frame, in px.
        noise: standard deviation of a camera's noise, in levels; the same in every run.

    Yields:
        Each frame, with the exact motion from the one before; one lasts a second.
    """
    rng = np.random.default_rng(0)
    room = 1 + _PAN_ROOM if move == "pan" else 1.0
    photo = _covering(photo, round(width * room), round(height * room))
    radius = _DISC * min(width, height)
    before: _View | None = None
    for number in range(frames):
        view = _view(move, number, width, height)
        rgb = _seen(photo, view, width, height, radius)
        if noise:
            rgb = np.clip(np.rint(rgb + rng.normal(0, noise, rgb.shape)), 0, 255).astype(np.uint8)
        motion = None if before is None else _motion(before, view, width, height, radius)
        yield Frame(rgb, number, 1, Fraction(number), motion=motion)
        before = view


def _view(move: str, number: int, width: int, height: int) -> _View:
    if move == "pan":
        x, y = (_to_and_fro(number * step, _PAN_ROOM) for step in _PAN)
        return _View((x * width, y * height))
    if move == "zoom":
        scale = _ZOOM ** -_to_and_fro(number, math.log(_ZOOM_MOST, _ZOOM))
        return _View(((1 - scale) * (width - 1) / 2, (1 - scale) * (height - 1) / 2), scale)
    angle = number * _ORBIT_RAD
    return _View(
        (0.0, 0.0),
        disc=(
            width * (0.5 + _ORBIT * math.cos(angle)),
            height * (0.5 + _ORBIT * math.sin(angle)),
        ),
    )


def _to_and_fro(way: float, room: float) -> float:
    return room - abs(room - way % (2 * room))


def _covering(photo: Picture, width: int, height: int) -> Picture:
    """Resizes and crops a photo to a size."""
    scale = max(width / photo.shape[1], height / photo.shape[0])
    size = (max(width, round(photo.shape[1] * scale)), max(height, round(photo.shape[0] * scale)))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized: Picture = cv2.resize(photo, size, interpolation=kind)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(resized[top : top + height, left : left + width])


def _seen(photo: Picture, view: _View, width: int, height: int, radius: float) -> Picture:
    (x, y), scale = view.corner, view.scale
    matrix = np.array([[scale, 0, x], [0, scale, y]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    rgb: Picture = cv2.warpAffine(
        photo, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    if view.disc is None:
        return rgb
    # The disc's middle shows that of the photo.
    matrix = np.array([[1, 0, width / 2 - view.disc[0]], [0, 1, height / 2 - view.disc[1]]])
    disc = cv2.warpAffine(
        photo[::-1].copy(), matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    cover = np.clip(radius - _distance(view.disc, _grid(width, height)) + 0.5, 0, 1)[..., None]
    mixed = np.rint(rgb + cover * (disc.astype(np.float32) - rgb))
    return np.asarray(mixed, np.uint8)


def _motion(before: _View, now: _View, width: int, height: int, radius: float) -> Motion:
    places = _grid(width, height)
    corners = np.subtract(now.corner, before.corner, dtype=np.float32)
    were = (places * np.float32(now.scale) + corners) / np.float32(before.scale)
    if now.disc is None or before.disc is None:
        flow = were - places
        return Motion(flow, inside(flow))
    distance = _distance(now.disc, places)
    within = distance < radius
    step = np.subtract(now.disc, before.disc, dtype=np.float32)
    flow = np.where(within[..., None], -step, were - places)
    clear = np.where(
        within,
        distance < radius - _EDGE_PX,
        (distance > radius + _EDGE_PX) & (_distance(before.disc, were) > radius + _EDGE_PX),
    )
    return Motion(flow, inside(flow) & clear)


def _grid(width: int, height: int) -> Floats:
    """Returns the places of a picture's pixels, (H, W, 2): x and y."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([columns, rows], axis=-1)


def _distance(middle: tuple[float, float], places: Floats) -> NDArray[np.float32]:
    away = places - np.array(middle, np.float32)
    return np.asarray(np.hypot(away[..., 0], away[..., 1]), np.float32)
