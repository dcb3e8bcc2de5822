"""Pictures too large for memory: arrays whose pixels lie in a file that is mapped.

Whatever handles pictures takes NumPy arrays and does not ask where they lie. What it makes of a
mapped array it puts beside it by `empty_like`, and it goes through both by `bands`, which keep no
more in memory than is worked on.
"""

from __future__ import annotations

import contextlib
import errno
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from impasto.errors import TemporarySpaceError

DEFAULT_MEMORY: Final = 1 << 30
"""Bytes of working memory that a picture may take unless another number is given: 1 GiB."""

HELD_BYTES: Final = 18
"""Bytes per pixel of a picture that lies in memory while it is worked on: itself, and its result
in floats and in levels."""

_BAND_PIXELS: Final = 1 << 20
_BAND_ROWS: Final = 128  # keeps the arithmetic on usual pictures in the processor's cache

# How a system or a disk says that it reserves no space.
_NOT_OFFERED: Final = (errno.EINVAL, errno.ENODEV, errno.ENOSYS, errno.EOPNOTSUPP)
_ZEROS: Final = bytes(1 << 22)


class _Mapping(mmap.mmap):
    """The pages of a file, and the folder that it lies in.

    `numpy.memmap` is no base for this: a caller's own one may be a private copy, whose changes
    `release` would lose.
    """

    folder: Path


def scratch_folder(target: Path | None = None) -> Path:
    """Chooses the folder for the files of a large picture, whose result may be a file ``target``.

    The variable ``TMPDIR`` names it; else it is the one in which the result will lie, or the
    nearest above it that is there, as a system's temporary folder often is memory; else that one.
    """
    if named := os.environ.get("TMPDIR"):
        return Path(named)
    if target is None:
        return Path(tempfile.gettempdir())
    return next((folder for folder in target.parents if folder.is_dir()), Path())


def mapped(shape: tuple[int, ...], folder: Path) -> NDArray[np.uint8]:
    """Makes a black picture, (H, W) or (H, W, C), in a file of its own in a folder.

    The file has no name, so that nothing is left of it where the process is killed, and goes
    with the array. Its space is taken at once.

    Raises:
        TemporarySpaceError: the folder has no space for it, or cannot be written to.
    """
    size = math.prod(shape)
    try:
        free = shutil.disk_usage(folder).free
        if free < size:
            needed, there = (f"{math.ceil(number / 2**20):,} MiB" for number in (size, free))
            raise TemporarySpaceError(
                f"a picture of {shape[1]}x{shape[0]} needs {needed} more temporary space, "
                f"and {folder} has {there}: name another folder by TMPDIR"
            )
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file, size)
            mapping = _Mapping(file.fileno(), size)
    except OSError as error:
        raise TemporarySpaceError(
            f"cannot write temporary files in {folder}: {error.strerror or error}"
        ) from error
    mapping.folder = folder
    return np.ndarray(shape, np.uint8, mapping)


def is_mapped(array: NDArray[Any]) -> bool:
    """Tells whether an array is one of `mapped` or a view of one."""
    return _mapping(array) is not None


def empty_like(picture: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Makes room for a picture where another one is: in memory, or in a file of its own.

    Raises:
        TemporarySpaceError: there is no space for the file.
    """
    mapping = _mapping(picture)
    return np.empty(shape, np.uint8) if mapping is None else mapped(shape, mapping.folder)


def release(*arrays: NDArray[Any] | None) -> None:
    """Takes what was read and written of mapped arrays out of memory; their files keep it."""
    for array in arrays:
        mapping = None if array is None else _mapping(array)
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            mapping.madvise(mmap.MADV_DONTNEED)


def bands(
    height: int,
    width: int,
    *,
    most_pixels: int | None = None,
    over: Sequence[NDArray[Any] | None] = (),
) -> Iterator[slice]:
    """Cuts a picture into bands of rows, from top to bottom.

    Args:
        height: of the picture, in px.
        width: of the longest row on the way, in px.
        most_pixels: of a band; None makes bands for arithmetic on floats.
        over: arrays that are gone through; `release` is called behind each band.
    """
    rows = min(_BAND_ROWS, _BAND_PIXELS // width) if most_pixels is None else most_pixels // width
    rows = max(1, rows)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
        release(*over)


def _mapping(array: NDArray[Any]) -> _Mapping | None:
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, _Mapping) else None


def _reserve(file: IO[bytes], size: int) -> None:
    """Takes a file's space; where a mapped page has none, writing to it ends the process."""
    with contextlib.suppress(AttributeError):  # not on every system
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
        else:
            return
    for start in range(0, size, len(_ZEROS)):
        file.write(_ZEROS[: size - start])
    file.flush()
