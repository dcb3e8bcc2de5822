"""Painting pictures with a model file."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from impasto.dials import Painting, Writing, shows_dials, without_limit
from impasto.errors import ImageTooLargeError, ModelError
from impasto.images import colour
from impasto.images.mapping import bands, empty_like
from impasto.images.masks import blend, check_mask, mask_rows, read_mask
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo
from impasto.images.resize import mirror_up, resized_to, shrink
from impasto.runtime.cores import available_bytes
from impasto.runtime.draft_refine import SMALLEST_WORKING_PX, DraftRefinePainter
from impasto.runtime.mixing import check_names, mixture, painted_share
from impasto.runtime.session import (
    LEVELS,
    OpenModel,
    Progress,
    nothing,
    open_model,
    run_on_picture,
    to_levels,
)

if TYPE_CHECKING:
    from typing import Unpack, overload

    from PIL.Image import Image

    from impasto.dials import CallKeywords, PaintingKeywords

# Bytes per pixel that ONNX Runtime takes: measured 184, 786 and 1133 for `johnson` of width 4, 32
# and 64, and up to 272 for the gallery of format 2.
_BYTES: Final = 128
_BYTES_PER_CHANNEL: Final = 24
_UNKNOWN_CHANNELS: Final = 64
_MOST_CHANNELS: Final = 4096


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
        self._painter: DraftRefinePainter | WholePainter = WholePainter(opened)
        if self.metadata.working_px is not None:
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
        def __call__(self, image: str | Path | Image, **dials: Unpack[CallKeywords]) -> Image: ...
        @overload
        def __call__(self, image: bytes, **dials: Unpack[CallKeywords]) -> bytes: ...
        @overload
        def __call__(
            self, image: NDArray[np.uint8], **dials: Unpack[CallKeywords]
        ) -> NDArray[np.uint8]: ...

    @shows_dials(Painting, Writing, leave_out=("format", "quality", "overwrite"))
    def __call__(
        self,
        image: str | Path | bytes | Image | NDArray[np.uint8],
        **dials: Unpack[CallKeywords],
    ) -> Image | bytes | NDArray[np.uint8]:
        """Paints a picture of any kind and returns the same kind.

        Args:
            image: a path, a file's bytes, a Pillow image, or an array of (H, W, 3), (H, W, 4)
                with alpha or (H, W) grey, uint8.
            **dials: how it is painted.

        Returns:
            The painted picture: EXIF orientation applied, alpha kept, the same size unless it
            is above ``max_size``. A path or a Pillow image gives a Pillow image, RGB or RGBA; a
            grey array gives (H, W, 3).

        Raises:
            UsageError: a dial is out of its range, ``image`` or ``mask`` is of another kind, or
                the mask has another shape than the picture.
            ImageError: the picture or the mask cannot be read.
            ModelError: the model fails on it.
        """
        from impasto.runtime.changes import Painter, change_like_input

        own, max_pixels = without_limit(dials)
        limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        painting = with_mask(Painting(**own), max_pixels=limit)
        return change_like_input(image, Painter(self, painting), max_pixels=limit)

    def paint_photo(self, photo: Photo, dials: Painting, progress: Progress = nothing) -> Photo:
        """Paints a decoded picture with all that belongs to it, at most ``max_size`` large.

        Arguments and errors are those of `paint_with`.
        """
        if dials.max_size is not None:
            photo = shrink(photo, dials.max_size)
        return dataclasses.replace(photo, rgb=self.paint_with(photo.rgb, dials, progress))

    @shows_dials(Painting, leave_out=("max_size",))
    def paint(
        self,
        rgb: NDArray[np.uint8],
        *,
        progress: Progress = nothing,
        **dials: Unpack[PaintingKeywords],
    ) -> NDArray[np.uint8]:
        """Paints an array; arguments, result and errors are those of `paint_with`.

        Args:
            rgb: (H, W, 3) uint8 sRGB of any size from 1x1 up.
            progress: told the share that is done.
            **dials: how it is painted.
        """
        return self.paint_with(rgb, Painting(**dials), progress)

    def paint_with(
        self, rgb: NDArray[np.uint8], dials: Painting, progress: Progress = nothing
    ) -> NDArray[np.uint8]:
        """Paints an array, the core that everything else wraps.

        Args:
            rgb: (H, W, 3) uint8 sRGB of any size from 1x1 up; in a temporary file it may be
                larger than memory, and the result is in another one.
            dials: how it is painted, at its own size. With an identity among the model's
                parameter sets a strength mixes these, and below a quarter the photo itself
                takes over; else it mixes pixels. ``memory`` counts for models which paint a
                picture whole, None is all that there is; others take little, whatever the
                picture's size.
            progress: told the share that is done.

        Returns:
            (H, W, 3) uint8, the same size.

        Raises:
            UsageError: the mask has another aspect ratio.
            ImageTooLargeError: the picture does not fit the memory.
            ModelError: the model fails on the picture.
        """
        height, width = rgb.shape[:2]
        mask = None if dials.mask is None else read_mask(dials.mask)
        if mask is not None:
            check_mask(mask, height, width)
        if dials.strength == 0.0:
            same = empty_like(rgb, rgb.shape)
            for rows in bands(height, width, over=(rgb, same)):
                same[rows] = rgb[rows]
            return same
        weights = mixture(self.metadata, self.blend, dials.strength)
        result = self._painter.paint(rgb, weights, dials, progress)
        share = np.float32(painted_share(self.metadata, dials.strength))
        keep_colors = dials.keep_colors
        if share == 1 and not keep_colors and mask is None:
            return result
        for rows in bands(height, width, over=(rgb, result)):
            photo, levels = rgb[rows], result[rows]
            if share != 1 or keep_colors:
                before, values = (a.astype(np.float32) / LEVELS for a in (photo, levels))
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


def with_mask(dials: Painting, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Painting:
    """Returns the same dials with the mask read, for many pictures.

    Raises:
        UsageError: the mask is no picture of any kind.
        ImageError: the mask cannot be read, or has more than ``max_pixels``.
    """
    if dials.mask is None:
        return dials
    return dataclasses.replace(dials, mask=read_mask(dials.mask, max_pixels=max_pixels))


class WholePainter:
    """A style network that paints a picture in one piece and sees it at its own size.

    Such are the models of the formats 1 and 2, and the presets' networks. Strokes of another
    size are painted on the picture made smaller or larger, and the painting is brought back.
    """

    def __init__(self, opened: OpenModel) -> None:
        """Takes a model."""
        self._metadata, self._session = opened.metadata, opened.session

    def paint(
        self,
        rgb: NDArray[np.uint8],
        style_weights: NDArray[np.float32],
        dials: Painting,
        progress: Progress,
    ) -> NDArray[np.uint8]:
        """Paints a picture, as many times smaller as strokes shall be larger.

        Arguments and result are those of `DraftRefinePainter.paint`.

        Raises:
            ImageTooLargeError: it does not fit the dials' memory; the size that does is named.
            ModelError: the model fails on the picture.
        """
        height, width = rgb.shape[:2]
        size = [max(1, round(side / dials.stroke_size)) for side in (height, width)]
        limit = available_bytes() if dials.memory is None else dials.memory
        needed = math.prod(size) * pixel_bytes(self._metadata.network)
        if limit is not None and needed > limit:
            fitting = max(1, math.floor(max(height, width) * math.sqrt(limit / needed)))
            raise ImageTooLargeError(
                f"this model paints a picture as a whole, and one of {width}x{height} takes about "
                f"{math.ceil(needed / 2**20):,} MiB of {limit >> 20:,}: make it smaller "
                f"(--max-size {fitting})"
            )
        result = empty_like(rgb, rgb.shape)  # a full disk shows now
        work, top, left = mirror_up(resized_to(rgb, *size), self._metadata.min_size_px)
        painted = to_levels(run_on_picture(self._session, work, style_weights))
        painted = painted[top : top + size[0], left : left + size[1]]
        result[:] = resized_to(np.ascontiguousarray(painted), height, width)
        progress(1.0)
        return result


def pixel_bytes(network: Mapping[str, object]) -> int:
    """Estimates, on the safe side, the bytes that a network of a spec takes for each pixel."""
    channels: float = _channels(network, "width")
    if network.get("architecture") == "fast":
        # At a quarter of height and width, and at half of them; one ending works at the full size.
        half = _channels(network, "half_width")
        channels = half if network.get("ending") == "full" else max(channels / 16, half / 4)
    return round(_BYTES + _BYTES_PER_CHANNEL * channels)


def _channels(network: Mapping[str, object], name: str) -> int:
    value = network.get(name)
    if isinstance(value, int) and 1 <= value <= _MOST_CHANNELS:
        return value
    return _UNKNOWN_CHANNELS
