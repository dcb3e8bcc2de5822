"""Clips of known motion, made from a photo: a camera's pan and zoom, and a moving thing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from impasto.video.flow import inside
from impasto.video.frames import Floats, Frame, Motion, Picture

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
