"""Painting with a draft and a refine network: strokes are as large in any picture.

The draft network paints the picture small, at its working size, as a whole. The refine network
takes it up to the full size in steps of at most 2, tile by tile: it has no global statistics, so
that tiles with the halo that it states are exact.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError
from impasto.images.mapping import empty_like, release
from impasto.images.resize import mirror_up, resized_to
from impasto.runtime.cores import usable_cores
from impasto.runtime.metadata import REFINE_KEY
from impasto.runtime.model_file import check_graph, read_entry
from impasto.runtime.network import LEVELS, OpenModel, run_on_picture, to_levels
from impasto.runtime.progress import Progress, part
from impasto.runtime.session import CPU, DRAFT_INPUT_NAME, PHOTO_INPUT_NAME, ModelSession
from impasto.runtime.steps import Taps, mirrored, step_sizes, tile_starts, working_size_px

# Of a tile's result, without halo. Larger ones do not fit a processor's cache.
_TILE_PX: Final = 256
_LEAST_TILE_PX: Final = 64

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class DraftRefinePainter:
    """A draft and a refine network, ready to paint; safe to call from several threads at once."""

    def __init__(self, opened: OpenModel, *, threads: int | None = None) -> None:
        """Takes a model and opens its refine network.

        Args:
            opened: the model, with its draft network; the other runs on the same device.
            threads: CPU threads for one picture; None takes every core.

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
            ModelError: it mixes another number of parameter sets than the draft network, or has
                another halo than is stated.
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
        stroke_size: float,
        progress: Progress,
    ) -> NDArray[np.uint8]:
        """Paints a picture.

        Args:
            rgb: (H, W, 3) uint8 of any size from 1x1 up.
            style_weights: (sets,) float32, of both networks.
            stroke_size: .5 to 4; the working size is so many times smaller.
            progress: told the share that is done, after each tile.

        Returns:
            (H, W, 3) uint8, mapped where ``rgb`` is.

        Raises:
            ModelError: the model fails on the picture.
        """
        height, width = rgb.shape[:2]
        working_px = working_size_px(self._metadata.working_px or 1, stroke_size)
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
            picture, draft = tile.inputs()
            refined = self._refine.run(picture, draft, style_weights=style_weights)[0]
            np.clip(refined, 0.0, 1.0, out=refined)
            return to_levels(refined.transpose(1, 2, 0))

        tile_px = _tile_px(height, width, self._at_once)
        tiles = _tiles(photo, before, tile_px, self._halo_px)
        count = math.prod(len(tile_starts(side, tile_px)[0]) for side in (height, width))
        with ExitStack() as opened:
            pool = None
            if self._at_once > 1:
                pool = opened.enter_context(ThreadPoolExecutor(self._at_once, "impasto"))
            results = _in_order(pool, self._at_once, run, tiles)
            for number, (tile, levels) in enumerate(results, start=1):
                rows = slice(tile.top, min(height, tile.top + len(levels)))
                columns = slice(tile.left, min(width, tile.left + levels.shape[1]))
                result[rows, columns] = levels[: rows.stop - rows.start, : columns.stop - tile.left]
                release(result)
                progress(number / count)


def _refine_graph(data: bytes) -> bytes:
    """Reads the refine network out of a model file.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    text = read_entry(data, REFINE_KEY)
    if text is None:
        raise ModelError("the model states a working size and holds no refine network")
    try:
        graph = base64.b64decode(text, validate=True)
        check_graph(graph)
    except (binascii.Error, ValueError, ModelError) as error:
        raise ModelError(f"the model's refine network is damaged: {error}") from error
    return graph


def _tile_px(height: int, width: int, at_once: int) -> int:
    """Chooses the side of tiles: smaller ones where there would be too few for all threads."""
    tile_px = _TILE_PX
    while tile_px > _LEAST_TILE_PX and -(-height // tile_px) * -(-width // tile_px) < 2 * at_once:
        tile_px //= 2
    return tile_px


@dataclass(frozen=True)
class _Tile:
    """What a tile is made of.

    Attributes:
        top: first row of its result.
        left: first column of its result.
        photo: (h, W, 3) uint8, rows of the photo, halo included.
        before: (r, w, 3) uint8, rows of the step before, as many as are seen.
        rows: which of these make each row.
        columns: which columns of the photo are seen.
        taps: which columns of the step before make each column.
    """

    top: int
    left: int
    photo: NDArray[np.uint8]
    before: NDArray[np.uint8]
    rows: Taps
    columns: NDArray[np.intp]
    taps: Taps

    def inputs(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns photo and enlarged draft as the network takes them, (1, 3, h, w) in [0, 1]."""
        first, last = int(self.columns[0]), int(self.columns[-1])
        if last - first == len(self.columns) - 1:  # nothing is mirrored
            photo = self.photo[:, first : last + 1]
        else:
            photo = self.photo[:, self.columns]
        picture = np.divide(photo.transpose(2, 0, 1)[None], LEVELS, order="C")
        return picture, self._enlarged()

    def _enlarged(self) -> NDArray[np.float32]:
        span, rows = self.taps.span, self.rows
        taps = self.taps.within(span)
        small = np.divide(self.before[:, span].transpose(2, 0, 1), LEVELS, order="C")
        low = small[:, rows.first]
        low += rows.share[:, None] * (small[:, rows.second] - low)
        result = np.take(low, taps.first, axis=2)
        other = np.take(low, taps.second, axis=2)
        other -= result
        other *= taps.share
        result += other
        return result[None]


def _tiles(
    photo: NDArray[np.uint8], before: NDArray[np.uint8], tile_px: int, halo_px: int
) -> Iterator[_Tile]:
    """Cuts a step into tiles, band by band from above."""
    height, width = photo.shape[:2]
    tops, rows = tile_starts(height, tile_px)
    lefts, columns = tile_starts(width, tile_px)
    for top in tops:
        seen = mirrored(top - halo_px, top + rows + halo_px, height)
        first = int(seen.min())
        band = photo[first : int(seen.max()) + 1]
        if seen[0] != first or len(band) != len(seen):
            band = band[seen - first]
        taps = Taps.of(seen, height, before.shape[0])
        smaller = before[taps.span]
        for left in lefts:
            across = mirrored(left - halo_px, left + columns + halo_px, width)
            yield _Tile(
                top,
                left,
                band,
                smaller,
                taps.within(taps.span),
                across,
                Taps.of(across, width, before.shape[1]),
            )
        release(photo, before)


def _in_order(
    pool: ThreadPoolExecutor | None,
    at_once: int,
    run: Callable[[_Item], _Result],
    items: Iterator[_Item],
) -> Iterator[tuple[_Item, _Result]]:
    """Runs several items at once; yields what each becomes, in their order."""
    if pool is None:
        for item in items:
            yield item, run(item)
        return
    running: deque[tuple[_Item, Future[_Result]]] = deque()
    for item in items:
        running.append((item, pool.submit(run, item)))
        if len(running) > 2 * at_once:
            first, future = running.popleft()
            yield first, future.result()
    while running:
        first, future = running.popleft()
        yield first, future.result()
