"""Changing a picture's size, and bringing what was painted back to it.

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
from PIL import Image, ImageFilter

from impasto.errors import UsageError
from impasto.images.exif import resized_exif
from impasto.images.reading import AnyPhoto
from impasto.images.rows import Picture, Rows, WithAlpha, bands, room_like

_LEVELS: Final = np.float32(255)
# `restore_rows` compares painting and photo in windows; less variance than this is a photo's
# noise.
_WINDOW_PX: Final = 4
_NOISE_VARIANCE: Final = np.float32(0.001)
_STEEPEST: Final = np.float32(2)
_SMALLEST_SPAN: Final = np.float32(1e-6)

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
    picture: Rows,
    width: int,
    height: int,
    kernel: Image.Resampling,
    *,
    reducing_gap: float | None = None,
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Resizes a picture, as Pillow's ``resize`` does.

    Args:
        picture: (H, W), (H, W, 3), or (H, W, 4) with alpha, uint8.
        width: of the result, in px.
        height: likewise.
        kernel: the filter.
        reducing_gap: as for ``resize``.

    Yields:
        Bands of the result, from top to bottom: which rows, and their values.
    """
    row_pixels = max(width, math.ceil(picture.shape[0] * picture.shape[1] / height))
    for rows in bands(height, row_pixels, most_pixels=_BAND_PIXELS):
        yield rows, resized_rows(picture, rows, width, height, kernel, reducing_gap=reducing_gap)


def resized_rows(
    picture: Rows,
    rows: slice,
    width: int,
    height: int,
    kernel: Image.Resampling,
    *,
    reducing_gap: float | None = None,
) -> NDArray[Any]:
    """Returns some rows of what a picture is at another size; the arguments are `resized`'s."""
    whole_height, whole_width = picture.shape[:2]
    across = down = 1
    if reducing_gap is not None:
        across = max(1, int(whole_width / width / reducing_gap))
        down = max(1, int(whole_height / height / reducing_gap))
    step = whole_height / height
    part = _part(picture, rows, height, _REACH_PX[kernel] * max(step, 1) + down, align=down)
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


def _part(picture: Rows, rows: slice, height: int, reach_px: float, *, align: int = 1) -> _Part:
    """Reads what rows of a result depend on.

    Args:
        picture: the whole.
        rows: of a result.
        height: of the whole result.
        reach_px: how far beyond its own place a row sees, in rows of the picture.
        align: what is read begins at a multiple of this.
    """
    whole_height, whole_width = picture.shape[:2]
    step = whole_height / height
    first = max(0, math.floor(rows.start * step - reach_px) - 1) // align * align
    end = min(whole_height, math.ceil((rows.stop * step + reach_px + 1) / align) * align)
    return _Part(np.ascontiguousarray(picture[first:end]), first, whole_height, whole_width)


def shrink(photo: AnyPhoto, max_side_px: int) -> AnyPhoto:
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
    rgb = room_like(photo.rgb, (size[1], size[0], 3))
    alpha = None if photo.alpha is None else room_like(photo.rgb, (size[1], size[0]))
    # On "RGBA", Pillow multiplies by alpha before filtering and divides afterwards.
    picture = photo.rgb if photo.alpha is None else WithAlpha(photo.rgb, photo.alpha)
    for rows, part in resized(picture, *size, Image.Resampling.LANCZOS):
        rgb[rows] = part[..., :3]
        if alpha is not None:
            alpha[rows] = part[..., 3]
    exif = None if photo.exif is None else resized_exif(photo.exif, *size)
    return dataclasses.replace(photo, rgb=rgb, alpha=alpha, exif=exif)


def resample(rgb: Picture, scale: float) -> Picture:
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
    result = room_like(rgb, (size[1], size[0], 3))
    kernel = Image.Resampling.LANCZOS
    for rows, part in resized(rgb, *size, kernel, reducing_gap=_REDUCING_GAP):
        result[rows] = part
    return result


def resized_to(rgb: Picture, height: int, width: int) -> Picture:
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
    result = room_like(rgb, (height, width, 3))
    kernel = Image.Resampling.LANCZOS
    for rows, part in resized(rgb, width, height, kernel, reducing_gap=_REDUCING_GAP):
        result[rows] = part
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


