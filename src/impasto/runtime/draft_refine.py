"""Painting with a draft and a refine network: strokes are as large in any picture.

The draft network paints the picture small, at its working size, as a whole. The refine network
takes it up to the full size in steps of at most 2, tile by tile: it has no global statistics, so
that tiles with the halo that it states are exact. Where a tile's pixels come from is arithmetic on
whole pixels, the same for a tile as for the whole.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.dials import Painting
from impasto.errors import ModelError
from impasto.images.mapping import empty_like, release
from impasto.images.resize import mirror_up, resized_to
from impasto.runtime.cores import usable_cores
from impasto.runtime.metadata import REFINE_KEY
from impasto.runtime.model_file import check_graph, read_entry
from impasto.runtime.session import (
    CPU,
    DRAFT_INPUT_NAME,
    LEVELS,
    PHOTO_INPUT_NAME,
    ModelSession,
    OpenModel,
    Progress,
    part,
    run_on_picture,
    to_levels,
)

SMALLEST_WORKING_PX: Final = 64

# Of a tile's result, without halo. Larger ones do not fit a processor's cache.
_TILE_PX: Final = 256
_LEAST_TILE_PX: Final = 64


class DraftRefinePainter:
    """A draft and a refine network, ready to paint; safe to call from several threads at once."""

    def __init__(self, opened: OpenModel, *, threads: int | None = None) -> None:
        """Takes a model and opens its refine network on the same device.

        Raises:
            ModelError: the refine network is missing or damaged, or does not fit the rest.
        """
        self._metadata, self._session = opened.metadata, opened.session
        on_cpu = self._session.device == CPU
        # Tiles beside one another are faster than threads that share a tile.
        self._at_once = (threads or usable_cores()) if on_cpu else 1
        self._halo_px = self._metadata.halo_px or 0
        self._refine = ModelSession(
            _refine_graph(opened.data),
            threads=1 if on_cpu else threads,
            device=self._session.device,
            pictures=(PHOTO_INPUT_NAME, DRAFT_INPUT_NAME),
            border_px=self._halo_px,
        )
        self._check()

    def _check(self) -> None:
        """Tries the refine network on the smallest picture.

        Raises:
            ModelError: its parameter sets are not the draft network's, or its halo is not the
                stated one.
        """
        sets, own = self._session.parameter_sets, self._refine.parameter_sets
        if sets != own:
            raise ModelError(
                f"the draft network mixes {sets} parameter sets, the refine network {own}"
            )
        side = 2 * self._halo_px + 2
        photo = np.zeros((1, 3, side, side), np.float32)
        weights = None if own is None else np.full(own, 1 / own, np.float32)
        try:
            self._refine.run(photo, photo, style_weights=weights)
        except ModelError as error:
            raise ModelError(
                f"the refine network does not have the halo of {self._halo_px} px that the file "
                f"states: {error}"
            ) from error

    def paint(
        self,
        rgb: NDArray[np.uint8],
        style_weights: NDArray[np.float32],
        dials: Painting,
        progress: Progress,
    ) -> NDArray[np.uint8]:
        """Paints a picture; the working size is as many times smaller as strokes shall be larger.

        Args:
            rgb: (H, W, 3) uint8 of any size from 1x1 up.
            style_weights: (sets,) float32, of both networks.
            dials: their stroke size counts.
            progress: told the share that is done, after each tile.

        Returns:
            (H, W, 3) uint8, mapped where ``rgb`` is.

        Raises:
            ModelError: the model fails on the picture.
        """
        working_px = working_size_px(self._metadata.working_px or 1, dials.stroke_size)
        height, width = rgb.shape[:2]
        sizes = step_sizes(height, width, working_px)
        photos = [rgb]
        for size in reversed(sizes[:-1]):
            photos.append(resized_to(photos[-1], *size))
        results = [empty_like(photo, photo.shape) for photo in photos]  # a full disk shows now
        photos.reverse()
        painted = results.pop()
        painted[:] = self._draft(photos[0], style_weights)
        areas = np.cumsum([high * wide for high, wide in sizes])
        shares = (areas / areas[-1]).tolist()
        progress(shares[0])
        for photo, start, end in zip(photos[1:], shares, shares[1:], strict=False):
            before, painted = painted, results.pop()
            self._refined(photo, before, style_weights, painted, part(progress, start, end))
        return painted

    def _draft(
        self, rgb: NDArray[np.uint8], style_weights: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        height, width = rgb.shape[:2]
        enlarged, top, left = mirror_up(rgb, self._metadata.min_size_px)
        draft = run_on_picture(self._session, enlarged, style_weights)
        return to_levels(draft[top : top + height, left : left + width])

    def _refined(
        self,
        photo: NDArray[np.uint8],
        before: NDArray[np.uint8],
        style_weights: NDArray[np.float32],
        result: NDArray[np.uint8],
        progress: Progress,
    ) -> None:
        """Takes what was painted one step up, to a photo's size."""
        height, width = photo.shape[:2]

        def run(tile: _Tile) -> NDArray[np.uint8]:
            refined = self._refine.run(*tile.inputs(), style_weights=style_weights)[0]
            np.clip(refined, 0.0, 1.0, out=refined)
            return to_levels(refined.transpose(1, 2, 0))

        tile_px = _tile_px(height, width, self._at_once)
        tiles = _tiles(photo, before, tile_px, self._halo_px)
        count = math.prod(len(tile_starts(side, tile_px)[0]) for side in (height, width))
        with closing(_in_order(run, tiles, self._at_once)) as results:
            for number, (tile, levels) in enumerate(results, start=1):
                rows = slice(tile.top, min(height, tile.top + len(levels)))
                columns = slice(tile.left, min(width, tile.left + levels.shape[1]))
                result[rows, columns] = levels[: rows.stop - rows.start, : columns.stop - tile.left]
                release(result)
                progress(number / count)


