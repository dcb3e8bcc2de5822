"""Painting pictures with a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError, UsageError
from impasto.images import colour
from impasto.images.reading import DEFAULT_MAX_PIXELS
from impasto.runtime.metadata import StyleEntry
from impasto.runtime.model_file import read_model_file
from impasto.runtime.session import ModelSession

if TYPE_CHECKING:
    from typing import overload

    from PIL.Image import Image

    from impasto.images.masks import MaskSource

_LEVELS: Final = np.float32(255)


class StyleModel:
    """A style, ready to paint; safe to call from several threads at once.

    Call it with a path, a file's bytes, a Pillow image or a NumPy array: it returns the same
    kind (a path gives a Pillow image, bytes give bytes of the same format).

    Attributes:
        metadata: what the model file states about itself.
        style: the style it paints.
        device: where it runs, for example ``"cpu"``.
    """

    def __init__(
        self, path: str | Path, *, threads: int | None = None, device: str = "auto"
    ) -> None:
        """Loads a model file.

        Args:
            path: an ``.onnx`` file that Impasto exported.
            threads: CPU threads for one picture; None takes every core.
            device: as for `impasto.load_model`.

        Raises:
            ModelError: the file cannot be used.
            NewerFormatError: a newer version of Impasto made it.
            UsageError: there is no such device.
        """
        data, self.metadata = read_model_file(path)
        if self.metadata.kind != "style":
            raise ModelError(f"{path}: the model is of kind {self.metadata.kind}, not style")
        try:
            self._session = ModelSession(data, threads=threads, device=device)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        self.style: StyleEntry = self.metadata.styles[0]
        self.device = self._session.device

    if TYPE_CHECKING:

        @overload
        def __call__(
            self,
            image: str | Path | Image,
            *,
            strength: float = ...,
            keep_colors: bool = ...,
            mask: MaskSource | None = ...,
            max_pixels: int | None = ...,
        ) -> Image: ...
        @overload
        def __call__(
            self,
            image: bytes,
            *,
            strength: float = ...,
            keep_colors: bool = ...,
            mask: MaskSource | None = ...,
            max_pixels: int | None = ...,
        ) -> bytes: ...
        @overload
        def __call__(
            self,
            image: NDArray[np.uint8],
            *,
            strength: float = ...,
            keep_colors: bool = ...,
            mask: MaskSource | None = ...,
            max_pixels: int | None = ...,
        ) -> NDArray[np.uint8]: ...

    def __call__(
        self,
        image: str | Path | bytes | Image | NDArray[np.uint8],
        *,
        strength: float = 1.0,
        keep_colors: bool = False,
        mask: MaskSource | None = None,
        max_pixels: int | None = None,
    ) -> Image | bytes | NDArray[np.uint8]:
        """Paints a picture of any kind and returns the same kind.

        Args:
            image: a path, a file's bytes, a Pillow image, or an array of (H, W, 3), (H, W, 4)
                with alpha or (H, W) grey, uint8.
            strength: 0 (the photo) to 1 (the painting).
            keep_colors: keep the photo's colours and take only lightness from the painting.
            mask: a picture of any of these kinds: white is painted, black stays photo.
            max_pixels: largest picture and mask accepted, checked before decoding; None is
                200 million.

        Returns:
            The painted picture: EXIF orientation applied, alpha kept, the same size. A path
            or a Pillow image gives a Pillow image, RGB or RGBA; a grey array gives (H, W, 3).

        Raises:
            UsageError: ``strength`` lies outside 0..1, ``image`` or ``mask`` is of another
                kind, or the mask has another shape than the picture.
            ImageError: the picture or the mask cannot be read.
            ModelError: the model fails on it.
        """
        from impasto.runtime.kinds import paint_like_input

        limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        levels: NDArray[np.uint8] | None = None
        if mask is not None:
            from impasto.images.masks import read_mask

            levels = read_mask(mask, max_pixels=limit)
        return paint_like_input(
            image,
            lambda rgb: self.paint(rgb, strength=strength, keep_colors=keep_colors, mask=levels),
            max_pixels=limit,
        )

    def paint(
        self,
        rgb: NDArray[np.uint8],
        *,
        strength: float = 1.0,
        keep_colors: bool = False,
        mask: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Paints an array, the core that everything else wraps.

        Args:
            rgb: (H, W, 3) uint8 sRGB of any size from 1x1 up.
            strength: ``photo + strength * (result - photo)``, 0 to 1.
            keep_colors: luma from the result, chroma from the photo.
            mask: (h, w) uint8, 255 painted and 0 photo, of any size with the picture's shape.

        Returns:
            (H, W, 3) uint8, the same size.

        Raises:
            UsageError: ``strength`` lies outside 0..1, or the mask has another aspect ratio.
            ModelError: the model fails on the picture.
        """
        if not 0.0 <= strength <= 1.0:
            raise UsageError(f"strength must lie between 0 and 1, not {strength}")
        if mask is not None:
            from impasto.images.masks import blend, fit_mask

            mask = fit_mask(mask, *rgb.shape[:2])  # an unfit one is refused before the work
        if strength == 0.0:
            return rgb.copy()
        painted = self._paint(rgb, strength, keep_colors=keep_colors)
        return painted if mask is None else blend(rgb, painted, mask)

    def _paint(
        self, rgb: NDArray[np.uint8], strength: float, *, keep_colors: bool
    ) -> NDArray[np.uint8]:
        height, width = rgb.shape[:2]
        enlarged, top, left = mirror_up(rgb, self.metadata.min_size_px)
        batch = np.ascontiguousarray(enlarged.transpose(2, 0, 1)[None], dtype=np.float32)
        batch /= _LEVELS
        output = self._session.run(batch)[0, :, top : top + height, left : left + width]
        result = np.clip(output, 0.0, 1.0, out=output)
        if keep_colors or strength < 1.0:
            pixels = result.transpose(1, 2, 0)
            photo = rgb.astype(np.float32) / _LEVELS
            if keep_colors:
                pixels = colour.keep_colors(photo, pixels)
            result = colour.fade(photo, pixels, strength).transpose(2, 0, 1)
        # In place: a fresh array of floats costs more time and memory than the arithmetic.
        np.rint(np.multiply(result, _LEVELS, out=result), out=result)
        return np.ascontiguousarray(result.astype(np.uint8).transpose(1, 2, 0))


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
