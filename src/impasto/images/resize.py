"""Making pictures smaller."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from impasto.errors import UsageError
from impasto.images.exif import resized_exif
from impasto.images.reading import Photo


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
