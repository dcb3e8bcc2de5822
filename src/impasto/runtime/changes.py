"""What is done with a picture: it is painted, or enlarged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from impasto.dials import Enlarging, Painting
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo
from impasto.runtime.progress import Progress, nothing
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
        """Bytes of a picture and its result above which both are kept in temporary files.

        None is the default.
        """
        return None

    @abstractmethod
    def __call__(self, photo: Photo, progress: Progress = nothing) -> Photo:
        """Changes a picture with all that belongs to it.

        Args:
            photo: the picture.
            progress: told the share that is done, where that takes long.

        Raises:
            ImpastoError: the picture cannot be changed so.
        """

    def result_px(self, side_px: int) -> int:
        """Returns the largest side that a result can have for a picture's."""
        return self.scale * side_px


@dataclass(frozen=True)
class Painter(Change):
    """Paints.

    Attributes:
        model: the style.
        dials: how pictures are painted; for many, the mask is best read before (`with_mask`).
        max_pixels: larger masks are refused.
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
    """Enlarges.

    Attributes:
        model: the network.
        dials: how pictures are enlarged.
        max_pixels: results with more are refused; None is the default.
    """

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
