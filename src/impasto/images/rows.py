"""Pictures that are worked on by rows, so that they need not lie in memory.

What goes through a picture by rows takes a NumPy array or a `RowFile`, which is indexed like
one, and puts what it makes where the picture is: in memory, or in temporary files.
"""

from __future__ import annotations

import contextlib
import errno
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from impasto.errors import TemporarySpaceError

DEFAULT_MEMORY: Final = 1 << 30
"""Bytes of working memory that a picture may take unless another number is given: 1 GiB."""

HELD_BYTES: Final = 18
"""Bytes per pixel of a picture that lies in memory while it is worked on: itself, and its result
in floats and in levels."""

_BAND_PIXELS: Final = 1 << 20
_BAND_ROWS: Final = 128  # keeps the arithmetic on usual pictures in the processor's cache


class Rows(Protocol):
    """A picture whose rows can be read: an array, or a `RowFile`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and, if there are several, channels."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Returns rows."""


class WritableRows(Rows, Protocol):
    """A picture whose rows can be written too."""

    def __setitem__(self, at: slice | tuple[slice, slice], values: NDArray[Any], /) -> None:
        """Writes rows, or some columns of rows."""


class Scratch(contextlib.ExitStack):
    """The temporary files of one picture, which are gone when the block ends.

    They have no names, so that nothing is left of them either where the process is killed.
    """

    def room(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> RowFile:
        """Makes room for a picture.

        Args:
            shape: (H, W) or (H, W, C).
            dtype: of its values.

        Raises:
            TemporarySpaceError: the temporary folder has no space for it.
        """
        rows = RowFile(shape, dtype, self)
        self.callback(rows.close)
        return rows


class RowFile:
    """A picture in a temporary file, for one thread at a time.

    Attributes:
        shape: (H, W) or (H, W, C).
        scratch: what keeps the file.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, scratch: Scratch) -> None:
        """Takes the space; `Scratch.room` calls this.

        Floats are kept in 16 bits, exact to 0.06 of a level where they lie in [-1, 1].
        """
        self.shape = shape
        self.scratch = scratch
        wanted = np.dtype(dtype)
        self._dtype = np.dtype(np.float16) if wanted.kind == "f" else wanted
        size = math.prod(shape) * self._dtype.itemsize
        check_space(size, *shape[:2])
        with full_disk_told():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (the scratch closes it)
            _take_space(self._file, size)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Reads rows; floats come in 32 bits."""
        first, end, _ = rows.indices(self.shape[0])
        values: NDArray[Any] = np.empty((max(0, end - first), *self.shape[1:]), self._dtype)
        with full_disk_told():
            self._seek(first)
            self._file.readinto(values.data)
        return values.astype(np.float32) if self._dtype.kind == "f" else values

    def __setitem__(self, at: slice | tuple[slice, slice], values: NDArray[Any]) -> None:
        """Writes rows, or some columns of rows."""
        rows, columns = at if isinstance(at, tuple) else (at, slice(None))
        first, end, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        if values.shape != (end - first, right - left, *self.shape[2:]):
            raise ValueError(f"{values.shape} do not fit into {self.shape} at {at}")
        values = np.ascontiguousarray(values, self._dtype)
        with full_disk_told():
            if right - left == self.shape[1]:
                self._seek(first)
                self._file.write(values.data)
                return
            for row, part in zip(range(first, end), values, strict=True):
                self._seek(row, left)
                self._file.write(part.data)

    def map(self) -> mmap.mmap:
        """Maps the file into memory, to be read."""
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        """Gives the space back."""
        self._file.close()

    def _seek(self, row: int, column: int = 0) -> None:
        across, *channels = self.shape[1:]
        self._file.seek((row * across + column) * math.prod(channels) * self._dtype.itemsize)


Picture = TypeVar("Picture", NDArray[np.uint8], RowFile)
"""A picture of 8 bits, in memory or in a temporary file."""


@dataclass(frozen=True)
class WithAlpha:
    """Colours and transparency as one picture.

    Attributes:
        rgb: (H, W, 3).
        alpha: (H, W).
    """

    rgb: Rows
    alpha: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 4)."""
        return (*self.alpha.shape, 4)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Returns rows, (rows, W, 4)."""
        return np.dstack([self.rgb[rows], self.alpha[rows]])


@overload
def room_like(picture: RowFile, shape: tuple[int, ...]) -> RowFile: ...
@overload
def room_like(picture: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]: ...
def room_like(
    picture: NDArray[np.uint8] | RowFile, shape: tuple[int, ...]
) -> NDArray[np.uint8] | RowFile:
    """Makes room for a picture of 8 bits where another one is.

    Args:
        picture: the other one.
        shape: of the new one, (H, W) or (H, W, C).

    Raises:
        TemporarySpaceError: the temporary folder has no space for it.
    """
    if isinstance(picture, RowFile):
        return picture.scratch.room(shape)
    return np.empty(shape, np.uint8)


def bands(height: int, width: int, *, most_pixels: int | None = None) -> Iterator[slice]:
    """Cuts a picture into bands of rows, from top to bottom.

    Args:
        height: of the picture, in px.
        width: likewise; of a row of whatever is largest on the way.
        most_pixels: of a band; None makes bands for arithmetic on floats.
    """
    if most_pixels is None:
        rows = max(1, min(_BAND_ROWS, _BAND_PIXELS // width))
    else:
        rows = max(1, most_pixels // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def check_space(needed: int, height: int, width: int) -> None:
    """Refuses a picture that the temporary folder has no space for.

    Args:
        needed: bytes.
        height: of the picture, in px.
        width: likewise.

    Raises:
        TemporarySpaceError: the folder, what is needed and what is free are named.
    """
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise TemporarySpaceError(
            f"a picture of {width}x{height} needs {_mebibytes(needed)} more temporary space, "
            f"and {folder} has {_mebibytes(free)}: name another folder by TMPDIR"
        )


def _mebibytes(size: int) -> str:
    return f"{math.ceil(size / 2**20):,} MiB"


@contextlib.contextmanager
def full_disk_told() -> Iterator[None]:
    """Tells of temporary files that cannot be written, in one line.

    Raises:
        TemporarySpaceError: the folder and the reason are named.
    """
    try:
        yield
    except OSError as error:
        raise TemporarySpaceError(
            f"cannot write temporary files in {tempfile.gettempdir()}: {error.strerror or error}"
        ) from error


def _take_space(file: IO[bytes], size: int) -> None:
    """Makes a file as large as it will be, so that a full disk shows before the work."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except (AttributeError, OSError) as error:  # not on every system, nor on every kind of disk
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        file.truncate(size)
