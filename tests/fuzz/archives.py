"""Hostile collections of photos for training: ``.zip``, ``.tar`` and folders."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from fuzz import pictures
from fuzz.mutation import edge, mutate
from impasto.data import open_photos
from impasto.data.sources import decode_photo
from impasto.errors import DataError

_NAMES = (
    "a.jpg", "b/c.png", "照片 一.webp", "../../out.jpg", "/etc/out.jpg", "C:\\out.jpg",
    "\\\\host\\share\\out.jpg", "", ".jpg", "x/.jpg", "folder.jpg/", "two\nlines.png",
    "..jpg", "a.jpg/b.jpg", "x" * 300 + ".png", "y/" * 2000 + "z.jpg", "notes.txt", "a.JPG",
)  # fmt: skip


@dataclass(frozen=True)
class ArchiveCase:
    """A collection to open and read from end to end.

    Attributes:
        kind: what is odd about it.
        data: the archive; for a folder, a seed that makes it.
        suffix: ``".zip"``, ``".tar"`` or ``""`` for a folder.
    """

    kind: str
    data: bytes
    suffix: str


def make(rng: Random) -> ArchiveCase:
    """Makes an archive of a few photos with something wrong with it."""
    way = rng.choice(("zip", "zip", "zip", "tar", "tar", "folder"))
    if way == "folder":
        return ArchiveCase("folder", rng.randbytes(8), "")
    kind, data = (_zip if way == "zip" else _tar)(rng)
    return ArchiveCase(kind, data, rng.choice((f".{way}", f".{way}", ".zip", ".tar", ".jpg")))


def check(case: ArchiveCase, folder: Path) -> None:
    """Opens the collection, reads and decodes every photo.

    A photo that is refused is no failure: training passes over it.

    Raises:
        ImpastoError: the collection is refused, or each of its photos.
        AssertionError: a decoded photo is not as promised.
    """
    path = folder / f"photos{case.suffix}"
    if case.suffix:
        path.write_bytes(case.data)
    else:
        _make_folder(Random(case.data), path)
    source = open_photos(path)
    refused: list[DataError] = []
    for index in range(len(source.names)):
        try:
            pixels = decode_photo(source.read(index), 16)
        except DataError as error:
            refused.append(error)
            continue
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert pixels.dtype == np.uint8
    if len(refused) == len(source.names):
        raise refused[0]


def _photo(rng: Random) -> bytes:
    if rng.random() < 0.01:
        return pictures.huge(rng)[1]
    usual = [seed.data for seed in pictures.seeds() if seed.format in ("JPEG", "PNG", "WEBP")]
    data = rng.choice(usual)
    return mutate(rng, data)[1] if rng.random() < 0.2 else data


def _zip(rng: Random) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for _ in range(rng.randint(1, 4)):
            info = zipfile.ZipInfo(rng.choice(_NAMES))
            info.compress_type = rng.choice((0, 0, 8, 12, 14))
            info.external_attr = rng.choice((0o100644, 0o120777, 0o040755, 0o010644)) << 16
            info.extra = rng.choice((b"", b"", b"\x01\x00\x10\x00" + b"\xff" * 16, b"ux\x0b\x00"))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about a name that is there twice
                archive.writestr(info, _photo(rng))
        archive.comment = rng.choice((b"", b"x" * 65535, b"PK\x05\x06" + bytes(18)))
    data = buffer.getvalue()
    way = rng.choice(("intact", "bytes", "entry", "entry", "entry", "bomb", "nested"))
    if way == "bytes":
        kind, data = mutate(rng, data, data)
        return f"zip {kind}", data
    if way == "entry":
        return "zip entry", _changed_entry(rng, data)
    if way == "bomb":
        return "zip bomb", _bomb(rng)
    if way == "nested":
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner.zip", data)
            archive.writestr(rng.choice(("inner.jpg", "inner.txt")), data)
        data = outer.getvalue()
    return f"zip {way}", rng.choice((b"", b"", b"MZ" + bytes(500))) + data


# Fields of a zip's central directory entry: version, flags (encrypted, UTF-8), method, time,
# CRC, both sizes, lengths of name, extra and comment, disk, attributes, offset.
_ENTRY_FIELDS = {6: "H", 8: "H", 10: "H", 12: "I", 16: "I", 20: "I", 24: "I", 28: "H"}
_ENTRY_FIELDS |= {30: "H", 32: "H", 34: "H", 38: "I", 42: "I"}


def _changed_entry(rng: Random, data: bytes) -> bytes:
    """Changes fields of one entry in the directory, sometimes also before the photo itself."""
    changed = bytearray(data)
    start = rng.choice([i for i in range(len(data)) if data.startswith(b"PK\x01\x02", i)])
    local = data.find(b"PK\x03\x04")
    for _ in range(rng.choice((1, 1, 2, 4))):
        offset, size = rng.choice(list(_ENTRY_FIELDS.items()))
        value = edge(rng, "<" + size)
        if offset == 8:
            value = struct.pack("<H", rng.choice((1, 0x41, 0x800, 8, 0x2001)))
        elif offset == 10:
            value = struct.pack("<H", rng.choice((0, 1, 6, 8, 9, 12, 14, 93, 95, 98, 99)))
        changed[start + offset : start + offset + len(value)] = value
        if offset <= 28 and rng.random() < 0.5:
            changed[local + offset - 2 : local + offset - 2 + len(value)] = value
    return bytes(changed)


def _bomb(rng: Random) -> bytes:
    """Makes a photo of gigabytes of zeros from one deflated block, used again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks = rng.choice((2, 20, 250))
    packed, size = block * blocks + packer.flush(), blocks << 24
    stated = rng.choice((size, size, 10, 0xFFFFFFFF))
    name = b"bomb.jpg"
    sizes = struct.pack("<III", 0, len(packed), stated & 0xFFFFFFFF)
    middle = struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0)
    local = b"PK\x03\x04" + middle + name + packed
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + middle + bytes(14) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end


