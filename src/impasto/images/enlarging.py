"""What enlarging a picture takes beside its colours: transparency, EXIF, halving."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.images.exif import resized_exif
from impasto.images.reading import Photo


def enlarged_photo(photo: Photo, rgb: NDArray[np.uint8]) -> Photo:
    """Returns a photo with enlarged colours; everything else of it follows their size.

    Alpha is resized bicubically, and EXIF states the new size where it states one.

    Args:
        photo: the picture.
        rgb: (H, W, 3) uint8, its colours at the new size.
    """
    height, width = rgb.shape[:2]
    alpha = photo.alpha
    if alpha is not None:
        image = Image.fromarray(np.ascontiguousarray(alpha))
        alpha = np.array(image.resize((width, height), Image.Resampling.BICUBIC))
    exif = None if photo.exif is None else resized_exif(photo.exif, width, height)
    return dataclasses.replace(photo, rgb=rgb, alpha=alpha, exif=exif)


def fill_hidden(photo: Photo) -> NDArray[np.uint8]:
    """Returns a photo's colours with those of visible pixels in place of hidden ones.

    Whatever lies below full transparency, mostly black, would otherwise colour the edges of
    what is visible when a picture is enlarged. From coarse to fine, each hidden pixel gets the
    mean of the visible ones around it.

    Args:
        photo: the picture.

    Returns:
        (H, W, 3) uint8; the same array where nothing or everything is hidden.
    """
    if photo.alpha is None or photo.alpha.all() or not photo.alpha.any():
        return photo.rgb
    seen = np.where(photo.alpha > 0, np.uint8(255), np.uint8(0))
    levels = [np.dstack([photo.rgb, seen])]
    while not levels[-1][..., 3].all():
        height, width = levels[-1].shape[:2]
        half = ((width + 1) // 2, (height + 1) // 2)
        # On "RGBA", Pillow weights colours by alpha: hidden ones count for nothing.
        smaller = np.array(Image.fromarray(levels[-1]).resize(half, Image.Resampling.BOX))
        smaller[..., 3] = np.where(smaller[..., 3] > 0, np.uint8(255), np.uint8(0))
        levels.append(smaller)
    filled = levels.pop()[..., :3]
    for level in reversed(levels):
        height, width = level.shape[:2]
        coarse = Image.fromarray(np.ascontiguousarray(filled))
        around = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR))
        filled = np.where(level[..., 3:] > 0, level[..., :3], around)
    return filled


def halved(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a picture of half the size, each pixel the mean of the four that it covers.

    Args:
        picture: (2 H, 2 W, 3) float32.

    Returns:
        (H, W, 3) float32.
    """
    result = picture[0::2, 0::2] + picture[0::2, 1::2]
    result += picture[1::2, 0::2]
    result += picture[1::2, 1::2]
    result *= np.float32(0.25)
    return result