def _refine_graph(data: bytes) -> bytes:
    """Reads the refine network out of a model file."""
    text = read_entry(data, REFINE_KEY)
    if text is None:
        raise ModelError("the model states a working size and holds no refine network")
    try:
        graph = base64.b64decode(text, validate=True)
        check_graph(graph)
    except (binascii.Error, ValueError, ModelError) as error:
        raise ModelError(f"the model's refine network is damaged: {error}") from error
    return graph


def working_size_px(stated_px: int, stroke_size: float) -> int:
    """Returns a draft's longer side for a stroke size above 0, where 1 has the one stated."""
    return max(SMALLEST_WORKING_PX, round(stated_px / stroke_size))


def step_sizes(height: int, width: int, working_px: int) -> list[tuple[int, int]]:
    """Returns heights and widths from a draft's to the picture's, in equal steps of at most 2.

    A draft's longer side is ``working_px``, or that of a smaller picture.
    """
    longer = max(height, width)
    if longer <= working_px:
        return [(height, width)]
    steps = math.ceil(math.log2(longer / working_px))
    shares = [(working_px / longer) ** (1 - number / steps) for number in range(steps)]
    smaller = [(max(1, round(height * s)), max(1, round(width * s))) for s in shares]
    return [*smaller, (height, width)]


