"""Enlarging pictures with a model file, tile by tile, with the same result as on the whole.

Tiles partition the picture. Each is read with a halo as wide as the network sees and loses it
again afterwards. At the picture's own borders there is nothing to read, so that there, and only
there, the network's handling of borders shows.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from impasto.dials import Enlarging, Writing
from impasto.errors import ImageTooLargeError, ModelError, UsageError
from impasto.images import colour
from impasto.images.mapping import empty_like, release
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo, without_huge
from impasto.images.resize import enlarge_rest, fill_hidden, halved, mirror_up
from impasto.runtime.session import Progress, nothing, open_model, run_on_picture, to_levels

if TYPE_CHECKING:
    from typing import TypedDict, Unpack, overload

    from PIL.Image import Image

    class _Keywords(TypedDict, total=False):
        scale: int | None
        match_histogram: bool
        tile_px: int | None
        max_pixels: int | None


# What each network can give. Twice the size is four times the size, halved.
_SCALES: Final = {4: (2, 4), 8: (8,)}

# Side of a tile's result. The paper's network, 64 channels at full size, needs about 0.3 GB
# for each of its two or three largest arrays there; those that work at the low resolution and
# are shipped need a tenth.
_RESULT_PX: Final = 1024
# Halos are computed twice; a tile of eight makes that at most (10 / 8)^2 = 1.6 times the work.
_HALOS_PER_TILE: Final = 8
# Up to this many tiles' pixels one run without halos is cheaper than four with them.
_TILES_AT_ONCE: Final = 2


class UpscaleModel:
    """A super-resolution network, ready to enlarge; safe to call from several threads at once.

    Call it with a path, a file's bytes, a Pillow image or a NumPy array: it returns the same
    kind (a path gives a Pillow image, bytes give bytes of the same format).

    Attributes:
        metadata: what the model file states about itself.
        name: the file's name.
        scale: how many times as wide and high its results are unless a call says otherwise.
        device: where it runs, for example ``"cpu"``.
    """

    def __init__(
        self, path: str | Path, *, threads: int | None = None, device: str = "auto"
    ) -> None:
        """Loads an exported model file; ``threads`` and ``device`` are those of `load_upscaler`.

        Raises:
            ModelError: the file cannot be used, or paints a style.
            NewerFormatError: a newer version of Impasto made it.
            UsageError: there is no such device.
        """
        opened = open_model(path, "upscale", threads=threads, device=device)
        self.metadata, self._session = opened.metadata, opened.session
        if self.metadata.scale not in _SCALES:
            raise ModelError(
                f"{path}: the model enlarges by {self.metadata.scale}, and only models that "
                "enlarge by 4 or 8 are run"
            )
        if self._session.parameter_sets is not None:
            raise ModelError(f"{path}: the graph mixes styles, which no upscaling model has")
        self.name = Path(path).name
        self.scale = self.metadata.scale
        self.device = self._session.device

    @property
    def scales(self) -> tuple[int, ...]:
        """What it can enlarge by."""
        return _SCALES[self.metadata.scale]

    def with_scale(self, scale: int) -> UpscaleModel:
        """Returns the same model, loaded once, with another of its `scales`.

        Raises:
            UsageError: the network cannot give that scale.
        """
        self._check_scale(scale)
        if scale == self.scale:
            return self
        other = copy.copy(self)
        other.scale = scale
        return other

    if TYPE_CHECKING:

        @overload
        def __call__(self, image: str | Path | Image, **dials: Unpack[_Keywords]) -> Image: ...
        @overload
        def __call__(self, image: bytes, **dials: Unpack[_Keywords]) -> bytes: ...
        @overload
        def __call__(
            self, image: NDArray[np.uint8], **dials: Unpack[_Keywords]
        ) -> NDArray[np.uint8]: ...

    def __call__(
        self,
        image: str | Path | bytes | Image | NDArray[np.uint8],
        *,
        scale: int | None = None,
        match_histogram: bool = False,
        tile_px: int | None = None,
        max_pixels: int | None = None,
    ) -> Image | bytes | NDArray[np.uint8]:
        """Enlarges a picture of any kind and returns the same kind, upright, alpha enlarged too.

        Arrays are (H, W, 3), (H, W, 4) with alpha or (H, W) grey, uint8; a grey one gives
        (H, W, 3). The other arguments are those of `upscale`.

        Raises:
            UsageError: a setting is out of its range, or ``image`` is of another kind.
            ImageError: the picture cannot be read, or the result would be too large.
            ModelError: the model fails on it.
        """
        from impasto.runtime.changes import Enlarger, change_like_input

        dials = Enlarging(
            scale=self.scale if scale is None else scale,
            match_histogram=match_histogram,
            tile=tile_px,
        )
        limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        return change_like_input(image, Enlarger(self, dials, max_pixels), max_pixels=limit)

    def upscale_photo(
        self, photo: Photo, *, progress: Progress = nothing, **settings: Unpack[_Keywords]
    ) -> Photo:
        """Enlarges a decoded picture with all that belongs to it; the arguments are `upscale`'s.

        What lies hidden below full transparency does not colour the edges.
        """
        rgb = self.upscale(fill_hidden(photo.rgb, photo.alpha), progress=progress, **settings)
        return enlarge_rest(dataclasses.replace(photo, rgb=rgb))

    def upscale(
        self,
        rgb: NDArray[np.uint8],
        *,
        scale: int | None = None,
        match_histogram: bool = False,
        tile_px: int | None = None,
        max_pixels: int | None = None,
        progress: Progress = nothing,
    ) -> NDArray[np.uint8]:
        """Enlarges an array, the core that everything else wraps.

        Args:
            rgb: (H, W, 3) uint8 sRGB of any size from 1x1 up.
            scale: 2, 4 or 8, as far as the network can; None is the model's own.
            match_histogram: give each channel of the result the histogram of ``rgb``'s, as the
                paper does (section 4.2).
            tile_px: largest side of what the network is given at once, in pixels of ``rgb``
                and without the halo around it, which is the least; smaller takes less memory
                and more time, with the same result. None chooses it.
            max_pixels: largest result; None is 200 million.
            progress: told the share that is done, after each tile.

        Returns:
            (scale H, scale W, 3) uint8.

        Raises:
            UsageError: the network cannot give that scale, or cannot be run in tiles.
            ImageTooLargeError: the result would have too many pixels, or a tile does not fit
                into memory.
            ModelError: the model fails on the picture.
        """
        scale = self.scale if scale is None else scale
        self._check_scale(scale)
        match_histogram = Enlarging(match_histogram=match_histogram).match_histogram
        max_pixels = Writing(max_pixels=max_pixels).max_pixels
        height, width = rgb.shape[:2]
        limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        if height * width * scale**2 > limit:
            raise ImageTooLargeError(
                f"the result would be {scale * width}x{scale * height}, above the limit of "
                f"{limit:,} pixels (--max-pixels or max_pixels raises it){without_huge()}"
            )
        mirrored, top, left = mirror_up(rgb, self.metadata.min_size_px)
        result = self._in_tiles(mirrored, scale, tile_px, progress)
        if mirrored is not rgb:
            larger, result = result, empty_like(rgb, (scale * height, scale * width, 3))
            rows, columns = slice(top, top + height), slice(left, left + width)
            result[:] = larger[_times(scale, rows), _times(scale, columns)]
        if match_histogram:
            result = colour.match_histogram(result, rgb)
        return result

    def _in_tiles(
        self, rgb: NDArray[np.uint8], scale: int, tile_px: int | None, progress: Progress
    ) -> NDArray[np.uint8]:
        """Runs the network; no side of ``rgb`` is below its smallest size.

        Raises:
            UsageError: ``tile_px`` is out of its range, or given and tiles are refused.
        """
        height, width = rgb.shape[:2]
        network_scale, tiling = self.metadata.scale, self.metadata.tiling
        halo_px = tiling.halo_px if tiling.allowed else None
        # Of a smaller tile, more than eight ninths would be what is read around it.
        least_px = max(1, halo_px or 0)
        if tile_px is not None and tile_px < least_px:
            raise UsageError(
                f"the side of a tile must be at least {least_px} px with {self.name}, not "
                f"{tile_px}: make it larger, or leave it out (--tile or tile_px)"
            )
        if halo_px is None:
            if tile_px is not None:
                raise UsageError(
                    f"{self.name} needs the whole picture at once: leave the size of tiles out"
                )
            tile_px, halo_px = max(height, width), 0
        elif tile_px is None:
            tile_px = default_tile_px(height, width, scale=network_scale, halo_px=halo_px)
        result = empty_like(rgb, (scale * height, scale * width, 3))
        tiles = run_in_tiles(
            rgb,
            lambda tile: run_on_picture(self._session, tile),
            scale=network_scale,
            tile_px=tile_px,
            halo_px=halo_px,
            min_size_px=self.metadata.min_size_px,
        )
        for rows, columns, part in tiles:
            at = (_times(scale, rows), _times(scale, columns))
            result[at] = to_levels(part if scale == network_scale else halved(part))
            release(result)
            done = rows.start * width + (rows.stop - rows.start) * columns.stop
            progress(done / (height * width))
        return result

    def _check_scale(self, scale: int) -> None:
        if scale not in self.scales:
            raise UsageError(
                f"scale and model disagree: {self.name} enlarges by "
                f"{' or '.join(map(str, self.scales))}, not by {scale}: choose another of the two"
            )


def default_tile_px(height: int, width: int, *, scale: int, halo_px: int) -> int:
    """Chooses the side of tiles for a picture and a network, all in px of the picture.

    It is the picture's longer side where one run is enough.
    """
    tile_px = max(_RESULT_PX // scale, _HALOS_PER_TILE * halo_px)
    if height * width <= _TILES_AT_ONCE * tile_px**2:
        return max(height, width)
    return tile_px


def run_in_tiles(
    rgb: NDArray[np.uint8],
    network: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    *,
    scale: int,
    tile_px: int,
    halo_px: int,
    min_size_px: int = 1,
) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
    """Runs a network on each tile of a picture.

    Args:
        rgb: (H, W, 3) uint8, no side below ``min_size_px``.
        network: maps (h, w, 3) to (scale h, scale w, 3).
        scale: of the network.
        tile_px: largest side of a tile without its halo, from 1 up.
        halo_px: how far from a pixel the network's result for it depends on others.
        min_size_px: smallest side that the network takes.

    Yields:
        Rows and columns of a tile in ``rgb``, and what the network made of it: (scale rows,
        scale columns, 3) float32.
    """
    height, width = rgb.shape[:2]
    for rows, seen_rows in _spans(height, tile_px, halo_px, min_size_px):
        band = rgb[seen_rows]
        for columns, seen_columns in _spans(width, tile_px, halo_px, min_size_px):
            result = network(band[:, seen_columns])
            kept_rows = _times(scale, rows, seen_rows.start)
            yield rows, columns, result[kept_rows, _times(scale, columns, seen_columns.start)]
        release(rgb)


def _spans(
    size: int, tile_px: int, halo_px: int, min_size_px: int
) -> Iterator[tuple[slice, slice]]:
    """Cuts a side of a picture into equal parts, of which the last one may be shorter.

    Yields what is kept of each, and what is read for that, halo included.
    """
    step = -(-size // -(-size // tile_px))
    for start in range(0, size, step):
        stop = min(start + step, size)
        first, last = max(0, start - halo_px), min(size, stop + halo_px)
        if last - first < min_size_px:  # more halo than needed does no harm
            last = min(size, first + min_size_px)
            first = max(0, last - min_size_px)
        yield slice(start, stop), slice(first, last)


def _times(scale: int, part: slice, origin: int = 0) -> slice:
    """Returns where a part of a side lies, counted from an origin, when it is enlarged."""
    return slice(scale * (part.start - origin), scale * (part.stop - origin))
