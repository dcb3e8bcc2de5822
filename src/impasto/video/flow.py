"""Where things were one frame ago: dense optical flow, and how far it can be trusted."""

from __future__ import annotations

from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from impasto.video.frames import Floats, Motion, Picture

Pixel = TypeVar("Pixel", np.uint8, np.float32)

FLOW_PX: Final = 512
"""Longer side of the pictures that flow is found on, unless it shall be measured exactly."""

# A pixel is followed where the flow forth and the flow back nearly cancel out (Sundaram, Brox and
# Keutzer 2010) and where what it leads to looks alike, in grey levels.
_RELATIVE: Final = 0.01
_ABSOLUTE_PX2: Final = 0.5
_ALIKE_LEVELS: Final = 24
# Dense inverse search refuses pictures of fewer pixels on a side than about this.
_LEAST_PX: Final = 16


class FlowFinder:
    """Finds motion by dense inverse search (Kroeger et al. 2016); use it from one thread."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def motion(self, before: Picture, now: Picture) -> Motion:
        """Compares two frames of one size, (h, w) uint8, as from `grey`."""
        back = self._flow(now, before)
        forth = moved(self._flow(before, now), back)
        unlike = cv2.absdiff(now, moved(before, back)) > _ALIKE_LEVELS
        length = _squared(back) + _squared(forth)
        hidden = _squared(back + forth) > _RELATIVE * length + _ABSOLUTE_PX2
        return Motion(back, inside(back) & ~hidden & ~unlike)

    def _flow(self, start: Picture, end: Picture) -> Floats:
        height, width = start.shape
        margins = (0, max(0, _LEAST_PX - height), 0, max(0, _LEAST_PX - width))
        pictures = [cv2.copyMakeBorder(p, *margins, cv2.BORDER_REPLICATE) for p in (start, end)]
        flow: Floats = self._search.calc(*pictures, None)
        return np.ascontiguousarray(flow[:height, :width])


def grey(rgb: Picture, longer_side_px: int | None = FLOW_PX) -> Picture:
    """Returns the picture that flow is found on, (h, w) uint8, at most so large."""
    height, width = rgb.shape[:2]
    scale = 1.0 if longer_side_px is None else min(1.0, longer_side_px / max(height, width))
    if scale < 1:
        size = (max(_LEAST_PX, round(width * scale)), max(_LEAST_PX, round(height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    result: Picture = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return result


def inside(flow: Floats) -> NDArray[np.bool_]:
    """Tells which pixels the flow leads to a place inside the picture, (h, w)."""
    height, width = flow.shape[:2]
    x, y = _places(flow)
    found: NDArray[np.bool_] = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return found


def moved(picture: NDArray[Pixel], flow: Floats) -> NDArray[Pixel]:
    """Moves a picture along a flow, by a bicubic filter that leaves whole pixels as they are.

    Args:
        picture: (H, W) or (H, W, C), the frame before.
        flow: (h, w, 2) float32, as in `Motion`; it is enlarged to the picture's size.

    Returns:
        The same shape and type: where the frame before is now.
    """
    height, width = picture.shape[:2]
    if flow.shape[:2] != (height, width):
        scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale
    x, y = _places(flow)
    result: NDArray[Pixel] = cv2.remap(
        picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return result


def _squared(flow: Floats) -> Floats:
    x, y = flow[..., 0], flow[..., 1]
    return np.asarray(x * x + y * y)


def _places(flow: Floats) -> tuple[Floats, Floats]:
    height, width = flow.shape[:2]
    columns, rows = (np.arange(side, dtype=np.float32) for side in (width, height))
    return flow[..., 0] + columns, flow[..., 1] + rows[:, None]
