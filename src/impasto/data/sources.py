"""Collections of photos: a folder, a ``.zip`` or a ``.tar``, read without unpacking, or shards."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from impasto.errors import DataError
from impasto.images.reading import DECODE_ERRORS, DEFAULT_MAX_PIXELS, split_alpha

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PHOTO_BYTES = 128 * 1024 * 1024
# Only JPEG is decoded at a reduced scale; of the others each worker may hold several copies.
MAX_DECODED_PIXELS = 64_000_000


# What damaged archives make zipfile raise, beside what damaged pictures make Pillow raise.
_DAMAGE_ERRORS = (*DECODE_ERRORS, zipfile.BadZipFile)


class PhotoSource(Protocol):
    """A numbered collection of encoded photos."""

    names: list[str]

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one photo.

        Raises:
            DataError: they cannot be read.
        """


@dataclass
class FolderSource:
    """Photos below a folder."""

    folder: Path
    names: list[str]

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one photo, or raises `DataError`."""
        path = self.folder / self.names[index]
        try:
            _check_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise DataError("the file cannot be read") from error


@dataclass
class TarSource:
    """Photos inside an uncompressed ``.tar``, read at remembered offsets."""

    path: Path
    names: list[str]
    offsets: dict[str, tuple[int, int]]

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one photo, or raises `DataError`."""
        start, size = self.offsets[self.names[index]]
        _check_size(size)
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return file.read(size)
        except OSError as error:
            raise DataError("the archive cannot be read") from error


@dataclass
class ZipSource:
    """Photos inside a ``.zip``.

    Every process opens the archive once: workers must not share a file position, and the
    directory of a large archive takes longer to read than a photo.
    """

    path: Path
    names: list[str]
    _opened: tuple[int, zipfile.ZipFile] | None = field(default=None, repr=False, compare=False)

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one photo, or raises `DataError`."""
        try:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), zipfile.ZipFile(self.path))
            entry = self._opened[1].getinfo(self.names[index])
            _check_size(entry.file_size)
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError("it is compressed by another method than deflate")
            with self._opened[1].open(entry) as file:
                # Without a size, everything is unpacked whatever size the entry states.
                return file.read(entry.file_size)
        except _DAMAGE_ERRORS as error:
            raise DataError("it cannot be read from the archive") from error

    def __getstate__(self) -> dict[str, object]:
        """Leaves the open file behind when a worker is started."""
        return self.__dict__ | {"_opened": None}


def open_photos(path: str | Path) -> PhotoSource:
    """Opens a folder (recursive), ``.zip`` or ``.tar`` of JPEG, PNG and WebP photos.

    A pattern of ``.tar`` shards gives a `impasto.data.shards.ShardSource`, whose numbered photos
    are the first ones of its shards.

    Raises:
        DataError: the path does not exist, is of another kind, or holds no photo.
        MissingExtraError: it is a pattern, and the extra ``cluster`` is not installed.
    """
    from impasto.data.shards import open_shards, shard_pattern

    pattern = shard_pattern(path)
    if pattern is not None:
        return open_shards(pattern)
    path = Path(path)
    source: PhotoSource
    if path.is_dir():
        names = (
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            # Opening a named pipe would wait for good.
            if is_photo(file.name) and not file.is_fifo()
        )
        source = FolderSource(path, sorted(names))
    elif not path.exists():
        raise DataError(
            f"photos not found: {path}; give a folder, a .zip or a .tar of photos, or a pattern of "
            "shards such as 'photos/{000..099}.tar'"
        )
    else:
        source = _open_archive(path)
    if not source.names:
        raise DataError(f"no photos in {path}; {', '.join(SUFFIXES)} files are read")
    return source


def _open_archive(path: Path) -> PhotoSource:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return ZipSource(path, sorted(set(filter(is_photo, archive.namelist()))))
        with tarfile.open(path, "r:") as tar:
            offsets = {
                member.name: (member.offset_data, member.size)
                for member in tar
                if member.isfile() and is_photo(member.name)
            }
        return TarSource(path, sorted(offsets), offsets)
    except (tarfile.TarError, *_DAMAGE_ERRORS) as error:
        raise DataError(
            f"{path} is not a folder, a .zip or an uncompressed .tar of photos"
        ) from error


def _check_size(size: int) -> None:
    if size > MAX_PHOTO_BYTES:
        raise DataError(f"it has more than {MAX_PHOTO_BYTES >> 20} MiB")


def is_photo(name: str) -> bool:
    """Tells by its name whether a file is a photo; hidden ones are none."""
    base = name.rpartition("/")[2]
    return base.lower().endswith(SUFFIXES) and not base.startswith(".")


def decode_photo(data: bytes, short_side_px: int) -> NDArray[np.uint8]:
    """Decodes a JPEG, PNG or WebP, upright: ``(H, W, 3)`` uint8 RGB.

    JPEGs are decoded at a reduced scale whose sides stay above ``short_side_px``.

    Raises:
        DataError: the bytes are no complete picture, or one of over 200 megapixels; 64 where it
            is no JPEG.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > DEFAULT_MAX_PIXELS:
                raise DataError(f"{opened.width}x{opened.height} px is too large for training")
            opened.draft("RGB", (short_side_px, short_side_px))
            if opened.width * opened.height > MAX_DECODED_PIXELS:
                raise DataError(f"{opened.width}x{opened.height} px is too large for training")
            # Pillow alone would clip 16 bits to 8.
            colours, _ = split_alpha(ImageOps.exif_transpose(opened))
            return np.asarray(colours.convert("RGB"))
    except _DAMAGE_ERRORS as error:
        raise DataError("the picture cannot be decoded") from error
