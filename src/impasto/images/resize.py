"""Changing a picture's size.

All of it goes by rows: a row of a result takes no more of the picture than the filter sees, so
that a picture need not lie in memory, and bands give what the whole would.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import UsageError
from impasto.images.exif import resized_exif
from impasto.images.mapping import bands, empty_like, release
from impasto.images.reading import Photo

# How far each kernel reaches, in pixels of the picture or of the result, whichever are larger.
_REACH_PX: Final = {
    Image.Resampling.BILINEAR: 1.0,
    Image.Resampling.BICUBIC: 2.0,
    Image.Resampling.LANCZOS: 3.0,
}
# Above the size of usual photos, which are resized at once.
_BAND_PIXELS: Final = 1 << 24
_REDUCING_GAP: Final = 3.0


def resized_rows(
    picture: NDArray[np.uint8],
    rows: slice,
    width: int,
    height: int,
    kernel: Image.Resampling,
    *,
    alpha: NDArray[np.uint8] | None = None,
    reducing_gap: float | None = None,
) -> NDArray[Any]:
    """Returns some rows of what Pillow's ``resize`` makes of a picture.

    Args:
        picture: (H, W), (H, W, 3), or (H, W, 4) with alpha, uint8.
        rows: of the result.
        width: of the whole result, in px.
        height: of the whole result, in px.
        kernel: the filter.
        alpha: (H, W) uint8, which makes (H, W, 3) a picture of (H, W, 4).
        reducing_gap: that of ``resize``.
    """
    whole_height, whole_width = picture.shape[:2]
    across = down = 1
    if reducing_gap is not None:
        across = max(1, int(whole_width / width / reducing_gap))
        down = max(1, int(whole_height / height / reducing_gap))
    step = whole_height / down / height
    reach_px = _REACH_PX[kernel] * max(step, 1) + 1
    first = max(0, math.floor(rows.start * step - reach_px))
    seen = slice(first * down, math.ceil(rows.stop * step + reach_px) * down)
    values = picture[seen]
    if alpha is not None:
        values = np.dstack([values, alpha[seen]])
    image = Image.fromarray(np.ascontiguousarray(values))
    if across > 1 or down > 1:
        image = image.reduce((across, down))
    mode = image.mode
    if mode == "RGBA":
        image = image.convert("RGBa")
    # On its own, Pillow chooses by the size which way comes first. That shows where the first
    # way overshoots and is clipped, and bands would not fit one another.
    box = (0, 0, whole_width / across, image.height)
    image = image.resize((width, image.height), kernel, box=box)
    box = (0, rows.start * step - first, width, min(rows.stop * step - first, image.height))
    return np.asarray(image.resize((width, rows.stop - rows.start), kernel, box=box).convert(mode))


def _resized(
    picture: NDArray[np.uint8],
    width: int,
    height: int,
    kernel: Image.Resampling,
    *,
    alpha: NDArray[np.uint8] | None = None,
    reducing_gap: float | None = None,
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yields a result in bands from top to bottom: their rows and `resized_rows`."""
    row_pixels = max(width, math.ceil(picture.shape[0] * picture.shape[1] / height))
    for rows in bands(height, row_pixels, most_pixels=_BAND_PIXELS, over=(picture, alpha)):
        yield (
            rows,
            resized_rows(
                picture, rows, width, height, kernel, alpha=alpha, reducing_gap=reducing_gap
            ),
        )


