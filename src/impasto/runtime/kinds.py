"""Taking a picture as a path, bytes, Pillow image or array, and giving the same kind back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import UsageError
from impasto.images.mapping import scratch_folder
from impasto.images.reading import Photo, photo_from_image, read_image
from impasto.images.regions import read_huge
from impasto.images.writing import encode_image, to_pillow
from impasto.runtime.changes import Change


def change_like_input(
    image: str | Path | bytes | Image.Image | NDArray[np.uint8],
    change: Change,
    *,
    max_pixels: int,
) -> Image.Image | bytes | NDArray[np.uint8]:
    """Changes a picture of any kind: paints it, or makes it larger.

    Args:
        image: what the caller has.
        change: what is done with it; alpha that comes in goes out, at the size of the colours.
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
        return encode_image(change(photo), photo.format)
    if isinstance(image, (str, Path)):
        huge = read_huge(
            image,
            scratch_folder(),
            max_pixels=max_pixels,
            memory=change.memory,
            scale=change.scale,
        )
        photo = read_image(image, max_pixels=max_pixels) if huge is None else huge
        return to_pillow(change(photo))
    if isinstance(image, Image.Image):
        return to_pillow(change(photo_from_image(image, max_pixels=max_pixels)))
    if isinstance(image, np.ndarray):
        changed = change(_photo_from_array(image))
        return changed.rgb if changed.alpha is None else np.dstack([changed.rgb, changed.alpha])
    raise UsageError(
        f"a picture must be a path, bytes, a Pillow image or a NumPy array, "
        f"not {type(image).__name__}"
    )


def _photo_from_array(array: NDArray[np.uint8]) -> Photo:
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
        return Photo(np.stack([array] * 3, axis=-1))
    return Photo(array[..., :3], array[..., 3] if shape[2] == 4 else None)