def tile_starts(size: int, tile_px: int) -> tuple[list[int], int]:
    """Cuts a side into tiles of one even length, the last of which overlaps the one before.

    An odd side counts as one px more, and ``tile_px`` is even.

    Returns:
        Even numbers of pixels where tiles start, and their length.
    """
    size += size % 2
    count = -(-size // tile_px)
    length = -(-size // (2 * count)) * 2
    return [min(number * length, size - length) for number in range(count)], length


def _tile_px(height: int, width: int, at_once: int) -> int:
    """Chooses the side of tiles: smaller ones where there would be too few for all threads."""
    tile_px = _TILE_PX
    while tile_px > _LEAST_TILE_PX and -(-height // tile_px) * -(-width // tile_px) < 2 * at_once:
        tile_px //= 2
    return tile_px


def mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Returns which pixels of a side are seen from one place to another, mirrored at its ends."""
    places = np.arange(start, stop)
    if size == 1:
        return np.zeros_like(places)
    period = 2 * (size - 1)
    places = np.abs(places) % period
    return np.minimum(places, period - places)


def _piece(places: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Returns places as a slice, which copies nothing, unless some of them are mirrored."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first == len(places) - 1 else places


class Taps(NamedTuple):
    """Which two pixels of a side make each pixel of a larger one, by half-pixel bilinear weights.

    The same as ``F.interpolate(mode="bilinear", align_corners=False)`` of PyTorch.

    Attributes:
        span: all pixels of the smaller side that are seen.
        first: the lower pixel of each, counted from the start of the span.
        second: the upper one.
        share: of the upper one, 0 to 1, float32.
    """

    span: slice
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: NDArray[np.float32]

    @classmethod
    def of(cls, places: NDArray[np.intp], size: int, small_size: int) -> Taps:
        """Returns the taps of pixels of a side, in a smaller side."""
        source = np.maximum((places + 0.5) * (small_size / size) - 0.5, 0.0)
        first = np.minimum(source.astype(np.intp), small_size - 1)
        second = np.minimum(first + 1, small_size - 1)
        span = slice(int(first.min()), int(second.max()) + 1)
        share = (source - first).astype(np.float32)
        return cls(span, first - span.start, second - span.start, share)


class _Tile(NamedTuple):
    """What makes a tile, halo included.

    Attributes:
        top: first row of its result.
        left: first column of its result.
        photo: (h, w, 3) uint8.
        before: (r, c, 3) uint8, of the step before.
        down: which rows of ``before`` make each row.
        across: which columns of ``before`` make each column.
    """

    top: int
    left: int
    photo: NDArray[np.uint8]
    before: NDArray[np.uint8]
    down: Taps
    across: Taps

    def inputs(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns photo and enlarged draft as the network takes them, (1, 3, h, w) in [0, 1]."""
        photo = np.divide(self.photo.transpose(2, 0, 1)[None], LEVELS, order="C")
        small = np.divide(self.before.transpose(2, 0, 1), LEVELS, order="C")
        low = small[:, self.down.first]
        low += self.down.share[:, None] * (small[:, self.down.second] - low)
        draft = np.take(low, self.across.first, axis=2)
        other = np.take(low, self.across.second, axis=2)
        other -= draft
        other *= self.across.share
        draft += other
        return photo, draft[None]


def _tiles(
    photo: NDArray[np.uint8], before: NDArray[np.uint8], tile_px: int, halo_px: int
) -> Iterator[_Tile]:
    """Cuts a step into tiles, band by band from above."""
    height, width = photo.shape[:2]
    tops, rows = tile_starts(height, tile_px)
    lefts, columns = tile_starts(width, tile_px)
    for top in tops:
        seen = mirrored(top - halo_px, top + rows + halo_px, height)
        band, down = photo[_piece(seen)], Taps.of(seen, height, before.shape[0])
        for left in lefts:
            seen = mirrored(left - halo_px, left + columns + halo_px, width)
            across = Taps.of(seen, width, before.shape[1])
            small = before[down.span, across.span]
            yield _Tile(top, left, band[:, _piece(seen)], small, down, across)
        release(photo, before)


def _in_order(
    run: Callable[[_Tile], NDArray[np.uint8]], tiles: Iterator[_Tile], at_once: int
) -> Generator[tuple[_Tile, NDArray[np.uint8]], None, None]:
    """Runs several tiles at once; yields what each becomes, in their order."""
    if at_once == 1:
        yield from ((tile, run(tile)) for tile in tiles)
        return
    running: deque[tuple[_Tile, Future[NDArray[np.uint8]]]] = deque()
    with ThreadPoolExecutor(at_once, "impasto") as pool:
        for tile in tiles:
            running.append((tile, pool.submit(run, tile)))
            if len(running) > 2 * at_once:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
