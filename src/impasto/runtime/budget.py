"""The working memory that a picture may take, and the least of it that will do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from impasto.errors import UsageError
from impasto.images.rows import HELD_BYTES, RowFile, Rows

Progress = Callable[[float], None]
"""Takes the share of a picture that is done."""

# The least share that is left to strips or tiles keeps them from becoming mere halo.
_LEAST_SHARE: Final = 4


def nothing(_share: float) -> None:
    """Takes reports that nobody wants."""


@dataclass(frozen=True)
class Budget:
    """What a picture may take.

    Attributes:
        memory: bytes of working memory.
        progress: told how far it is.
        given_bytes: what the picture that the user gave would take with its result in memory;
            with so much memory a command no longer keeps it in temporary files.
    """

    memory: int
    progress: Progress = nothing
    given_bytes: int = 0

    def part(self, start: float, end: float) -> Budget:
        """Returns the same for a part of the work, from one share of the whole to another."""
        return dataclasses.replace(
            self, progress=lambda share: self.progress(start + share * (end - start))
        )

    def left(self, picture: Rows) -> int:
        """Returns the bytes that a picture and its result leave to the network."""
        return max(self.memory - _held(picture), self.memory // _LEAST_SHARE)

    def check(self, picture: Rows, needed: int, whole: int) -> None:
        """Refuses memory in which not even the smallest piece of a picture fits.

        Args:
            picture: (H, W, 3), what the network paints.
            needed: bytes for the smallest piece.
            whole: bytes of memory with which the picture is painted in one piece.

        Raises:
            UsageError: it is too little; the least that will do is named.
        """
        if self.left(picture) >= needed:
            return
        height, width = picture.shape[:2]
        held = HELD_BYTES * height * width
        in_memory = min(held + needed, _LEAST_SHARE * needed, whole)
        least = _mebibytes(in_memory)
        if isinstance(picture, RowFile):
            in_files = _mebibytes(min(needed, whole))
            if in_files << 20 < self.given_bytes:
                least = in_files
        raise UsageError(
            f"a picture of {width}x{height} needs at least {least} MiB of working memory "
            "(--memory or memory gives more)"
        )


def _held(picture: Rows) -> int:
    height, width = picture.shape[:2]
    return 0 if isinstance(picture, RowFile) else HELD_BYTES * height * width


def _mebibytes(size: int) -> int:
    return math.ceil(size / 2**20)
