"""Maps of a network that rest in temporary files between its stages."""

from __future__ import annotations

from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.runtime.stages import StagedNorm, StageMap


class _Block(NamedTuple):
    """Rows as they were written, channel by channel, from a byte of the file on."""

    first: int
    rows: int
    start: int


class MapFile:
    """A map, written strip by strip from above; it has sums of each channel for its norm.

    Attributes:
        about: the map.
        rows: how many are written.
        width: of a row.
    """

    def __init__(self, about: StageMap, file: IO[bytes]) -> None:
        """Begins with no rows.

        Args:
            about: the map.
            file: an empty one.
        """
        self.about, self._file = about, file
        self.rows = self.width = 0
        self._blocks: list[_Block] = []
        self._sum = self._squares = np.zeros(1)

    def append(self, part: NDArray[np.floating[Any]]) -> None:
        """Writes the next rows, ``(C, rows, W)``."""
        _, rows, self.width = part.shape
        start = self._file.seek(0, 2)
        self._blocks.append(_Block(self.rows, rows, start))
        self._file.write(np.ascontiguousarray(part).data)
        self.rows += rows

    def add_sums(self, total: NDArray[np.float32], squares: NDArray[np.float32]) -> None:
        """Adds what the values of some rows and their squares sum up to, ``(C,)``."""
        self._sum = self._sum + total.astype(np.float64)
        self._squares = self._squares + squares.astype(np.float64)

    def read(self, first: int, end: int) -> NDArray[np.floating[Any]]:
        """Reads rows as ``(C, rows, W)``."""
        shape = (self.about.channels, end - first, self.width)
        part: NDArray[np.floating[Any]] = np.empty(shape, f"f{self.about.bits // 8}")
        row_bytes = self.width * part.itemsize
        for block in self._blocks:
            low, high = max(first, block.first), min(end, block.first + block.rows)
            if low >= high:
                continue
            for channel, plane in enumerate(part):
                row = channel * block.rows + low - block.first
                self._file.seek(block.start + row * row_bytes)
                self._file.readinto(plane[low - first : high - first].data)  # type: ignore[attr-defined]
        return part

    def affine(
        self, norm: StagedNorm, parameters: dict[str, NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns the norm as what each channel is multiplied by, and what is added.

        Args:
            norm: the norm of this map.
            parameters: what the stage of the parameters gives.

        Returns:
            Scales and shifts, ``(C, 1, 1)``.
        """
        count = self.rows * self.width
        mean = self._sum / count
        variance = np.maximum(self._squares / count - mean**2, 0.0)
        scale = parameters[norm.scale] / np.sqrt(variance + norm.epsilon)
        shift = parameters[norm.shift] - mean * scale
        return scale.astype(np.float32)[:, None, None], shift.astype(np.float32)[:, None, None]

    def close(self) -> None:
        """Removes the file."""
        self._file.close()
