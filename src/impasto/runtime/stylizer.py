"""Painting pictures with a model file."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError, UsageError
from impasto.images import colour
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo
from impasto.images.resize import mirror_up, resample, restore
from impasto.runtime.freezing import freeze_graph
from impasto.runtime.metadata import LONGEST_NAME, METADATA_KEY, Tiling
from impasto.runtime.mixing import check_names, covered_stroke_size, mixture
from impasto.runtime.network import LEVELS, open_model, run_on_picture, to_levels
from impasto.runtime.stages import StagePlan, read_stages
from impasto.runtime.strips import Budget, Progress, StripNetwork, nothing, working_bytes
from impasto.runtime.tiling import run_in_tiles

if TYPE_CHECKING:
    from typing import overload

    from PIL.Image import Image

    from impasto.images.masks import MaskSource

StrokeSize: TypeAlias = float | Literal["auto", "native"]

# Bytes per pixel that a network without stages is taken to need.
_TILED_BYTES: Final = 512

DEFAULT_MEMORY: Final = 1 << 30
"""Bytes of working memory above which pictures are painted in strips: 1 GiB."""


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
        self.metadata, self._session, self._data = opened
        self._threads = threads
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

        return change_like_input(image, painted, max_pixels=limit)

    def paint(
        self,
        rgb: NDArray[np.uint8],
        *,
        strength: float = 1.0,
        keep_colors: bool = False,
        mask: NDArray[np.uint8] | None = None,
        stroke_size: StrokeSize = "auto",
        memory: int | None = None,
        progress: Progress = nothing,
    ) -> NDArray[np.uint8]:
        """Paints an array, the core that everything else wraps.

        Args:
            rgb: (H, W, 3) uint8 sRGB of any size from 1x1 up.
            strength: 0 (the photo, exactly) to 1 (the painting). With an identity among the
                model's parameter sets, ``net(p(s)) + (1 - s) (photo - net(p(0)))``; else
                pixels are mixed.
            keep_colors: luma from the result, chroma from the photo.
            mask: (h, w) uint8, 255 painted and 0 photo, of any size with the picture's shape.
            stroke_size: as for `stroke_factor`.
            memory: bytes of working memory; a picture that needs more is painted strip by strip,
                with the same result, where model and device allow it. None is 1 GiB.
            progress: told the share that is done, while a picture is painted in strips.

        Returns:
            (H, W, 3) uint8, the same size.

        Raises:
            UsageError: ``strength`` lies outside 0..1, ``stroke_size`` is no positive number,
                the mask has another aspect ratio, or the memory holds no strip.
            OutputError: there is not enough temporary space for strips.
            ModelError: the model fails on the picture.
        """
        if not 0.0 <= strength <= 1.0:
            raise UsageError(f"strength must lie between 0 and 1, not {strength}")
        factor = stroke_factor(stroke_size, max(rgb.shape[:2]), self.metadata.reference_px)
        if mask is not None:
            from impasto.images.masks import blend, fit_mask

            mask = fit_mask(mask, *rgb.shape[:2])  # an unfit one is refused before the work
        if strength == 0.0:
            return rgb.copy()
        budget = Budget(DEFAULT_MEMORY if memory is None else memory, progress)
        result = self._styled(rgb, strength, factor, budget)
        if keep_colors:
            result = colour.keep_colors(_floats(rgb), result)
        painted = to_levels(result)
        return painted if mask is None else blend(rgb, painted, mask)

    def _styled(
        self, rgb: NDArray[np.uint8], strength: float, stroke_factor: float, budget: Budget
    ) -> NDArray[np.float32]:
        """Paints at the stroke size that parameter sets give; resampling gives the rest."""
        covered = covered_stroke_size(self.metadata, stroke_factor, max(rgb.shape[:2]))
        work = resample(rgb, covered / stroke_factor)
        identity = self.metadata.strength == "identity"
        style = mixture(
            self.metadata,
            self.blend,
            stroke_size=covered,
            strength=strength if identity else 1.0,
        )
        result = self._network(work, style, budget)
        # What is painted is made apart from the photo's share: only that one stays sharp.
        if strength < 1.0 and identity:
            left = self._network(work, mixture(self.metadata, self.blend, strength=0.0), budget)
            left *= np.float32(1 - strength)
            result -= left
        elif strength < 1.0:
            result *= np.float32(strength)
        if work is not rgb:
            result = restore(rgb, work, result)
        if strength < 1.0:
            photo = _floats(rgb)
            photo *= np.float32(1 - strength)
            result += photo
        return np.clip(result, 0.0, 1.0, out=result)

    def _network(
        self, rgb: NDArray[np.uint8], style_weights: NDArray[np.float32], budget: Budget
    ) -> NDArray[np.float32]:
        """Runs the network; returns (H, W, 3) in [0, 1] for uint8 of any size from 1x1 up."""
        height, width = rgb.shape[:2]
        plan = self._stages if self.device == "cpu" else None
        if plan is not None and working_bytes(plan, height, width) > budget.memory:
            weights = None if self._session.parameter_sets is None else style_weights
            strips = StripNetwork(self._data, plan, threads=self._threads)
            return strips.paint(rgb, weights, budget)
        if self.metadata.tiling.allowed and height * width * _TILED_BYTES > budget.memory:
            return self._in_tiles(rgb, budget)
        enlarged, top, left = mirror_up(rgb, self.metadata.min_size_px)
        result = run_on_picture(self._session, enlarged, style_weights)
        return result[top : top + height, left : left + width]

    def _in_tiles(self, rgb: NDArray[np.uint8], budget: Budget) -> NDArray[np.float32]:
        """Runs a network without global statistics, in pieces that fit the budget."""
        tiling = self.metadata.tiling
        result = np.empty(rgb.shape, np.float32)
        tiles = run_in_tiles(
            rgb,
            lambda tile: run_on_picture(self._session, tile),
            scale=1,
            tile_px=max(math.isqrt(budget.memory // _TILED_BYTES), tiling.align_px),
            halo_px=tiling.halo_px or 0,
            min_size_px=self.metadata.min_size_px,
            align_px=tiling.align_px,
        )
        for rows, columns, part in tiles:
            result[rows, columns] = part
        return result

    def frozen(self, rgb: NDArray[np.uint8], *, stroke_size: StrokeSize = "auto") -> bytes:
        """Makes a model whose norms have the statistics of one picture, for all others.

        It paints this picture as before, anything in another one as it would here, and may be
        run in tiles. It holds one style, without strokes of other sizes and without identity.

        Args:
            rgb: (H, W, 3) uint8, the picture.
            stroke_size: as for `paint`.

        Returns:
            The content of an ``.onnx`` file.

        Raises:
            ModelError: the model does not state its stages, as those of older versions.
            UsageError: ``stroke_size`` is no positive number.
        """
        plan = self._stages
        if plan is None:
            raise ModelError(
                f"the model of {self.name} has no norms to freeze, or was exported by an older "
                "impasto: `impasto export` makes it anew from its run"
            )
        factor = stroke_factor(stroke_size, max(rgb.shape[:2]), self.metadata.reference_px)
        covered = covered_stroke_size(self.metadata, factor, max(rgb.shape[:2]))
        work, _, _ = mirror_up(resample(rgb, covered / factor), self.metadata.min_size_px)
        weights = mixture(self.metadata, self.blend, stroke_size=covered, strength=1.0)
        norms = StripNetwork(self._data, plan, threads=self._threads).norms(
            work, None if self._session.parameter_sets is None else weights
        )
        titles = {style.name: style for style in self.metadata.styles}
        style = dataclasses.replace(
            titles[next(iter(self.blend))], name="_".join(self.blend)[:LONGEST_NAME]
        )
        metadata = dataclasses.replace(
            self.metadata,
            styles=(style,),
            stroke_sizes=(1.0,),
            strength="fade",
            scores={},
            tiling=Tiling(True, len(plan.stages) * plan.halo_px, plan.align_px),
        )
        return freeze_graph(self._data, norms, {METADATA_KEY: metadata.to_json()})

    @cached_property
    def _stages(self) -> StagePlan | None:
        return read_stages(self._data)


def _floats(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / LEVELS


def stroke_factor(stroke_size: StrokeSize, longer_side_px: int, reference_px: int | None) -> float:
    """Turns a stroke size into a factor on the strokes that the model was trained at.

    Args:
        stroke_size: a number multiplies the strokes; ``"native"`` is 1; ``"auto"`` makes
            them as large, relative to the picture, as on one of ``reference_px``.
        longer_side_px: of the picture.
        reference_px: what the model states; with None ``"auto"`` is ``"native"``.

    Raises:
        UsageError: the number does not lie between 0.1 and 10, or the word is another.
    """
    if stroke_size == "native" or (stroke_size == "auto" and reference_px is None):
        return 1.0
    if stroke_size == "auto" and reference_px is not None:
        return longer_side_px / reference_px
    if isinstance(stroke_size, str) or not 0.1 <= stroke_size <= 10:
        raise UsageError(
            f"the stroke size must be auto, native or a number from 0.1 to 10, not {stroke_size!r}"
        )
    return float(stroke_size)
