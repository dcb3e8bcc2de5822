"""Changing a picture's size, and bringing what was painted back to it."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import UsageError
from impasto.images.exif import resized_exif
from impasto.images.reading import Photo

_LEVELS: Final = np.float32(255)


def shrink(photo: Photo, max_side_px: int) -> Photo:
    """Returns a photo whose longer side is at most ``max_side_px``, by a Lanczos filter.

    Colours are weighted by their opacity, so that what lies unseen below transparency does
    not bleed into the edges. A photo that is small enough is returned as it is.

    Args:
        photo: the picture.
        max_side_px: largest width and height of the result, from 1 up.

    Raises:
        UsageError: ``max_side_px`` is below 1.
    """
    if max_side_px < 1:
        raise UsageError(f"the largest side must be at least 1 px, not {max_side_px}")
    height, width = photo.rgb.shape[:2]
    longer = max(height, width)
    if longer <= max_side_px:
        return photo
    size = (
        max(1, round(width * max_side_px / longer)),
        max(1, round(height * max_side_px / longer)),
    )
    image = Image.fromarray(np.ascontiguousarray(photo.rgb))
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(photo.alpha)))
    # On "RGBA", Pillow multiplies by alpha before filtering and divides afterwards.
    pixels = np.array(image.resize(size, Image.Resampling.LANCZOS))
    return dataclasses.replace(
        photo,
        rgb=np.ascontiguousarray(pixels[..., :3]),
        alpha=None if photo.alpha is None else np.ascontiguousarray(pixels[..., 3]),
        exif=None if photo.exif is None else resized_exif(photo.exif, *size),
    )


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
