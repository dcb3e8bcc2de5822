"""Giving a painting a photo's colours, and a picture another one's histogram."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from impasto.images.mapping import bands, empty_like

# ITU-R BT.601, the luma of JPEG.
_LUMA_WEIGHTS: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def luma(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the BT.601 luma of (H, W, 3) sRGB in [0, 1]: (H, W, 1) float32 in [0, 1]."""
    return np.asarray(rgb @ _LUMA_WEIGHTS, dtype=np.float32)[..., None]


def keep_colors(photo: NDArray[np.float32], result: NDArray[np.float32]) -> NDArray[np.float32]:
    """Takes luma from the result and chroma from the photo, both (H, W, 3) sRGB in [0, 1].

    In Y'CbCr, equal chroma means an equal offset from luma in R, G and B, so the change of
    luma is added to all three; what leaves [0, 1] is clipped.
    """
    return np.clip(photo + (luma(result) - luma(photo)), 0.0, 1.0)


def match_histogram(picture: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Changes a picture's levels until each channel has the reference's histogram.

    Each level goes to the reference's level at the same rank, counted to the middle of the
    level's pixels. That keeps the order of levels and changes nothing where both histograms
    are the same. Both are (H, W, 3) uint8, of any two sizes.
    """
    tables = [
        _table(counts, wanted)
        for counts, wanted in zip(_counts(picture), _counts(reference), strict=True)
    ]
    matched = empty_like(picture, picture.shape)
    for rows in bands(*picture.shape[:2], over=(picture, matched)):
        levels = picture[rows]
        matched[rows] = np.dstack([table[levels[..., c]] for c, table in enumerate(tables)])
    return matched


def _counts(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts the pixels at each level, (3, 256)."""
    counts = np.zeros((3, 256), np.int64)
    for rows in bands(*picture.shape[:2], over=[picture]):
        for channel, levels in enumerate(picture[rows].transpose(2, 0, 1)):
            counts[channel] += np.bincount(levels.ravel(), minlength=256)
    return counts


def _table(counts: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Returns the new level of each level, for the numbers of pixels at each."""
    middle_rank = (np.cumsum(counts) - counts / 2) / counts.sum()
    levels: NDArray[np.intp] = np.searchsorted(np.cumsum(wanted) / wanted.sum(), middle_rank)
    return levels.astype(np.uint8)
