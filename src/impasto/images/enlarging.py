"""What enlarging a picture takes beside its colours: transparency, EXIF, halving."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.images.exif import resized_exif
from impasto.images.mapping import bands, empty_like, release
from impasto.images.reading import Photo
from impasto.images.resize import resized


def enlarge_rest(photo: Photo) -> Photo:
    """Makes the rest of a photo follow its colours, which have been enlarged.

    Alpha is resized bicubically, and EXIF states the new size where it states one.
    """
    height, width = photo.rgb.shape[:2]
    alpha = None
    if photo.alpha is not None:
        alpha = empty_like(photo.alpha, (height, width))
        for rows, part in resized(photo.alpha, width, height, Image.Resampling.BICUBIC):
            alpha[rows] = part
            release(alpha)
    exif = None if photo.exif is None else resized_exif(photo.exif, width, height)
    return dataclasses.replace(photo, alpha=alpha, exif=exif)


def fill_hidden(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Returns a picture's colours with those of visible pixels in place of hidden ones.

    Whatever lies below full transparency, mostly black, would otherwise colour the edges of
    what is visible when a picture is enlarged. From coarse to fine, each hidden pixel gets the
    mean of the visible ones around it.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8, or None where nothing is transparent.

    Returns:
        (H, W, 3) uint8; the same picture where nothing or everything is hidden.
    """
    if alpha is None:
        return rgb
    height, width = alpha.shape
    any_seen, all_seen = False, True
    for rows in bands(height, width, over=[alpha]):
        seen = alpha[rows] > 0
        any_seen, all_seen = any_seen or bool(seen.any()), all_seen and bool(seen.all())
    if all_seen or not any_seen:
        return rgb
    finest = empty_like(rgb, (height, width, 4))
    for rows in bands(height, width, over=(rgb, alpha, finest)):
        finest[rows] = np.dstack([rgb[rows], _whether_seen(alpha[rows])])
    levels = [finest]
    while not all_seen:
        height, width = ((side + 1) // 2 for side in levels[-1].shape[:2])
        smaller = empty_like(rgb, (height, width, 4))
        all_seen = True
        for rows in bands(height, width, over=(levels[-1], smaller)):
            finer_rows = levels[-1][2 * rows.start : 2 * rows.stop]
            # On "RGBA", Pillow weights colours by alpha: hidden ones count for nothing.
            part = np.asarray(Image.fromarray(finer_rows).reduce(2))
            visible = _whether_seen(part[..., 3])
            smaller[rows] = np.dstack([part[..., :3], visible])
            all_seen = all_seen and bool(visible.all())
        levels.append(smaller)
    filled = levels.pop()
    for level in reversed(levels):
        height, width = level.shape[:2]
        finer = empty_like(rgb, (height, width, 3))
        for rows, around in resized(filled, width, height, Image.Resampling.BILINEAR):
            part = level[rows]
            finer[rows] = np.where(part[..., 3:] > 0, part[..., :3], around[..., :3])
            release(level, finer)
        filled = finer
    return filled


def _whether_seen(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(alpha > 0, np.uint8(255), np.uint8(0))


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
