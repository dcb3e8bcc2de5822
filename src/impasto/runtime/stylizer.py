"""Painting pictures with a model file."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError, UsageError
from impasto.images import colour
from impasto.images.reading import DEFAULT_MAX_PIXELS, AnyPhoto
from impasto.images.resize import mirror_up, resample, restore_rows
from impasto.images.rows import (
    DEFAULT_MEMORY,
    HELD_BYTES,
    Picture,
    RowFile,
    Rows,
    WritableRows,
    bands,
    room_like,
)
from impasto.runtime.budget import Budget, Progress, nothing
from impasto.runtime.freezing import freeze_model
from impasto.runtime.mixing import check_names, mixture, strokes_for
from impasto.runtime.network import LEVELS, open_model, run_on_picture, to_levels
from impasto.runtime.pieces import PieceNetwork

if TYPE_CHECKING:
    from typing import overload

    from PIL.Image import Image

    from impasto.images.masks import MaskSource

StrokeSize: TypeAlias = float | Literal["auto", "native"]


class StyleModel:
    """A style or a blend of styles, ready to paint; safe to call from several threads at once.

    Call it with a path, a file's bytes, a Pillow image or a NumPy array: it returns the same
    kind (a path gives a Pillow image, bytes give bytes of the same format).

    Attributes:
        metadata: what the model file states about itself.
        blend: the styles it paints and their shares, together 1.
        device: where it runs, for example ``"cpu"``; `device_for` tells of one picture.
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
        self.metadata, self._session, self._data = opened
        self._threads = threads
        self._pieces = PieceNetwork(opened, threads=threads)
        wanted = self._session.parameter_sets
        if wanted not in (None, self.metadata.parameter_sets):
            raise ModelError(
                f"{path}: the graph mixes {wanted} parameter sets, its metadata states "
                f"{self.metadata.parameter_sets}"
            )
        if wanted is None and self.metadata.parameter_sets > 1:
            raise ModelError(f"{path}: the graph cannot choose among its styles")
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
            stroke_size: StrokeSize = ...,
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
            stroke_size: StrokeSize = ...,
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
            stroke_size: StrokeSize = ...,
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
        stroke_size: StrokeSize = "auto",
        max_pixels: int | None = None,
        memory: int | None = None,
    ) -> Image | bytes | NDArray[np.uint8]:
        """Paints a picture of any kind and returns the same kind.

        Args:
            image: a path, a file's bytes, a Pillow image, or an array of (H, W, 3), (H, W, 4)
                with alpha or (H, W) grey, uint8.
            strength: 0 (the photo) to 1 (the painting).
            keep_colors: keep the photo's colours and take only lightness from the painting.
            mask: a picture of any of these kinds: white is painted, black stays photo.
            stroke_size: multiplies the brush strokes; ``"auto"`` makes them as large, relative
                to the picture, as on one of 1024 px; ``"native"`` leaves them at pixel scale.
            max_pixels: largest picture and mask accepted, checked before decoding; None is
                200 million.
            memory: as for `paint`.

        Returns:
            The painted picture: EXIF orientation applied, alpha kept, the same size. A path
            or a Pillow image gives a Pillow image, RGB or RGBA; a grey array gives (H, W, 3).

        Raises:
            UsageError: ``strength`` lies outside 0..1, ``image`` or ``mask`` is of another
                kind, or the mask has another shape than the picture.
            ImageError: the picture or the mask cannot be read.
            ModelError: the model fails on it.
        """
        from impasto.runtime.kinds import change_like_input

        limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        levels: NDArray[np.uint8] | None = None
        if mask is not None:
            from impasto.images.masks import read_mask

            levels = read_mask(mask, max_pixels=limit)

        def painted(photo: AnyPhoto) -> AnyPhoto:
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
        rgb: Picture,
        *,
        strength: float = 1.0,
        keep_colors: bool = False,
        mask: NDArray[np.uint8] | None = None,
        stroke_size: StrokeSize = "auto",
        memory: int | None = None,
        progress: Progress = nothing,
    ) -> Picture:
        """Paints an array, the core that everything else wraps.

        Args:
            rgb: (H, W, 3) uint8 sRGB of any size from 1x1 up; in a temporary file it may be
                larger than memory, and the result is in another one.
            strength: 0 (the photo, exactly) to 1 (the painting). With an identity among the
                model's parameter sets, ``net(p(s)) + (1 - s) (photo - net(p(0)))``; else
                pixels are mixed.
            keep_colors: luma from the result, chroma from the photo.
            mask: (h, w) uint8, 255 painted and 0 photo, of any size with the picture's shape.
            stroke_size: as for a call of the model.
            memory: bytes of working memory; a picture that needs more is painted in strips or
                tiles, with the same result, where model and device allow it. None is 1 GiB.
            progress: told the share that is done, while a picture is painted in strips or lies in
                a temporary file.

        Returns:
            (H, W, 3) uint8, the same size.

        Raises:
            UsageError: ``strength`` lies outside 0..1, ``stroke_size`` is no positive number,
                the mask has another aspect ratio, or the memory holds no strip or tile; the
                least that will do is named.
            OutputError: there is not enough temporary space for strips.
            ModelError: the model fails on the picture.
        """
        if not 0.0 <= strength <= 1.0:
            raise UsageError(f"strength must lie between 0 and 1, not {strength}")
        height, width = rgb.shape[:2]
        covered, scale = strokes_for(self.metadata, stroke_size, max(height, width))
        if mask is not None:
            from impasto.images.masks import blend, check_mask, mask_rows

            check_mask(mask, height, width)
        if strength == 0.0:
            return rgb if isinstance(rgb, RowFile) else rgb.copy()
        result = room_like(rgb, rgb.shape)
        work = resample(rgb, scale)
        budget = Budget(
            DEFAULT_MEMORY if memory is None else memory, progress, HELD_BYTES * height * width
        )
        huge = isinstance(rgb, RowFile)
        # The network takes most of the time, unless it is given a smaller picture.
        network_share = (0.9 if work is rgb else 0.1) if huge else 1.0
        painted = self._styled(work, strength, covered, budget.part(0.0, network_share))
        for rows in bands(height, width):
            photo = rgb[rows]
            if work is rgb:
                values = painted[rows]
            else:
                values = restore_rows(photo, rows, height, work, painted)
            if strength < 1.0 or work is not rgb:  # what the network paints is clipped
                values += _floats(photo) * np.float32(1 - strength)
                np.clip(values, 0.0, 1.0, out=values)
            if keep_colors:
                values = colour.keep_colors(_floats(photo), values)
            levels = to_levels(values)
            if mask is not None:
                levels = blend(photo, levels, mask_rows(mask, rows, height, width))
            result[rows] = levels
            if huge:
                progress(network_share + (1 - network_share) * rows.stop / height)
        return result

    def device_for(
        self,
        height: int,
        width: int,
        *,
        stroke_size: StrokeSize = "auto",
        memory: int | None = None,
    ) -> str:
        """Returns where a picture is painted.

        That is `device`, but for OpenVINO's strips: ONNX Runtime paints them, on ``"cpu"``.

        Args:
            height: of the picture, in px.
            width: likewise.
            stroke_size: as for `paint`.
            memory: as for `paint`.

        Raises:
            UsageError: ``stroke_size`` is out of its range.
        """
        _, scale = strokes_for(self.metadata, stroke_size, max(height, width))
        shape = tuple(max(1, round(side * scale)) for side in (height, width))
        budget = Budget(DEFAULT_MEMORY if memory is None else memory)
        return self._pieces.device(shape, budget)

    def _styled(
        self, work: Rows, strength: float, stroke_size: float, budget: Budget
    ) -> WritableRows:
        """Paints without the photo's share: only that one stays sharp at another size."""
        identity = self.metadata.strength == "identity"
        style = mixture(
            self.metadata,
            self.blend,
            stroke_size=stroke_size,
            strength=strength if identity else 1.0,
        )
        if strength == 1.0:
            return self._painted(work, [style], budget)[0]
        share = np.float32(1 - strength)
        if identity:
            photo = mixture(self.metadata, self.blend, strength=0.0)
            painted, left = self._painted(work, [style, photo], budget)
        else:
            (painted,) = self._painted(work, [style], budget)
            left = painted
        for rows in bands(*work.shape[:2]):
            painted[rows] = painted[rows] - share * left[rows]
        return painted

    def _painted(
        self, work: Rows, styles: Sequence[NDArray[np.float32]], budget: Budget
    ) -> list[WritableRows]:
        """Runs the network for each style, in pieces on what is too large for memory."""
        budgets = [
            budget.part(number / len(styles), (number + 1) / len(styles))
            for number in range(len(styles))
        ]
        if not isinstance(work, RowFile) or self._pieces.fits(work.shape, budget):
            rgb = work[0 : work.shape[0]]
            return [self._network(rgb, *each) for each in zip(styles, budgets, strict=True)]
        results = [work.scratch.room(work.shape, np.float32) for _ in styles]
        for style, part, result in zip(styles, budgets, results, strict=True):
            self._pieces.paint(work, style, part, result)
        return [*results]

    def _network(
        self, rgb: NDArray[np.uint8], style_weights: NDArray[np.float32], budget: Budget
    ) -> NDArray[np.float32]:
        """Runs the network; returns (H, W, 3) in [0, 1] for uint8 of any size from 1x1 up."""
        height, width = rgb.shape[:2]
        if not self._pieces.fits(rgb.shape, budget):
            pieces = np.empty(rgb.shape, np.float32)
            self._pieces.paint(rgb, style_weights, budget, pieces)
            return pieces
        enlarged, top, left = mirror_up(rgb, self.metadata.min_size_px)
        result = run_on_picture(self._session, enlarged, style_weights)
        return result[top : top + height, left : left + width]

    def frozen(self, rgb: NDArray[np.uint8], *, stroke_size: StrokeSize = "auto") -> bytes:
        """Makes a model whose norms have the statistics of one picture, for all others.

        It paints this picture as before, anything in another one as it would here, and may be
        run in tiles. It holds one style without identity, and strokes of the size that they have
        here: with ``"auto"`` relative to the picture, else in pixels.

        Args:
            rgb: (H, W, 3) uint8, the picture.
            stroke_size: as for `paint`.

        Returns:
            The content of an ``.onnx`` file.

        Raises:
            ModelError: the model does not state its stages, as those of older versions.
            UsageError: ``stroke_size`` is out of its range, or makes the picture too large.
        """
        plan = self._pieces.stages
        if plan is None:
            raise ModelError(
                f"the model of {self.name} has no norms to freeze, or was exported by an older "
                "impasto: `impasto export` makes it anew from its run"
            )
        return freeze_model(
            self._data,
            self.metadata,
            plan,
            self.blend,
            rgb,
            stroke_size=stroke_size,
            mixes=self._session.parameter_sets is not None,
            threads=self._threads,
        )


def _floats(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / LEVELS
