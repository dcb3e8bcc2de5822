"""Painting pictures with a model file."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError
from impasto.images import colour
from impasto.images.mapping import bands, empty_like
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo
from impasto.runtime.dials import check_dials
from impasto.runtime.draft_refine import DraftRefinePainter
from impasto.runtime.mixing import check_names, mixture, painted_share
from impasto.runtime.network import LEVELS, open_model, to_levels
from impasto.runtime.progress import Progress, nothing
from impasto.runtime.steps import SMALLEST_WORKING_PX
from impasto.runtime.whole import WholePainter

if TYPE_CHECKING:
    from typing import overload

    from PIL.Image import Image

    from impasto.images.masks import MaskSource


class StyleModel:
    """A style or a blend of styles, ready to paint; safe to call from several threads at once.

    Call it with a path, a file's bytes, a Pillow image or a NumPy array: it returns the same
    kind (a path gives a Pillow image, bytes give bytes of the same format).

    Attributes:
        metadata: what the model file states about itself.
        blend: the styles it paints and their shares, together 1.
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
        opened = open_model(path, "style", threads=threads, device=device)
        self.metadata, self._session = opened.metadata, opened.session
        wanted = self._session.parameter_sets
        if wanted not in (None, self.metadata.parameter_sets):
            raise ModelError(
                f"{path}: the graph mixes {wanted} parameter sets, its metadata states "
                f"{self.metadata.parameter_sets}"
            )
        if wanted is None and self.metadata.parameter_sets > 1:
            raise ModelError(f"{path}: the graph cannot choose among its styles")
        self._painter: DraftRefinePainter | WholePainter
        if self.metadata.working_px is None:
            self._painter = WholePainter(opened)
        else:
            try:
                self._painter = DraftRefinePainter(opened, threads=threads)
            except ModelError as error:
                raise ModelError(f"{path}: {error}") from error
        self.blend = {self.metadata.styles[0].name: 1.0}
        self.device = self._session.device

    @property
    def name(self) -> str:
        """The style's name; of a blend the names joined by ``+``."""
        return "+".join(self.blend)

    def with_blend(self, blend: Mapping[str, float]) -> StyleModel:
        """Returns the same model, loaded once, with other styles of its file.

        Args:
            blend: shares of styles, together 1.

        Raises:
            UnknownStyleError: the file does not hold one of them.
        """
        check_names(self.metadata, list(blend))
        other = copy.copy(self)
        other.blend = dict(blend)
        return other

    if TYPE_CHECKING:

        @overload
        def __call__(
            self,
            image: str | Path | Image,
            *,
            strength: float = ...,
            keep_colors: bool = ...,
            mask: MaskSource | None = ...,
            stroke_size: float = ...,
            max_pixels: int | None = ...,
            memory: int | None = ...,
        ) -> Image: ...
        @overload
        def __call__(
            self,
            image: bytes,
            *,
            strength: float = ...,
            keep_colors: bool = ...,
            mask: MaskSource | None = ...,
            stroke_size: float = ...,
            max_pixels: int | None = ...,
            memory: int | None = ...,
        ) -> bytes: ...
        @overload
        def __call__(
            self,
            image: NDArray[np.uint8],
            *,
            strength: float = ...,
            keep_colors: bool = ...,
            mask: MaskSource | None = ...,
            stroke_size: float = ...,
            max_pixels: int | None = ...,
            memory: int | None = ...,
        ) -> NDArray[np.uint8]: ...

    def __call__(
        self,
        image: str | Path | bytes | Image | NDArray[np.uint8],
        *,
        strength: float = 1.0,
        keep_colors: bool = False,
        mask: MaskSource | None = None,
        stroke_size: float = 1.0,
        max_pixels: int | None = None,
        memory: int | None = None,
    ) -> Image | bytes | NDArray[np.uint8]:
        """Paints a picture of any kind and returns the same kind.

        Args:
            image: a path, a file's bytes, a Pillow image, or an array of (H, W, 3), (H, W, 4)
                with alpha or (H, W) grey, uint8.
            strength: 0 (the photo) to 1 (the painting), and beyond it up to 1.5.
            keep_colors: keep the photo's colours and take only lightness from the painting.
            mask: a picture of any of these kinds: white is painted, black stays photo.
            stroke_size: multiplies the brush strokes, which are as large relative to the
                picture whatever its size: .5 to 4.
            max_pixels: largest picture and mask accepted, checked before decoding; None is
                200 million.
            memory: as for `paint`.

        Returns:
            The painted picture: EXIF orientation applied, alpha kept, the same size. A path
            or a Pillow image gives a Pillow image, RGB or RGBA; a grey array gives (H, W, 3).

        Raises:
            UsageError: ``strength`` or ``stroke_size`` is out of its range, ``image`` or
                ``mask`` is of another kind, or the mask has another shape than the picture.
            ImageError: the picture or the mask cannot be read.
            ModelError: the model fails on it.
        """
        from impasto.runtime.kinds import change_like_input

        limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        levels: NDArray[np.uint8] | None = None
        if mask is not None:
            from impasto.images.masks import read_mask

            levels = read_mask(mask, max_pixels=limit)

        def painted(photo: Photo) -> Photo:
            rgb = self.paint(
                photo.rgb,
                strength=strength,
                keep_colors=keep_colors,
                mask=levels,
                stroke_size=stroke_size,
                memory=memory,
            )
            return dataclasses.replace(photo, rgb=rgb)

        return change_like_input(image, painted, max_pixels=limit, memory=memory)

    def paint(
        self,
        rgb: NDArray[np.uint8],
        *,
        strength: float = 1.0,
        keep_colors: bool = False,
        mask: NDArray[np.uint8] | None = None,
        stroke_size: float = 1.0,
        memory: int | None = None,
        progress: Progress = nothing,
    ) -> NDArray[np.uint8]:
        """Paints an array, the core that everything else wraps.

        Args:
            rgb: (H, W, 3) uint8 sRGB of any size from 1x1 up.
            strength: 0 (the photo, exactly) to 1 (the painting), and beyond it up to 1.5. With an
                identity among the model's parameter sets these are mixed, and below a quarter
                the photo itself takes over; else pixels are mixed.
            keep_colors: luma from the result, chroma from the photo.
            mask: (h, w) uint8, 255 painted and 0 photo, of any size with the picture's shape.
            stroke_size: as for a call of the model.
            memory: bytes that a model which paints a picture whole may take; None is all that
                there is. Others take little, whatever the picture's size.
            progress: told the share that is done.

        Returns:
            (H, W, 3) uint8, the same size.

        Raises:
            UsageError: ``strength`` or ``stroke_size`` is out of its range, or the mask has
                another aspect ratio.
            ImageTooLargeError: the picture does not fit the memory.
            ModelError: the model fails on the picture.
        """
        check_dials(strength, stroke_size)
        height, width = rgb.shape[:2]
        if mask is not None:
            from impasto.images.masks import blend, check_mask, mask_rows

            check_mask(mask, height, width)
        if strength == 0.0:
            same = empty_like(rgb, rgb.shape)
            for rows in bands(height, width, over=(rgb, same)):
                same[rows] = rgb[rows]
            return same
        weights = mixture(self.metadata, self.blend, strength)
        if isinstance(self._painter, WholePainter):
            result = self._painter.paint(rgb, weights, stroke_size, memory, progress)
        else:
            result = self._painter.paint(rgb, weights, stroke_size, progress)
        share = np.float32(painted_share(self.metadata, strength))
        if share == 1 and not keep_colors and mask is None:
            return result
        for rows in bands(height, width, over=(rgb, result)):
            photo, levels = rgb[rows], result[rows]
            if share != 1 or keep_colors:
                before, values = _floats(photo), _floats(levels)
                values = np.clip(before + share * (values - before), 0.0, 1.0)
                levels = to_levels(colour.keep_colors(before, values) if keep_colors else values)
            if mask is not None:
                levels = blend(photo, levels, mask_rows(mask, rows, height, width))
            result[rows] = levels
        return result

    def note(self, stroke_size: float) -> str | None:
        """Says in a line how a stroke size falls short of what was asked, if it does."""
        working_px = self.metadata.working_px
        if working_px is None or round(working_px / stroke_size) >= SMALLEST_WORKING_PX:
            return None
        largest = working_px / SMALLEST_WORKING_PX
        return (
            f"strokes of size {stroke_size:g} are too large for this model: they are painted "
            f"at {largest:g}, on {SMALLEST_WORKING_PX} px"
        )


def _floats(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / LEVELS
