"""EXIF blocks: what survives of them when a picture is painted, turned or resized."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from PIL import ExifTags, Image

# IFD0 tags that say how the old file was laid out, not what the picture is.
_LAYOUT_RANGES: Final = ((254, 269), (273, 281), (284, 284), (288, 293), (297, 301), (317, 347))
_FOREIGN_BLOCKS: Final = (*range(512, 533), 700, 33723, 34377, 34675, 37724)
# JPEG, XMP, IPTC, Photoshop's settings, ICC, Photoshop's layers
_LAYOUT_TAGS: Final = frozenset(
    [*(tag for first, last in _LAYOUT_RANGES for tag in range(first, last + 1)), *_FOREIGN_BLOCKS]
)
_COLOR_SPACE: Final = 0xA001
_SRGB: Final = 1
_UNCALIBRATED: Final = 65535  # "another colour space": the embedded profile says which
_WIDTH, _HEIGHT = 0xA002, 0xA003
_DIRECTORIES: Final = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def clean_exif(found: Image.Exif, width: int, height: int, *, srgb: bool) -> bytes | None:
    """Returns a block that fits the upright, decoded picture, or None if nothing is left.

    Orientation, thumbnail and the tags that describe the old file's layout are dropped; size in px
    and colour space, sRGB or the picture's own profile, are set right where they are stated.

    Raises:
        Exception: one of `reading.DECODE_ERRORS`, where the block is damaged.
    """
    if found.bigtiff:  # Pillow can load the classic layout only
        for directory in _DIRECTORIES:
            if directory in found:
                found.get_ifd(directory)  # is read while the layout is the file's
        found.bigtiff = False
    exif = _loaded(found.tobytes())
    for tag in _LAYOUT_TAGS:
        if tag in exif:
            del exif[tag]
    if not len(exif):
        return None
    stated = {_COLOR_SPACE: _SRGB if srgb else _UNCALIBRATED, _WIDTH: width, _HEIGHT: height}
    return _with_stated(exif, stated)


def resized_exif(block: bytes, width: int, height: int) -> bytes:
    """Returns a block of `clean_exif` with another size in px, where it states one."""
    return _with_stated(_loaded(block), {_WIDTH: width, _HEIGHT: height})


def has_nested_directories(block: bytes) -> bool:
    """Tells whether a block holds camera details or a place, which TIFF stores apart."""
    exif = _loaded(block)
    return any(directory in exif for directory in _DIRECTORIES)


def _loaded(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    return exif


def _with_stated(exif: Image.Exif, values: dict[int, int]) -> bytes:
    if ExifTags.IFD.Exif in exif:  # asking Pillow for a directory would make an empty one
        details = exif.get_ifd(ExifTags.IFD.Exif)
        details.update({tag: value for tag, value in values.items() if tag in details})
    return exif.tobytes()


def add_to_tiff(path: Path, block: bytes) -> None:
    """Gives a finished TIFF or BigTIFF file a block of `clean_exif`.

    Its first directory is written once more behind all else, with the block's entries in it.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    exif = _loaded(block)
    with path.open("r+b") as file:
        head = file.read(8)
        big = 43 in head[2:4]
        directory = ImageFileDirectory_v2(head + file.read(8) if big else head)
        file.seek(directory.next)
        directory.load(file)
        for tag in directory:
            directory[tag] = directory[tag]  # only what was looked up is written again
        for tag, value in exif.items():
            directory[tag] = _nested(exif, tag) if tag in _DIRECTORIES else value
        position = file.seek(0, os.SEEK_END)
        position += file.write(bytes(position % 2))
        file.write(directory.tobytes(position))
        order = "<" if head[:2] == b"II" else ">"
        file.seek(8 if big else 4)
        file.write(struct.pack(order + ("Q" if big else "L"), position))


def _nested(exif: Image.Exif, tag: int) -> dict[int, object]:
    entries = dict(exif.get_ifd(tag))
    if ExifTags.IFD.Interop in entries:
        entries[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
    return entries
