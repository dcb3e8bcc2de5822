"""Counting the frames and pages of picture files, in bounded time."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# Counting stops here: a few megabytes can hold a million frames, and only a note states them.
MAX_FRAMES: Final = 10_000
_MAX_GIF_BLOCKS: Final = 1_000_000
_SUBFILE_TYPE: Final = 254
_REDUCED_COPY: Final = 1


def count_frames(image: ImageFile, file: BinaryIO) -> int:
    """Counts the frames or pages of a picture file, up to `MAX_FRAMES`.

    GIF and TIFF state no number and Pillow would parse every frame, so their blocks are
    skimmed here. Smaller copies inside a TIFF are not counted, nor what MPO (a JPEG with
    more behind it) holds: previews and depth maps.

    Args:
        image: what `open_header` gave.
        file: where it came from; its position is moved.
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
    # A directory is its number of entries, the entries and the position of the next one.
    layout = ("Q", "Q", 20, 12) if big else ("H", "I", 12, 8)
    order = "<" if start[:2] == b"II" else ">"
    number, link = struct.Struct(order + layout[0]), struct.Struct(order + layout[1])
    entry_bytes, value_at = layout[2:]
    (position,) = link.unpack(start[8:] if big else start[4:8])
    pages = 0
    seen: set[int] = set()
    try:
        while position and position not in seen and len(seen) < MAX_FRAMES:
            seen.add(position)
            file.seek(position)
            (entries,) = number.unpack(file.read(number.size))
            first = file.read(entry_bytes)  # entries are in ascending order of their tags
            file.seek((entries - 1) * entry_bytes, 1)
            (position,) = link.unpack(file.read(link.size))
            (tag,) = struct.unpack(order + "H", first[:2])
            (kind,) = struct.unpack(order + "I", first[value_at : value_at + 4])
            pages += not (tag == _SUBFILE_TYPE and kind & _REDUCED_COPY)
    except (OSError, ValueError, OverflowError, struct.error):
        pass  # damage behind the first page, which has been decoded
    return max(1, pages)
