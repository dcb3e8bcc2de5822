"""Masks: grey pictures that say where a photo is painted (white) and where not (black)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.dials import MaskSource
from impasto.errors import UsageError
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo, photo_from_image, read_image
from impasto.images.resize import resized_rows

_ASPECT_TOLERANCE: Final = 0.02


def read_mask(source: MaskSource, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Reads a mask of any kind.

    Args:
        source: a path, a file's content, a binary file, a Pillow image, or an array: (H, W)
            bool or uint8, (H, W, 3) or (H, W, 4) uint8. Colours count by their BT.601 luma,
            and what is transparent counts as black in that proportion.
        max_pixels: largest mask accepted.

    Returns:
        (H, W) uint8: 255 is painted, 0 stays the photo.

    Raises:
        UsageError: ``source`` is of another kind, or an array of another shape or type.
        ImageError: the picture cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _array_mask(source)
    if isinstance(source, Image.Image):
        return _levels(photo_from_image(source, max_pixels=max_pixels, name="the mask"))
    if isinstance(source, (str, Path, bytes)) or hasattr(source, "read"):
        return _levels(read_image(source, max_pixels=max_pixels, name="the mask"))
    raise UsageError(
        "a mask must be a path, bytes, a binary file, a Pillow image or a NumPy array, "
        f"not {type(source).__name__}"
    )


def check_mask(mask: NDArray[np.uint8], height: int, width: int) -> None:
    """Refuses a mask of another shape than a photo's, whose sides are in px.

    Raises:
        UsageError: the ratios of width to height differ by more than 2 % and by more than
            what rounding to whole pixels explains.
    """
    mask_height, mask_width = mask.shape
    unfit = (
        (abs(mask_width * height / mask_height - width), width),
        (abs(mask_height * width / mask_width - height), height),
    )
    if all(px > max(1.0, _ASPECT_TOLERANCE * side) for px, side in unfit):
        raise UsageError(
            f"the mask is {mask_width}x{mask_height} and the photo {width}x{height}: "
            "their shapes must agree within 2 %; crop the mask as the photo"
        )


def mask_rows(mask: NDArray[np.uint8], rows: slice, height: int, width: int) -> NDArray[np.uint8]:
    """Returns rows of a mask, resized to a photo's size bilinearly: (rows, width) uint8."""
    if mask.shape == (height, width):
        return mask[rows]
    return resized_rows(mask, rows, width, height, Image.Resampling.BILINEAR)


def blend(
    photo: NDArray[np.uint8], painted: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Lays the painted picture over the photo, both (H, W, 3) uint8, where the mask is white.

    A mask's level of 0 gives the photo and 255 the painted picture exactly; levels between mix
    them in proportion, rounded to the nearest level.
    """
    share = mask[..., None].astype(np.uint16)
    # At most 255 * 255 + 127, which 16 bits hold.
    mixed = photo * (255 - share)
    mixed += painted * share
    mixed += 127
    mixed //= 255
    return mixed.astype(np.uint8)


def _levels(photo: Photo) -> NDArray[np.uint8]:
    grey = np.array(Image.fromarray(np.ascontiguousarray(photo.rgb)).convert("L"))
    if photo.alpha is None:
        return grey
    return ((grey.astype(np.uint16) * photo.alpha + 127) // 255).astype(np.uint8)


def _array_mask(array: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.uint8]:
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.bool_)
    colour = array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype == np.uint8
    if not (grey or colour) or 0 in array.shape:
        raise UsageError(
            "a mask array must be (H, W) bool or uint8, or (H, W, 3) or (H, W, 4) uint8, "
            f"not {array.dtype} of shape {array.shape}"
        )
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    levels = np.asarray(array, np.uint8)
    if grey:
        return levels
    return _levels(Photo(levels[..., :3], levels[..., 3] if array.shape[2] == 4 else None))
