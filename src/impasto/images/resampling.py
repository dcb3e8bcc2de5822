"""Changing a picture's size before painting, and bringing the painting back to it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LEVELS: Final = np.float32(255)


def resample(rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Returns a picture at another size, by a Lanczos filter.

    Args:
        rgb: (H, W, 3) uint8.
        scale: new size divided by old size, above 0; sides are at least 1 px.

    Returns:
        (h, w, 3) uint8; the same array where the size stays.
    """
    height, width = rgb.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return rgb
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def restore(
    rgb: NDArray[np.uint8], small: NDArray[np.float32], painted: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Enlarges what was painted on a smaller picture, with the detail that was lost.

    The change from photo to painting is enlarged and added to the full photo: where the
    painting draws nothing, the photo's fine detail is still there, so that the result is not
    soft.

    Args:
        rgb: (H, W, 3) uint8, the picture at its full size.
        small: (h, w, 3) float32 in [0, 1], what the network saw.
        painted: (h, w, 3) float32, what it made of it.

    Returns:
        (H, W, 3) float32.
    """
    height, width = rgb.shape[:2]
    change = np.stack(
        [
            np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC))
            for channel in (painted - small).transpose(2, 0, 1)
        ],
        axis=-1,
    )
    change += rgb.astype(np.float32) / _LEVELS
    return change
