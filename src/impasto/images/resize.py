"""Changing a picture's size, and bringing what was painted back to it."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from impasto.errors import UsageError
from impasto.images.exif import resized_exif
from impasto.images.reading import Photo

_LEVELS: Final = np.float32(255)
# `restore` compares painting and photo in windows; less variance than this is a photo's noise.
_WINDOW_PX: Final = 4
_NOISE_VARIANCE: Final = np.float32(0.001)
_STEEPEST: Final = np.float32(2)
_STRIP_ROWS: Final = 128
_SMALLEST_SPAN: Final = np.float32(1e-6)


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


def restore(
    rgb: NDArray[np.uint8], small: NDArray[np.uint8], painted: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Brings what was painted on a picture at another size back to the full size, crisply.

    Where it is enlarged, strokes are smoothed and their edges steepened, which makes them crisp
    without stairs. The fine detail that the photo lost is drawn as strongly as the painting
    there follows the photo: not at all where it is even, the other way round where it is a
    negative. Nothing leaves the range of the nearest painted pixels, so no edge is doubled.

    Args:
        rgb: (H, W, 3) uint8, the picture at its full size.
        small: (h, w, 3) uint8, what the network saw.
        painted: (h, w, 3) float32 of any range, what it made of it.

    Returns:
        (H, W, 3) float32.
    """
    height, width = rgb.shape[:2]
    result = np.empty((height, width, 3), np.float32)
    scale = height / small.shape[0]
    channels = [np.ascontiguousarray(channel) for channel in painted.transpose(2, 0, 1)]
    if scale <= 1:
        for c, channel in enumerate(channels):
            image = Image.fromarray(channel)
            result[..., c] = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
        return result
    guide = _luma(small)
    slopes = [_local_slope(guide, channel) for channel in channels]
    ranges = [_local_range(channel) for channel in channels]
    crispness = min(1.0, scale - 1)  # comes in steadily, from nothing at the same size
    channels = [_smoothed(channel, crispness) for channel in channels]
    # In strips, which keep memory small and the arithmetic in the processor's cache.
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, min(top + _STRIP_ROWS, height))
        lost = _luma(rgb[rows])
        lost -= _enlarged(guide, rows, width, height)
        for c, channel in enumerate(channels):
            low, high = (
                _enlarged(x, rows, width, height, Image.Resampling.BILINEAR) for x in ranges[c]
            )
            strokes = _enlarged(channel, rows, width, height)
            drawn = _steepened(strokes, low, high, crispness)
            drawn += lost * _enlarged(slopes[c], rows, width, height, Image.Resampling.BILINEAR)
            np.clip(drawn, low, high, out=result[rows, :, c])
    return result


def _luma(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).convert("L"))
    return grey.astype(np.float32) / _LEVELS


def _local_slope(guide: NDArray[np.float32], channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Regresses a painted channel on the photo's luma, one slope for each of many windows."""
    height, width = guide.shape
    size = (max(1, round(width / _WINDOW_PX)), max(1, round(height / _WINDOW_PX)))

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        # This kernel makes overlapping windows where it shrinks.
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))

    guide_mean = mean(guide)
    covariance = mean(guide * channel) - guide_mean * mean(channel)
    variance = mean(guide * guide) - guide_mean * guide_mean
    return np.clip(covariance / (variance + _NOISE_VARIANCE), -_STEEPEST, _STEEPEST)


def _local_range(channel: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the lowest and the highest of each pixel and its eight neighbours."""
    image = Image.fromarray(channel)
    low, high = image.filter(ImageFilter.MinFilter(3)), image.filter(ImageFilter.MaxFilter(3))
    return np.asarray(low), np.asarray(high)


def _smoothed(channel: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """Blurs by 1-4-1 both ways, so that slanting strokes do not become stairs."""
    side = np.float32(amount / 6)
    for axis in (0, 1):
        padded = np.pad(channel, [(1, 1) if axis == a else (0, 0) for a in (0, 1)], mode="edge")
        ahead, behind = np.split(padded, [2], axis)[1], np.split(padded, [-2], axis)[0]
        channel = (1 - 2 * side) * channel + side * (ahead + behind)
    return channel


def _enlarged(
    channel: NDArray[np.float32],
    rows: slice,
    width: int,
    height: int,
    kernel: Image.Resampling = Image.Resampling.BICUBIC,
) -> NDArray[np.float32]:
    """Returns some rows of what (h, w) is at (height, width)."""
    image = Image.fromarray(channel)
    top, bottom = (row * image.height / height for row in (rows.start, rows.stop))
    box = (0, top, image.width, min(bottom, image.height))
    return np.asarray(image.resize((width, rows.stop - rows.start), kernel, box=box))


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