def restore_rows(
    photo: NDArray[np.uint8], rows: slice, height: int, small: Rows, painted: Rows
) -> NDArray[np.float32]:
    """Brings what was painted on a picture at another size back to the full size, crisply.

    Where it is enlarged, strokes are smoothed and their edges steepened, which makes them crisp
    without stairs. The fine detail that the photo lost is drawn as strongly as the painting
    there follows the photo: not at all where it is even, the other way round where it is a
    negative. Nothing leaves the range of the nearest painted pixels, so no edge is doubled.

    Args:
        photo: (rows, W, 3) uint8, rows of the picture at its full size.
        rows: which these are.
        height: of the picture at its full size, in px.
        small: (h, w, 3) uint8, what the network saw.
        painted: (h, w, 3) float32 of any range, what it made of it.

    Returns:
        (rows, W, 3) float32.
    """
    width = photo.shape[1]
    result = np.empty(photo.shape, np.float32)
    small_height = small.shape[0]
    scale = height / small_height
    if scale <= 1:
        reach_px = _REACH_PX[Image.Resampling.LANCZOS] / scale
        strokes = _part(painted, rows, height, reach_px)
        for c in range(3):
            channel = _channel(strokes, c)
            result[..., c] = channel.resized(rows, width, height, Image.Resampling.LANCZOS)
        return result
    windows = max(1, round(small_height / _WINDOW_PX))
    reach_px = 4 * small_height / windows + 4  # windows beside the nearest, and their overlap
    seen, strokes = (_part(picture, rows, height, reach_px) for picture in (small, painted))
    guide = dataclasses.replace(seen, values=_luma(seen.values))
    crispness = min(1.0, scale - 1)  # comes in steadily, from nothing at the same size
    lost = _luma(photo)
    lost -= guide.resized(rows, width, height, Image.Resampling.BICUBIC)
    for c in range(3):
        channel = _channel(strokes, c)
        low, high = (
            edge.resized(rows, width, height, Image.Resampling.BILINEAR)
            for edge in _local_range(channel)
        )
        smooth = dataclasses.replace(channel, values=_smoothed(channel.values, crispness))
        drawn = smooth.resized(rows, width, height, Image.Resampling.BICUBIC)
        drawn = _steepened(drawn, low, high, crispness)
        slope = _local_slope(guide, channel, rows, height, windows)
        drawn += lost * slope.resized(rows, width, height, Image.Resampling.BILINEAR)
        np.clip(drawn, low, high, out=result[..., c])
    return result


def _channel(part: _Part, number: int) -> _Part:
    return dataclasses.replace(part, values=np.ascontiguousarray(part.values[..., number]))


def _luma(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).convert("L"))
    return grey.astype(np.float32) / _LEVELS


def _local_slope(guide: _Part, channel: _Part, rows: slice, height: int, windows: int) -> _Part:
    """Regresses a painted channel on the photo's luma, one slope for each of many windows.

    Args:
        guide: the photo's luma, as far as `restore_rows` reads it.
        channel: what was painted there.
        rows: of the result.
        height: of the whole result.
        windows: how many there are from the top of the picture to its bottom.
    """
    across = max(1, round(guide.width / _WINDOW_PX))
    step = windows / height
    first = max(0, math.floor(rows.start * step) - 2)
    wanted = slice(first, min(windows, math.ceil(rows.stop * step) + 2))

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        # This kernel makes overlapping windows where it shrinks.
        part = dataclasses.replace(guide, values=values)
        return part.resized(wanted, across, windows, Image.Resampling.BILINEAR)

    seen, strokes = guide.values, channel.values
    guide_mean = mean(seen)
    covariance = mean(seen * strokes) - guide_mean * mean(strokes)
    variance = mean(seen * seen) - guide_mean * guide_mean
    slopes = np.clip(covariance / (variance + _NOISE_VARIANCE), -_STEEPEST, _STEEPEST)
    return _Part(slopes, first, windows, across)


def _local_range(channel: _Part) -> tuple[_Part, _Part]:
    """Returns the lowest and the highest of each pixel and its eight neighbours."""
    image = Image.fromarray(channel.values)
    low, high = (
        dataclasses.replace(channel, values=np.asarray(image.filter(kind(3))))
        for kind in (ImageFilter.MinFilter, ImageFilter.MaxFilter)
    )
    return low, high


def _smoothed(channel: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """Blurs by 1-4-1 both ways, so that slanting strokes do not become stairs."""
    side = np.float32(amount / 6)
    for axis in (0, 1):
        padded = np.pad(channel, [(1, 1) if axis == a else (0, 0) for a in (0, 1)], mode="edge")
        ahead, behind = np.split(padded, [2], axis)[1], np.split(padded, [-2], axis)[0]
        channel = (1 - 2 * side) * channel + side * (ahead + behind)
    return channel


def _steepened(
    values: NDArray[np.float32],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    steepness: float,
) -> NDArray[np.float32]:
    """Moves values towards the nearer end of their range.

    Args:
        values: any shape.
        low: the same shape.
        high: the same shape.
        steepness: 0 (only clips) to 1 (slopes 2.25 times as steep in the middle).
    """
    span = high - low
    t = values - low
    t /= np.maximum(span, _SMALLEST_SPAN)
    np.clip(t, 0.0, 1.0, out=t)
    for _ in range(2):
        # t + steepness (smoothstep(t) - t), which leaves 0, 1/2 and 1 where they are.
        t += np.float32(steepness) * (t * (1 - t) * (2 * t - 1))
    t *= span
    t += low
    return t
