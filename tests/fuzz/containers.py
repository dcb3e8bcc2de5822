"""How picture formats are put together, enough to damage one part and keep the rest valid."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Container:
    """Takes a file apart and puts it together with lengths and checksums that fit.

    Attributes:
        split: the file's parts, in order; joining them unchanged gives an equal picture.
        join: the file of these parts.
    """

    split: Callable[[bytes], list[bytes]]
    join: Callable[[list[bytes]], bytes]


def _split_png(data: bytes) -> list[bytes]:
    parts, position = [data[:8]], 8
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        parts.append(data[position + 4 : position + 8 + length])  # type and content
        position += length + 12
    return parts


def _join_png(parts: list[bytes]) -> bytes:
    out = parts[0]
    for part in parts[1:]:
        length = struct.pack(">I", max(len(part) - 4, 0))
        out += length + part + struct.pack(">I", zlib.crc32(part))
    return out


def _split_jpeg(data: bytes) -> list[bytes]:
    parts, position = [data[:2]], 2
    while data[position : position + 1] == b"\xff" and data[position + 1] != 0xDA:
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        parts.append(data[position : position + 2] + data[position + 4 : position + 2 + length])
        position += 2 + length
    return [*parts, data[position:]]  # the scan, as it is


def _join_jpeg(parts: list[bytes]) -> bytes:
    out = parts[0]
    for part in parts[1:-1]:
        out += part[:2] + struct.pack(">H", len(part) & 0xFFFF) + part[2:]
    return out + parts[-1] if len(parts) > 1 else out


def _split_riff(data: bytes) -> list[bytes]:
    parts, position = [data[:12]], 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        parts.append(data[position : position + 4] + data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return parts


def _join_riff(parts: list[bytes]) -> bytes:
    body = parts[0][8:12]
    for part in parts[1:]:
        length = max(len(part) - 4, 0)
        body += part[:4] + struct.pack("<I", length) + part[4:] + b"\0" * (length % 2)
    return parts[0][:4] + struct.pack("<I", len(body)) + body


def _split_boxes(data: bytes) -> list[bytes]:
    parts, position = [b""], 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big") or len(data) - position
        parts.append(data[position + 4 : position + length])
        position += max(length, 8)
    return parts


def _join_boxes(parts: list[bytes]) -> bytes:
    return parts[0] + b"".join(struct.pack(">I", len(part) + 4) + part for part in parts[1:])


CONTAINERS = {
    "PNG": Container(_split_png, _join_png),
    "JPEG": Container(_split_jpeg, _join_jpeg),
    "WEBP": Container(_split_riff, _join_riff),
    "AVIF": Container(_split_boxes, _join_boxes),
    "HEIF": Container(_split_boxes, _join_boxes),
    "JPEG2000": Container(_split_boxes, _join_boxes),
}


def size_fields(file_format: str, data: bytes) -> list[tuple[int, str]]:
    """Finds where a file states its width and height.

    Returns:
        Offsets and struct formats; empty where the format has none at a fixed place.
    """
    if file_format == "JPEG":
        position = 2
        for part in _split_jpeg(data)[1:-1]:
            if 0xC0 <= part[1] <= 0xC2:
                return [(position + 5, ">H"), (position + 7, ">H")]
            position += len(part) + 2
    if file_format == "TIFF":
        return [
            (position + 8, order + "I")
            for position, order in tiff_entries(data)
            if struct.unpack_from(order + "H", data, position)[0] in (256, 257)
        ]
    if file_format == "WEBP":
        return {
            b"VP8X": [(24, "<H"), (27, "<H")],
            b"VP8L": [(21, "<I")],
            b"VP8 ": [(26, "<H"), (28, "<H")],
        }[data[12:16]]
    if file_format in ("AVIF", "HEIF"):
        found = data.find(b"ispe")
        return [(found + 8, ">I"), (found + 12, ">I")]
    if file_format == "JPEG2000":
        box, marker = data.find(b"ihdr"), data.find(b"\xff\x51")
        return [(box + 4, ">I"), (box + 8, ">I"), (marker + 6, ">I"), (marker + 10, ">I")]
    return {
        "PNG": [(16, ">I"), (20, ">I")],
        "GIF": [(6, "<H"), (8, "<H")],
        "BMP": [(18, "<I"), (22, "<I")],
    }.get(file_format, [])


def tiff_entries(data: bytes) -> list[tuple[int, str]]:
    """Returns offset and byte order (``<`` or ``>``) of every entry of a TIFF's first IFD."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, start)[0]
    return [(start + 2 + 12 * index, order) for index in range(count)]
