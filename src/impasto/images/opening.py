"""Recognising picture files, reading their headers and counting their frames.

Nothing here decodes a pixel, and all of it takes bounded time.
"""

from __future__ import annotations

import contextlib
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
_OTHER_PLUGINS: Final = {"WEBP": "WebP", "TIFF": "Tiff", "AVIF": "Avif", "JPEG2000": "Jpeg2K"}
# Brands of ISO 23008-12; "mif1" and "msf1" alone leave the codec open.
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_MAX_BRAND_BYTES: Final = 1024

# Counting stops here: a few megabytes can hold a million frames, and only a note states them.
MAX_FRAMES: Final = 10_000
_MAX_GIF_BLOCKS: Final = 1_000_000
_SUBFILE_TYPE: Final = 254
_REDUCED_COPY: Final = 1

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
                    importlib.import_module(f"PIL.{plugin}ImagePlugin")
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


def count_frames(image: Image.Image, file: BinaryIO) -> int:
    """Counts the frames or pages of a file that `open_header` opened, up to `MAX_FRAMES`.

    GIF and TIFF state no number and Pillow would parse every frame, so their blocks are
    skimmed here. Smaller copies inside a TIFF are not counted, nor the previews and depth maps
    behind the JPEG of an MPO.
    """
    if image.format == "GIF":
        return _count_gif_frames(file)
    if image.format == "TIFF":
        return _count_tiff_pages(file)
    stated = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    return max(1, min(int(stated), MAX_FRAMES))


def _count_gif_frames(file: BinaryIO) -> int:
    file.seek(0)
    frames = 0
    _skip_color_table(file, file.read(13)[10])
    blocks = iter(range(_MAX_GIF_BLOCKS))
    for _ in blocks:
        kind = file.read(1)
        if kind == b",":
            frames += 1
            descriptor = file.read(9)
            if frames == MAX_FRAMES or len(descriptor) < 9:
                break
            _skip_color_table(file, descriptor[8])
        elif kind != b"!":  # the trailer, the file's end, or damage
            break
        file.read(1)  # an image's code size, an extension's label
        for _ in blocks:
            size = file.read(1)
            if size in (b"", b"\0"):
                break
            file.seek(size[0], 1)
    return max(1, frames)


def _skip_color_table(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), 1)


def _count_tiff_pages(file: BinaryIO) -> int:
    file.seek(0)
    start = file.read(16)
    big = start[2] == 43  # Pillow reads BigTIFF in this byte order only
    order = "<" if start[:2] == b"II" else ">"
    # A directory is its number of entries, the entries and the position of the next one.
    number, entry, link = (
        struct.Struct(order + layout)
        for layout in (("Q", "HHQQ", "Q") if big else ("H", "HHII", "I"))
    )
    (position,) = link.unpack(start[8:] if big else start[4:8])
    pages = 0
    seen: set[int] = set()
    # Damage lies behind the first page, which has been decoded.
    with contextlib.suppress(OSError, ValueError, OverflowError, struct.error):
        while position and position not in seen and len(seen) < MAX_FRAMES:
            seen.add(position)
            file.seek(position)
            (entries,) = number.unpack(file.read(number.size))
            # Entries are in ascending order of their tags.
            tag, _, _, kind = entry.unpack(file.read(entry.size))
            file.seek((entries - 1) * entry.size, 1)
            (position,) = link.unpack(file.read(link.size))
            pages += not (tag == _SUBFILE_TYPE and kind & _REDUCED_COPY)
    return max(1, pages)
