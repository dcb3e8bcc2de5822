"""Collections of photos: a folder, a ``.zip`` or a ``.tar``, read without unpacking."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from impasto.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_PIXELS = 200_000_000


class PhotoSource(Protocol):
    """A numbered collection of encoded photos."""

    names: list[str]

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one photo."""


@dataclass
class FolderSource:
    """Photos below a folder."""

    folder: Path
    names: list[str]

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one photo."""
        return (self.folder / self.names[index]).read_bytes()


@dataclass
class ArchiveSource:
    """Photos inside an uncompressed ``.tar`` or a ``.zip``.

    A tar is read at remembered offsets, a zip through its directory. The file is opened
    for each read: workers share no handle and nothing needs to be pickled.
    """

    path: Path
    names: list[str]
    offsets: dict[str, tuple[int, int]] | None = None

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one photo."""
        name = self.names[index]
        if self.offsets is None:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        start, size = self.offsets[name]
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(size)


def open_photos(path: str | Path) -> PhotoSource:
    """Opens a folder (recursive), ``.zip`` or ``.tar`` of JPEG, PNG and WebP photos.

    Raises:
        DataError: the path does not exist, is of another kind, or holds no photo.
    """
    path = Path(path)
    source: PhotoSource
    if path.is_dir():
        names = (
            file.relative_to(path).as_posix() for file in path.rglob("*") if _is_photo(file.name)
        )
        source = FolderSource(path, sorted(names))
    elif not path.exists():
        raise DataError(f"photos not found: {path}; give a folder, a .zip or a .tar of photos")
    else:
        source = _open_archive(path)
    if not source.names:
        raise DataError(f"no photos in {path}; {', '.join(SUFFIXES)} files are read")
    return source


def _open_archive(path: Path) -> ArchiveSource:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return ArchiveSource(path, sorted(filter(_is_photo, archive.namelist())))
        with tarfile.open(path, "r:") as tar:
            offsets = {
                member.name: (member.offset_data, member.size)
                for member in tar
                if member.isfile() and _is_photo(member.name)
            }
        return ArchiveSource(path, sorted(offsets), offsets)
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{path} is not a folder, a .zip or an uncompressed .tar of photos"
        ) from error


def _is_photo(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.lower().endswith(SUFFIXES) and not base.startswith(".")


def decode_photo(data: bytes, short_side_px: int) -> NDArray[np.uint8]:
    """Decodes a photo, upright and RGB, no smaller than asked where it is larger.

    Args:
        data: encoded JPEG, PNG or WebP.
        short_side_px: JPEGs are decoded at a reduced scale that stays above this.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: the bytes are no complete picture, or one of over 200 megapixels.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise DataError(f"{opened.width}x{opened.height} px is too large for training")
            opened.draft("RGB", (short_side_px, short_side_px))
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError("the picture cannot be decoded") from error
