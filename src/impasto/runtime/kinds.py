"""Taking a picture as a path, bytes, Pillow image or array, and giving the same kind back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import UsageError
from impasto.images.reading import Photo, photo_from_image, read_image
from impasto.images.writing import encode_image, to_pillow

Paint = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def paint_like_input(
    image: str | Path | bytes | Image.Image | NDArray[np.uint8], paint: Paint, *, max_pixels: int
) -> Image.Image | bytes | NDArray[np.uint8]:
    """Paints a picture of any kind.

    Args:
        image: what the caller has.
        paint: maps (H, W, 3) uint8 to the same shape.
        max_pixels: largest picture accepted.

    Returns:
        Bytes of the same format for bytes (PNG where the format cannot be written), an array
        for an array, a Pillow image for a path or a Pillow image.

    Raises:
        UsageError: ``image`` is of a kind or array shape that is not accepted.
        ImageError: the picture cannot be read.
    """
    if isinstance(image, bytes):
        photo = read_image(image, max_pixels=max_pixels)
        return encode_image(_painted(photo, paint), photo.format)
    if isinstance(image, (str, Path)):
        return to_pillow(_painted(read_image(image, max_pixels=max_pixels), paint))
    if isinstance(image, Image.Image):
        return to_pillow(_painted(photo_from_image(image, max_pixels=max_pixels), paint))
    if isinstance(image, np.ndarray):
        return _paint_array(image, paint)
    raise UsageError(
        f"a picture must be a path, bytes, a Pillow image or a NumPy array, "
        f"not {type(image).__name__}"
    )


def _painted(photo: Photo, paint: Paint) -> Photo:
    return dataclasses.replace(photo, rgb=paint(photo.rgb))


def _paint_array(array: NDArray[np.uint8], paint: Paint) -> NDArray[np.uint8]:
    shape = array.shape
    grey = array.ndim == 2
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and shape[2] in (3, 4))):
        raise UsageError(
            f"an array must be uint8 of shape (H, W, 3), (H, W, 4) or (H, W), "
            f"not {array.dtype} of shape {shape}"
        )
    if 0 in shape:
        raise UsageError(f"an array of shape {shape} has no pixels")
    if grey:
        return paint(np.stack([array] * 3, axis=-1))
    painted = paint(array[..., :3])
    return painted if shape[2] == 3 else np.concatenate([painted, array[..., 3:]], axis=-1)
