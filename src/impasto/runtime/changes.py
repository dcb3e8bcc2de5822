"""What is done with a picture: it is painted, or enlarged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.dials import Enlarging, Painting
from impasto.errors import UsageError
from impasto.images.mapping import scratch_folder
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo, photo_from_image, read_image
from impasto.images.regions import read_huge
from impasto.images.writing import encode_image, to_pillow
from impasto.runtime.session import Progress, nothing
from impasto.runtime.stylizer import StyleModel, with_mask
from impasto.runtime.upscaler import UpscaleModel


class Change(ABC):
    """Maps a picture to a picture; safe to call from several threads at once."""

    @property
    def scale(self) -> int:
        """How many times as wide and high a result is."""
        return 1

    @property
    def memory(self) -> int | None:
        """Bytes above which a picture and its result lie in files; None is the default."""
        return None

    @abstractmethod
    def __call__(self, photo: Photo, progress: Progress = nothing) -> Photo:
        """Changes a picture with all that belongs to it; ``progress`` is told the share done.

        Raises:
            ImpastoError: the picture cannot be changed so.
        """

    def result_px(self, side_px: int) -> int:
        """Returns the largest side that a result can have for a picture's."""
        return self.scale * side_px


@dataclass(frozen=True)
class Painter(Change):
    """Paints with a style; masks of more than ``max_pixels`` are refused.

    For many pictures, the mask among the dials is best read before (`with_mask`).
    """

    model: StyleModel
    dials: Painting
    max_pixels: int = DEFAULT_MAX_PIXELS

    @property
    def memory(self) -> int | None:
        """The dial's."""
        return self.dials.memory

    def __call__(self, photo: Photo, progress: Progress = nothing) -> Photo:
        """Paints a picture; errors are those of `with_mask` and of `StyleModel.paint_with`."""
        dials = with_mask(self.dials, max_pixels=self.max_pixels)
        return self.model.paint_photo(photo, dials, progress)

    def result_px(self, side_px: int) -> int:
        """Returns the side, or ``max_size``."""
        return min(side_px, self.dials.max_size or side_px)


@dataclass(frozen=True)
class Enlarger(Change):
    """Enlarges with a network; results of more than ``max_pixels`` are refused."""

    model: UpscaleModel
    dials: Enlarging
    max_pixels: int | None = None

    @property
    def scale(self) -> int:
        """The dial's."""
        return self.dials.scale

    def __call__(self, photo: Photo, progress: Progress = nothing) -> Photo:
        """Enlarges a picture; errors are those of `UpscaleModel.upscale`."""
        return self.model.upscale_photo(
            photo,
            scale=self.dials.scale,
            match_histogram=self.dials.match_histogram,
            tile_px=self.dials.tile,
            max_pixels=self.max_pixels,
            progress=progress,
        )


def change_like_input(
    image: str | Path | bytes | Image.Image | NDArray[np.uint8],
    change: Change,
    *,
    max_pixels: int,
) -> Image.Image | bytes | NDArray[np.uint8]:
    """Changes a picture of any kind of at most ``max_pixels``, alpha included.

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
