"""Changing a picture's size.

All of it goes by rows: a row of a result takes no more of the picture than the filter sees, so
that a picture need not lie in memory, and bands give what the whole would.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
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


def resized(
    picture: NDArray[np.uint8],
    width: int,
    height: int,
    kernel: Image.Resampling,
    *,
    alpha: NDArray[np.uint8] | None = None,
    reducing_gap: float | None = None,
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Resizes a picture, as Pillow's ``resize`` does.

    Args:
        picture: (H, W), (H, W, 3), or (H, W, 4) with alpha, uint8.
        width: of the result, in px.
        height: likewise.
        kernel: the filter.
        alpha: (H, W) uint8, which makes (H, W, 3) a picture of (H, W, 4).
        reducing_gap: as for ``resize``.

    Yields:
        Bands of the result, from top to bottom: which rows, and their values.
    """
    row_pixels = max(width, math.ceil(picture.shape[0] * picture.shape[1] / height))
    for rows in bands(height, row_pixels, most_pixels=_BAND_PIXELS, over=(picture, alpha)):
        yield (
            rows,
            resized_rows(
                picture, rows, width, height, kernel, alpha=alpha, reducing_gap=reducing_gap
            ),
        )


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
    """Returns some rows of what a picture is at another size; the arguments are `resized`'s."""
    whole_height, whole_width = picture.shape[:2]
    across = down = 1
    if reducing_gap is not None:
        across = max(1, int(whole_width / width / reducing_gap))
        down = max(1, int(whole_height / height / reducing_gap))
    step = whole_height / height
    reach_px = _REACH_PX[kernel] * max(step, 1) + down
    part = _part(picture, alpha, rows, height, reach_px, align=down)
    if across > 1 or down > 1:
        image = Image.fromarray(part.values).reduce((across, down))
        part = _Part(
            np.asarray(image), part.first / down, whole_height / down, whole_width / across
        )
    return part.resized(rows, width, height, kernel)


@dataclass(frozen=True)
class _Part:
    """Rows of a picture.

    Attributes:
        values: (rows, W) or (rows, W, C).
        first: the number of the first one.
        height: of the whole picture, in px.
        width: likewise.
    """

    values: NDArray[Any]
    first: float
    height: float
    width: float

    def resized(
        self, rows: slice, width: int, height: int, kernel: Image.Resampling
    ) -> NDArray[Any]:
        """Returns rows of what the whole picture is at another size."""
        step = self.height / height
        reach_px = _REACH_PX[kernel] * max(step, 1) + 1
        top, bottom = (row * step - self.first for row in (rows.start, rows.stop))
        first, end = max(0, math.floor(top - reach_px)), math.ceil(bottom + reach_px)
        image = Image.fromarray(self.values[first:end])
        top, bottom = max(0.0, top - first), min(bottom - first, image.height)
        mode = image.mode
        if mode == "RGBA":
            image = image.convert("RGBa")
        # On its own, Pillow chooses by the size which way comes first. That shows where the first
        # way overshoots and is clipped, and bands would not fit one another.
        size = (width, image.height)
        image = image.resize(size, kernel, box=(0, 0, self.width, image.height))
        size = (width, rows.stop - rows.start)
        return np.asarray(image.resize(size, kernel, box=(0, top, width, bottom)).convert(mode))


def _part(
    picture: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None,
    rows: slice,
    height: int,
    reach_px: float,
    *,
    align: int,
) -> _Part:
    """Reads what rows of a result depend on.

    Args:
        picture: the whole.
        alpha: of the whole, if it is apart.
        rows: of a result.
        height: of the whole result.
        reach_px: how far beyond its own place a row sees, in rows of the picture.
        align: what is read begins at a multiple of this.
    """
    whole_height, whole_width = picture.shape[:2]
    step = whole_height / height
    first = max(0, math.floor(rows.start * step - reach_px) - 1) // align * align
    end = min(whole_height, math.ceil((rows.stop * step + reach_px + 1) / align) * align)
    values = picture[first:end]
    if alpha is not None:
        values = np.dstack([values, alpha[first:end]])
    return _Part(np.ascontiguousarray(values), first, whole_height, whole_width)


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
    rgb = empty_like(photo.rgb, (size[1], size[0], 3))
    alpha = None if photo.alpha is None else empty_like(photo.rgb, (size[1], size[0]))
    # On "RGBA", Pillow multiplies by alpha before filtering and divides afterwards.
    for rows, part in resized(photo.rgb, *size, Image.Resampling.LANCZOS, alpha=photo.alpha):
        rgb[rows] = part[..., :3]
        if alpha is not None:
            alpha[rows] = part[..., 3]
        release(rgb, alpha)
    exif = None if photo.exif is None else resized_exif(photo.exif, *size)
    return dataclasses.replace(photo, rgb=rgb, alpha=alpha, exif=exif)


def resized_to(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Returns a picture at another size, by a Lanczos filter.

    Args:
        rgb: (H, W, 3) uint8.
        height: of the result, in px.
        width: likewise.

    Returns:
        (height, width, 3) uint8; the same array where the size stays.
    """
    if rgb.shape[:2] == (height, width):
        return rgb
    result = empty_like(rgb, (height, width, 3))
    kernel = Image.Resampling.LANCZOS
    for rows, part in resized(rgb, width, height, kernel, reducing_gap=_REDUCING_GAP):
        result[rows] = part
        release(result)
    return result


def mirror_up(rgb: NDArray[np.uint8], min_size_px: int) -> tuple[NDArray[np.uint8], int, int]:
    """Mirrors a picture at its edges, as often as needed, up to a smallest size.

    Args:
        rgb: (H, W, 3) uint8.
        min_size_px: height and width that the result has at least.

    Returns:
        The enlarged picture, and the row and column where the original begins in it.
    """
    height, width = rgb.shape[:2]
    missing_rows, missing_columns = max(0, min_size_px - height), max(0, min_size_px - width)
    if not missing_rows and not missing_columns:
        return rgb, 0, 0
    top, left = missing_rows // 2, missing_columns // 2
    margins = ((top, missing_rows - top), (left, missing_columns - left), (0, 0))
    return np.pad(rgb, margins, mode="reflect"), top, left
