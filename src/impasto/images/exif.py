"""EXIF blocks: what survives of them when a picture is painted, turned or resized."""

from __future__ import annotations

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


def clean_exif(exif: Image.Exif, width: int, height: int, *, srgb: bool) -> bytes | None:
    """Returns a block that fits the upright, decoded picture, or None if nothing is left.

    Orientation, thumbnail and the tags that describe the old file's layout are dropped; size
    and colour space are set right where they are stated.

    Args:
        exif: the block as read, which is changed.
        width: of the upright picture, in px.
        height: likewise.
        srgb: whether the picture will be written as sRGB rather than in a profile of its own.

    Raises:
        Exception: one of `reading.DECODE_ERRORS`, where the block is damaged.
    """
    for tag in _LAYOUT_TAGS:
        if tag in exif:
            del exif[tag]
    if not len(exif):
        return None
    stated = {_COLOR_SPACE: _SRGB if srgb else _UNCALIBRATED, _WIDTH: width, _HEIGHT: height}
    _set_stated(exif, stated)
    return exif.tobytes()


def resized_exif(block: bytes, width: int, height: int) -> bytes:
    """Returns a block of `clean_exif` with another size in px, where it states one."""
    exif = Image.Exif()
    exif.load(block)
    _set_stated(exif, {_WIDTH: width, _HEIGHT: height})
    return exif.tobytes()


def has_nested_directories(block: bytes) -> bool:
    """Tells whether a block holds camera details or a place, which TIFF stores apart."""
    exif = Image.Exif()
    exif.load(block)
    return ExifTags.IFD.Exif in exif or ExifTags.IFD.GPSInfo in exif


def _set_stated(exif: Image.Exif, values: dict[int, int]) -> None:
    if ExifTags.IFD.Exif not in exif:
        return  # asking Pillow for a directory would make an empty one
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, value in values.items():
        if tag in details:
            details[tag] = value
