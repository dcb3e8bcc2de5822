"""Recognising picture files and reading their headers, without decoding a pixel."""

from __future__ import annotations

import importlib
import struct
import threading
from typing import TYPE_CHECKING, BinaryIO, Final

from PIL import Image, UnidentifiedImageError

from impasto.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

READABLE: Final = "JPEG, PNG, WebP, TIFF, AVIF, HEIC, BMP, GIF, JPEG 2000, PPM"

# Pillow's other formats are left out on purpose: some start programs (EPS), most are fonts,
# icons or scientific data that nobody means to paint.
_COMMON_FORMATS: Final = ("JPEG", "PNG", "BMP", "GIF", "PPM")
_OTHER_PLUGINS: Final = {
    "WEBP": "WebPImagePlugin",
    "TIFF": "TiffImagePlugin",
    "AVIF": "AvifImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
}
# Brands of ISO 23008-12; "mif1" and "msf1" alone leave the codec open.
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_MAX_BRAND_BYTES: Final = 1024

_open_lock = threading.Lock()


def open_header(file: BinaryIO) -> ImageFile:
    """Reads a picture's header; the caller checks the size it states.

    Raises:
        UnidentifiedImageError: it is of no readable format.
        MissingExtraError: it is a HEIC photo, and the extra ``heic`` is not installed.
        Exception: one of `reading.DECODE_ERRORS`, where the header is damaged.
    """
    # Pillow's own limit is a global that warns at half of its value. Ours is an argument, so
    # the global is lifted while the header is read; nothing is decoded here.
    with _open_lock:
        pillow_limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            try:
                return Image.open(file, formats=_COMMON_FORMATS)
            except UnidentifiedImageError:
                if _is_heic(file):
                    return _open_heic(file)
                for plugin in _OTHER_PLUGINS.values():
                    importlib.import_module(f"PIL.{plugin}")
                return Image.open(file, formats=tuple(_OTHER_PLUGINS))
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit


def _is_heic(file: BinaryIO) -> bool:
    file.seek(0)
    start = file.read(_MAX_BRAND_BYTES)
    if start[4:8] != b"ftyp":
        return False
    # The box: its size, "ftyp", the major brand, a version, the compatible brands.
    (size,) = struct.unpack(">I", start[:4])
    box = start[:size]
    brands = {box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))}
    return bool(brands & _HEIC_BRANDS) and not brands & _AVIF_BRANDS


def _open_heic(file: BinaryIO) -> ImageFile:
    try:
        from pi_heif import HeifImageFile
    except ModuleNotFoundError as error:
        raise MissingExtraError("heic", "reading HEIC photos") from error
    file.seek(0)
    if not _item_texts_are_text(file.read()):
        raise SyntaxError("a HEIC item's type or name is not text")
    image: ImageFile = HeifImageFile(file)
    return image


def _item_texts_are_text(data: bytes) -> bool:
    """Checks what makes pi-heif end the process: types and names that are not UTF-8.

    Versions 1.0 to 1.4 do; a single wrong byte of a damaged file is enough.
    """
    start = 0
    while start + 16 <= len(data):
        size, kind, long_size = struct.unpack(">I4sQ", data[start : start + 16])
        size = long_size if size == 1 else size or len(data)
        if kind == b"meta":
            meta = data[start : start + size]
            # An entry is its size, "infe", a version, an item's number, its type and its name.
            entry = meta.find(b"infe")
            while entry >= 4:
                end = entry - 4 + int.from_bytes(meta[entry - 4 : entry], "big")
                try:
                    meta[entry + 12 : end].decode("utf-8")
                except UnicodeDecodeError:
                    return False
                entry = meta.find(b"infe", entry + 4)
        start += max(size, 8)
    return True
