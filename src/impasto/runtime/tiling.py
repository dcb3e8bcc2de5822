"""Running a network on a picture tile by tile, with the same result as on the whole.

Tiles partition the picture. Each is read with a halo as wide as the network sees and loses it
again afterwards. At the picture's own borders there is nothing to read, so that there, and only
there, the network's handling of borders shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impasto.images.mapping import release

Network = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

# Side of a tile's result. The paper's network, 64 channels at full size, needs about 0.3 GB
# for each of its two or three largest arrays there; those that work at the low resolution and
# are shipped need a tenth.
_RESULT_PX: Final = 1024
# Halos are computed twice; a tile of eight makes that at most (10 / 8)^2 = 1.6 times the work.
_HALOS_PER_TILE: Final = 8
# Up to this many tiles' pixels one run without halos is cheaper than four with them.
_TILES_AT_ONCE: Final = 2


def default_tile_px(height: int, width: int, *, scale: int, halo_px: int) -> int:
    """Chooses the side of tiles.

    Args:
        height: of the picture, in px.
        width: likewise.
        scale: of the network.
        halo_px: of the network.

    Returns:
        In pixels of the picture; its longer side where it is small enough for one run.
    """
    tile_px = max(_RESULT_PX // scale, _HALOS_PER_TILE * halo_px)
    if height * width <= _TILES_AT_ONCE * tile_px**2:
        return max(height, width)
    return tile_px


def run_in_tiles(
    rgb: NDArray[np.uint8],
    network: Network,
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
    for rows in _spans(height, tile_px, halo_px, min_size_px):
        read = rgb[rows.read]
        for columns in _spans(width, tile_px, halo_px, min_size_px):
            result = network(read[:, columns.read])
            yield rows.kept, columns.kept, result[rows.within(scale), columns.within(scale)]
        release(rgb)


def done_share(rgb: NDArray[np.uint8], rows: slice, columns: slice) -> float:
    """Returns the share of a picture that is done with a tile of `run_in_tiles`."""
    height, width = rgb.shape[:2]
    done = rows.start * width + (rows.stop - rows.start) * columns.stop
    return float(done / (height * width))


@dataclass(frozen=True)
class _Span:
    """One side of a tile: what is kept of it, and what is read for that, halo included."""

    kept: slice
    read: slice

    def within(self, scale: int) -> slice:
        """Returns the kept part of the result for what was read."""
        start, stop = (scale * (px - self.read.start) for px in (self.kept.start, self.kept.stop))
        return slice(start, stop)


def _spans(size: int, tile_px: int, halo_px: int, min_size_px: int) -> Iterator[_Span]:
    """Cuts a side of a picture into equal parts, of which the last one may be shorter."""
    step = -(-size // -(-size // tile_px))
    for start in range(0, size, step):
        stop = min(start + step, size)
        first, last = max(0, start - halo_px), min(size, stop + halo_px)
        if last - first < min_size_px:  # more halo than needed does no harm
            last = min(size, first + min_size_px)
            first = max(0, last - min_size_px)
        yield _Span(slice(start, stop), slice(first, last))