def _tar(rng: Random) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    form = rng.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    packing = rng.choice(("w", "w", "w", "w", "w:gz"))
    with tarfile.open(fileobj=buffer, mode=packing, format=form) as archive:
        for _ in range(rng.randint(1, 4)):
            member = tarfile.TarInfo(rng.choice(_NAMES) or "e.jpg")
            member.type = rng.choice((tarfile.REGTYPE,) * 6 + (b"1", b"2", b"3", b"5", b"6", b"S"))
            member.linkname = rng.choice(("", "a.jpg", "../../a.jpg", "/dev/zero"))
            if form == tarfile.PAX_FORMAT and rng.random() < 0.4:
                member.pax_headers = {"size": rng.choice(("-1", "x", "9" * 30, "10", "1e9"))}
            data = _photo(rng) if member.isreg() else b""
            member.size = len(data)
            try:
                archive.addfile(member, io.BytesIO(data))
            except ValueError:
                continue  # a name too long for this form
    data = buffer.getvalue()
    way = rng.choice(("intact", "bytes", "header", "header", "header"))
    if way == "bytes":
        kind, data = mutate(rng, data, data)
        return f"tar {kind}", data
    return f"tar {way}", _changed_header(rng, data) if way == "header" else data


def _changed_header(rng: Random, data: bytes) -> bytes:
    """Changes a field of one header and makes its checksum right again."""
    headers = [i for i in range(0, len(data), 512) if data[i + 257 :].startswith(b"ustar")]
    if not headers:
        return data
    start = rng.choice(headers)
    header = bytearray(data[start : start + 512])
    offset, length = rng.choice(((124, 12), (124, 12), (156, 1), (0, 100), (157, 100), (345, 155)))
    numbers = (b"77777777777\0", b"00000000000\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"-1")
    value = rng.choice(numbers) if length == 12 else rng.randbytes(length)
    if length == 1:
        value = rng.choice((b"0", b"1", b"2", b"5", b"7", b"L", b"K", b"x", b"g", b"S", b"\0"))
    header[offset : offset + length] = value.ljust(length, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + bytes(header) + data[start + 512 :]


def _make_folder(rng: Random, folder: Path) -> None:
    """Fills a folder with photos, and with what has a photo's name and is none."""
    (folder / "below").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(_photo(rng))
    for number in range(rng.randint(0, 5)):
        path = folder / rng.choice((".", "below")) / f"{number}{rng.choice(('.jpg', '.png'))}"
        kind = rng.choice(("photo", "empty", "folder", "link", "loop", "dangling", "pipe"))
        if kind == "photo":
            path.write_bytes(_photo(rng))
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe" and hasattr(os, "mkfifo"):
            os.mkfifo(path)
        elif kind in ("link", "loop", "dangling") and os.name == "posix":
            path.symlink_to({"link": folder, "loop": path, "dangling": folder / "none"}[kind])
