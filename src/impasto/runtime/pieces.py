"""Running a style network in pieces on what is too large for memory: in strips or in tiles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impasto.images.rows import HELD_BYTES, Rows, WritableRows
from impasto.runtime.budget import Budget
from impasto.runtime.network import OpenModel, run_on_picture
from impasto.runtime.session import CPU, IN_MAIN_MEMORY
from impasto.runtime.stages import StagePlan, read_stages
from impasto.runtime.strips import StripNetwork, working_bytes
from impasto.runtime.tiling import done_share, run_in_tiles, tile_in_budget

# Bytes per pixel that ONNX Runtime takes for a network in one piece: measured 184, 786 and 1133
# for `johnson` of width 4, 32 and 64, and 103 for the gallery's, frozen.
_BYTES: Final = 128
_BYTES_PER_CHANNEL: Final = 24
_UNKNOWN_CHANNELS: Final = 64
_MOST_CHANNELS: Final = 4096


class PieceNetwork:
    """A style network that is run in pieces where a picture does not fit the memory."""

    def __init__(self, opened: OpenModel, *, threads: int | None = None) -> None:
        """Takes a model.

        Args:
            opened: the model.
            threads: CPU threads for one picture; None takes every core.
        """
        self._metadata, self._session, self._data = opened
        self._threads = threads

    @cached_property
    def stages(self) -> StagePlan | None:
        """The network's stages, where its file states them."""
        return read_stages(self._data)

    def fits(self, shape: tuple[int, ...], budget: Budget) -> bool:
        """Tells whether a picture of a shape fits the memory in one piece, or must be tried so."""
        height, width = shape[:2]
        if min(height, width) < self._metadata.min_size_px:
            return True
        if self._strip_plan is not None:
            return working_bytes(self._strip_plan, height, width) <= budget.memory
        if not self._metadata.tiling.allowed:
            return True
        return height * width * (self._pixel_bytes + HELD_BYTES) <= budget.memory

    def device(self, shape: tuple[int, ...], budget: Budget) -> str:
        """Returns where a picture is painted: strips are always by ONNX Runtime on the CPU."""
        in_strips = self._strip_plan is not None and not self.fits(shape, budget)
        return CPU if in_strips else self._session.device

    def paint(
        self,
        rgb: Rows,
        style_weights: NDArray[np.float32],
        budget: Budget,
        result: WritableRows,
    ) -> None:
        """Runs the network in strips, or in tiles where it has no global statistics.

        Args:
            rgb: (H, W, 3) uint8, no side below the network's smallest size.
            style_weights: as for `ModelSession.run`.
            budget: what it may take.
            result: takes (H, W, 3) float32 in [0, 1].

        Raises:
            UsageError: the memory holds no strip or tile; the least that will do is named.
            OutputError: there is not enough temporary space.
            ModelError: the model fails on the picture.
        """
        if self._strip_plan is not None:
            weights = None if self._session.parameter_sets is None else style_weights
            strips = StripNetwork(self._data, self._strip_plan, threads=self._threads)
            strips.paint(rgb, weights, budget, result)
            return
        tiling = self._metadata.tiling
        sizes = {
            "halo_px": tiling.halo_px or 0,
            "min_size_px": self._metadata.min_size_px,
            "align_px": tiling.align_px,
        }
        tile_px = tile_in_budget(rgb, budget, pixel_bytes=self._pixel_bytes, **sizes)
        tiles = run_in_tiles(
            rgb,
            lambda tile: run_on_picture(self._session, tile),
            scale=1,
            tile_px=tile_px,
            **sizes,
        )
        for rows, columns, part in tiles:
            result[rows, columns] = part
            budget.progress(done_share(rgb, rows, columns))

    @property
    def _strip_plan(self) -> StagePlan | None:
        return self.stages if self._session.device in IN_MAIN_MEMORY else None

    @property
    def _pixel_bytes(self) -> int:
        return pixel_bytes(self._metadata.network)


def pixel_bytes(network: Mapping[str, object]) -> int:
    """Estimates, on the safe side, the memory that a network takes for each pixel.

    Args:
        network: its spec as a dictionary.

    Returns:
        Bytes.
    """
    channels: float = _channels(network, "width")
    if network.get("architecture") == "fast":
        # At a quarter of height and width, and at half of them; one ending works at the full size.
        half = _channels(network, "half_width")
        channels = half if network.get("ending") == "full" else max(channels / 16, half / 4)
    return round(_BYTES + _BYTES_PER_CHANNEL * channels)


def _channels(network: Mapping[str, object], name: str) -> int:
    value = network.get(name)
    known = isinstance(value, int) and 1 <= value <= _MOST_CHANNELS
    return value if isinstance(value, int) and known else _UNKNOWN_CHANNELS
