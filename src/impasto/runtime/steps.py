"""From the working size to the picture's: sizes of steps, tiles, and where their pixels come from.

All of it is arithmetic on whole pixels, the same for a tile as for the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SMALLEST_WORKING_PX: Final = 64


def working_size_px(stated_px: int, stroke_size: float) -> int:
    """Returns the longer side of a draft whose strokes are so many times as large.

    Args:
        stated_px: what the model states, for strokes of size 1.
        stroke_size: above 0.

    Returns:
        Whole pixels, at least `SMALLEST_WORKING_PX`.
    """
    return max(SMALLEST_WORKING_PX, round(stated_px / stroke_size))


def step_sizes(height: int, width: int, working_px: int) -> list[tuple[int, int]]:
    """Returns heights and widths from a draft's to the picture's, in equal steps of at most 2.

    Args:
        height: of the picture, in px.
        width: likewise.
        working_px: longer side of the draft; that of a smaller picture is its own.
    """
    longer = max(height, width)
    if longer <= working_px:
        return [(height, width)]
    steps = math.ceil(math.log2(longer / working_px))
    shares = [(working_px / longer) ** (1 - number / steps) for number in range(steps)]
    smaller = [(max(1, round(height * s)), max(1, round(width * s))) for s in shares]
    return [*smaller, (height, width)]


def tile_starts(size: int, tile_px: int) -> tuple[list[int], int]:
    """Cuts a side into tiles of one even length, the last of which overlaps the one before.

    Args:
        size: of the side, in px; an odd one counts as one more.
        tile_px: longest tile, even.

    Returns:
        Even numbers of pixels where tiles start, and their length.
    """
    size += size % 2
    count = -(-size // tile_px)
    length = -(-size // (2 * count)) * 2
    return [min(number * length, size - length) for number in range(count)], length


def mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Returns which pixels of a side are seen from one place to another, mirrored at its ends.

    Args:
        start: first place, which may lie before 0.
        stop: one behind the last place, which may lie beyond the side.
        size: of the side, in px.
    """
    places = np.arange(start, stop)
    if size == 1:
        return np.zeros_like(places)
    period = 2 * (size - 1)
    places = np.abs(places) % period
    return np.minimum(places, period - places)


@dataclass(frozen=True)
class Taps:
    """Which two pixels of a side make each pixel of a larger one, by half-pixel bilinear weights.

    The same as ``F.interpolate(mode="bilinear", align_corners=False)`` of PyTorch.

    Attributes:
        first: the lower pixel of each.
        second: the upper one.
        share: of the upper one, 0 to 1, float32.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: NDArray[np.float32]

    @classmethod
    def of(cls, places: NDArray[np.intp], size: int, small_size: int) -> Taps:
        """Returns the taps of some pixels.

        Args:
            places: the pixels, from 0.
            size: of the side that they lie on, in px.
            small_size: of the smaller side.
        """
        source = np.maximum((places + 0.5) * (small_size / size) - 0.5, 0.0)
        first = np.minimum(source.astype(np.intp), small_size - 1)
        second = np.minimum(first + 1, small_size - 1)
        return cls(first, second, (source - first).astype(np.float32))

    @property
    def span(self) -> slice:
        """All pixels that are seen, as one piece."""
        return slice(int(self.first.min()), int(self.second.max()) + 1)

    def within(self, span: slice) -> Taps:
        """Returns the same, counted from the start of a piece."""
        return Taps(self.first - span.start, self.second - span.start, self.share)