def shrink(photo: Photo, max_side_px: int) -> Photo:
    """Returns a photo whose longer side is at most ``max_side_px``, by a Lanczos filter.

    Colours are weighted by their opacity, so that what lies unseen below transparency does
    not bleed into the edges. A photo that is small enough is returned as it is.

    Raises:
        UsageError: ``max_side_px`` is below 1.
    """
    if max_side_px < 1:
        raise UsageError(f"the largest side must be at least 1 px, not {max_side_px}")
    longer = max(photo.rgb.shape[:2])
    if longer <= max_side_px:
        return photo
    height, width = (max(1, round(s * max_side_px / longer)) for s in photo.rgb.shape[:2])
    rgb = empty_like(photo.rgb, (height, width, 3))
    alpha = None if photo.alpha is None else empty_like(photo.rgb, (height, width))
    # On "RGBA", Pillow multiplies by alpha before filtering and divides afterwards.
    kernel = Image.Resampling.LANCZOS
    for rows, part in _resized(photo.rgb, width, height, kernel, alpha=photo.alpha):
        rgb[rows] = part[..., :3]
        if alpha is not None:
            alpha[rows] = part[..., 3]
        release(rgb, alpha)
    exif = None if photo.exif is None else resized_exif(photo.exif, width, height)
    return dataclasses.replace(photo, rgb=rgb, alpha=alpha, exif=exif)


def resized_to(
    picture: NDArray[np.uint8],
    height: int,
    width: int,
    kernel: Image.Resampling = Image.Resampling.LANCZOS,
) -> NDArray[np.uint8]:
    """Returns a picture of (H, W, 3) or (H, W) uint8 at another size in px, where it lies.

    The same array is returned where the size stays.
    """
    if picture.shape[:2] == (height, width):
        return picture
    result = empty_like(picture, (height, width, *picture.shape[2:]))
    for rows, part in _resized(picture, width, height, kernel, reducing_gap=_REDUCING_GAP):
        result[rows] = part
        release(result)
    return result


def mirror_up(rgb: NDArray[np.uint8], min_size_px: int) -> tuple[NDArray[np.uint8], int, int]:
    """Mirrors (H, W, 3) uint8 at its edges, as often as needed, up to a smallest height and width.

    Returns:
        The enlarged picture, and the row and column where the original begins in it.
    """
    missing = [max(0, min_size_px - side) for side in rgb.shape[:2]]
    if not any(missing):
        return rgb, 0, 0
    margins = [(px // 2, px - px // 2) for px in missing]
    (top, _), (left, _) = margins
    return np.pad(rgb, [*margins, (0, 0)], mode="reflect"), top, left


def enlarge_rest(photo: Photo) -> Photo:
    """Makes the rest of a photo follow its colours, which have been enlarged.

    Alpha is resized bicubically, and EXIF states the new size where it states one.
    """
    height, width = photo.rgb.shape[:2]
    alpha, exif = photo.alpha, photo.exif
    if alpha is not None:
        alpha = resized_to(alpha, height, width, Image.Resampling.BICUBIC)
    if exif is not None:
        exif = resized_exif(exif, width, height)
    return dataclasses.replace(photo, alpha=alpha, exif=exif)


def fill_hidden(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Returns a picture's colours with those of visible pixels in place of hidden ones.

    Black below full transparency would otherwise colour the edges of what is visible when a picture
    is enlarged. From coarse to fine, each hidden pixel gets the mean of the visible ones around it.
    The same (H, W, 3) uint8 is returned where nothing or everything is hidden.
    """
    if alpha is None:
        return rgb
    height, width = alpha.shape
    ends = [(alpha[rows].min(), alpha[rows].max()) for rows in bands(height, width, over=[alpha])]
    if all(least > 0 for least, _ in ends) or not any(most > 0 for _, most in ends):
        return rgb
    finest = empty_like(rgb, (height, width, 4))
    for rows in bands(height, width, over=(rgb, alpha, finest)):
        finest[rows] = np.dstack([rgb[rows], _whether_seen(alpha[rows])])
    levels = [finest]
    all_seen = False
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
        for rows, around in _resized(filled, width, height, Image.Resampling.BILINEAR):
            part = level[rows]
            finer[rows] = np.where(part[..., 3:] > 0, part[..., :3], around[..., :3])
            release(level, finer)
        filled = finer
    return filled


def _whether_seen(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(alpha > 0, np.uint8(255), np.uint8(0))


def halved(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns (2 H, 2 W, 3) as (H, W, 3): each pixel is the mean of the four that it covers."""
    result = picture[0::2, 0::2] + picture[0::2, 1::2]
    result += picture[1::2, 0::2]
    result += picture[1::2, 1::2]
    result *= np.float32(0.25)
    return result
