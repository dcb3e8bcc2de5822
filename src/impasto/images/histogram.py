"""Giving a picture the colour histogram of another one."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_STRIP_ROWS: Final = 256  # counting makes a copy of eight times the size


def match_histogram(picture: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Changes a picture's levels until each channel has the reference's histogram.

    Each level goes to the reference's level at the same rank, counted to the middle of the
    level's pixels. That keeps the order of levels and changes nothing where both histograms
    are the same.

    Args:
        picture: (H, W, 3) uint8.
        reference: (h, w, 3) uint8 of any size.

    Returns:
        (H, W, 3) uint8.
    """
    matched = np.empty_like(picture)
    for channel in range(picture.shape[2]):
        table = _table(_counts(picture[..., channel]), _counts(reference[..., channel]))
        np.take(table, picture[..., channel], out=matched[..., channel])
    return matched


def _counts(channel: NDArray[np.uint8]) -> NDArray[np.int64]:
    counts = np.zeros(256, np.int64)
    for top in range(0, len(channel), _STRIP_ROWS):
        counts += np.bincount(channel[top : top + _STRIP_ROWS].ravel(), minlength=256)
    return counts


def _table(counts: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Returns the new level of each level, for the numbers of pixels at each."""
    middle_rank = (np.cumsum(counts) - counts / 2) / counts.sum()
    levels: NDArray[np.intp] = np.searchsorted(np.cumsum(wanted) / wanted.sum(), middle_rank)
    return levels.astype(np.uint8)
