"""Mixing a photo with its painted version.

Arrays are (H, W, 3) float32 sRGB values in [0, 1].
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# ITU-R BT.601, the luma of JPEG.
_LUMA_WEIGHTS: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def luma(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the BT.601 luma, (H, W, 1) float32 in [0, 1]."""
    return np.asarray(rgb @ _LUMA_WEIGHTS, dtype=np.float32)[..., None]


def keep_colors(photo: NDArray[np.float32], result: NDArray[np.float32]) -> NDArray[np.float32]:
    """Takes luma from the result and chroma from the photo.

    In Y'CbCr, equal chroma means an equal offset from luma in R, G and B, so the change of
    luma is added to all three; what leaves [0, 1] is clipped.
    """
    return np.clip(photo + (luma(result) - luma(photo)), 0.0, 1.0)
