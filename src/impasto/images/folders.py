"""Finding the pictures of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from impasto.errors import DataError

PICTURE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".avif"}
    | {".heic", ".heif", ".hif", ".bmp", ".gif", ".jp2", ".ppm", ".pgm"}
)


def iterate_pictures(folder: str | Path, *, skip: Path | None = None) -> Iterator[Path]:
    """Yields the pictures in a folder and below it, in a fixed order.

    Hidden files and folders (a name that begins with a dot) are left out, and so are named
    pipes and devices, on which reading would wait for good. Folders reached through links and
    the folder ``skip``, for example the one results go to, are not entered.

    Raises:
        DataError: the folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot read folder {error.filename}: {error.strerror or error}")

    skipped = None if skip is None else real_path(skip)
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and real_path(Path(parent) / name) != skipped
        )
        for name in sorted(names):
            path = Path(parent) / name
            named = not name.startswith(".") and path.suffix.lower() in PICTURE_SUFFIXES
            if named and not is_special(path):
                yield path


def real_path(path: Path) -> Path:
    """Follows links; a link that leads to itself is its own end."""
    return Path(os.path.realpath(path))  # before Python 3.13, pathlib's raises for such a link


def is_special(path: Path) -> bool:
    """Tells whether a path is a pipe or a device; a dangling link is not, but missing."""
    # Unlike pathlib's, these never raise.
    known = os.path.isfile(path) or os.path.isdir(path)  # noqa: PTH112, PTH113
    return os.path.exists(path) and not known  # noqa: PTH110
