"""Damaged pictures of every format that can be read, and huge ones that are complete."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageCms

from fuzz.containers import CONTAINERS, size_fields, tiff_entries
from fuzz.mutation import edge, mutate
from impasto.images.reading import DEFAULT_MAX_PIXELS, read_image
from impasto.images.writing import FORMAT_BY_SUFFIX, write_image

_PHONE = Path(__file__).parents[1] / "images" / "data" / "phone.heic"

# libtiff prints what it finds damaged; the command keeps that from stderr.
MAY_PRINT = True

# Encoding a large picture takes its time, damaged or not.
_MOST_PIXELS_WRITTEN = 1_000_000


@dataclass(frozen=True)
class Seed:
    """An intact picture.

    Attributes:
        format: Pillow's name of the format.
        data: the file.
    """

    format: str
    data: bytes


@dataclass(frozen=True)
class PictureCase:
    """A picture to read.

    Attributes:
        kind: what was done to it.
        data: the file.
        suffix: of the file that the decoded picture is written to.
    """

    kind: str
    data: bytes
    suffix: str


def make(rng: Random) -> PictureCase:
    """Damages a random seed in a random way."""
    seed = rng.choice(seeds())
    kind, data = rng.choices(list(_DAMAGE), list(_DAMAGE.values()))[0](rng, seed)
    if rng.random() < 0.1:
        then, data = mutate(rng, data, seed.data)
        kind += f", then {then}"
    return PictureCase(f"{seed.format} {kind}", data, rng.choice(list(FORMAT_BY_SUFFIX)))


def check(case: PictureCase, folder: Path) -> None:
    """Reads the picture and writes it again.

    Raises:
        ImpastoError: the picture is refused.
        AssertionError: what was read or written is not as promised.
    """
    source = folder / "source"
    source.write_bytes(case.data)
    photo = read_image(source)
    height, width, channels = photo.rgb.shape
    assert channels == 3
    assert photo.rgb.dtype == np.uint8
    assert 0 < height * width <= DEFAULT_MAX_PIXELS
    assert photo.alpha is None or photo.alpha.shape == (height, width)
    if height * width > _MOST_PIXELS_WRITTEN:
        return
    written = folder / f"written{case.suffix}"
    write_image(written, photo)
    assert read_image(written).rgb.shape == photo.rgb.shape


@functools.cache
def seeds() -> tuple[Seed, ...]:
    """Returns small intact pictures: every format, mode, compression and extra block."""
    rows, columns = np.mgrid[0:31, 0:40]
    rgb = np.stack([rows * 8, columns * 6, (rows + columns) * 3], axis=-1).astype(np.uint8)
    colour = Image.fromarray(rgb)
    alpha = colour.copy()
    alpha.putalpha(Image.fromarray(rgb[..., 2]))
    grey, palette, cmyk = colour.convert("L"), colour.quantize(16), colour.convert("CMYK")
    deep = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
    frames = [colour, grey.convert("RGB"), colour.transpose(Image.Transpose.ROTATE_180)]
    extras = {"exif": _plain_exif(), "icc_profile": srgb_profile()}
    animated = {"save_all": True, "append_images": frames[1:], "duration": 50}
    rows_of: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("JPEG", colour, {}),
        ("JPEG", colour, {"progressive": True, **extras}),
        ("JPEG", grey, {"restart_marker_blocks": 2}),
        ("JPEG", cmyk, {}),
        ("PNG", colour, extras),
        ("PNG", alpha, {}),
        ("PNG", palette, {"transparency": 3}),
        ("PNG", colour.convert("1"), {}),
        ("PNG", deep, {}),
        ("PNG", frames[0], animated),
        ("WEBP", colour, extras),
        ("WEBP", alpha, {"lossless": True}),
        ("WEBP", frames[0], animated),
        ("TIFF", colour, {}),
        ("TIFF", colour, {"compression": "tiff_lzw", "icc_profile": srgb_profile()}),
        ("TIFF", alpha, {"compression": "tiff_deflate", "exif": _plain_exif()}),
        ("TIFF", colour, {"compression": "jpeg"}),
        ("TIFF", colour.convert("1"), {"compression": "group4"}),
        ("TIFF", cmyk, {"compression": "packbits"}),
        ("TIFF", deep, {}),
        ("TIFF", palette, {"save_all": True, "append_images": [colour]}),
        ("AVIF", colour, {"speed": 10, **extras}),
        ("AVIF", alpha, {"speed": 10}),
        ("BMP", colour, {}),
        ("BMP", palette, {}),
        ("BMP", colour.convert("1"), {}),
        ("GIF", palette, {"transparency": 3}),
        ("GIF", frames[0], animated),
        ("JPEG2000", colour, {}),
        ("JPEG2000", alpha, {"irreversible": True, "quality_layers": [20]}),
        ("PPM", colour, {}),
        ("PPM", grey, {}),
        ("PPM", colour.convert("1"), {}),
    ]
    made = [Seed(name, _encode(image, name, **options)) for name, image, options in rows_of]
    return (*made, Seed("HEIF", _PHONE.read_bytes()))


def _encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _plain_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    return exif.tobytes()


@functools.cache
def srgb_profile() -> bytes:
    """Returns an intact ICC profile."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)  # the date it was made, which must not change a case
    return bytes(profile)


def _bytes(rng: Random, seed: Seed) -> tuple[str, bytes]:
    return mutate(rng, seed.data, rng.choice(seeds()).data)


def _header_size(rng: Random, seed: Seed) -> tuple[str, bytes]:
    """States another width or height; the data stay as small as they are."""
    data = bytearray(seed.data)
    if seed.format == "PPM":
        sizes = (rng.choice((0, 1, 9, 65535, 10**9, -5)) for _ in range(2))
        head = b"%s\n%d %d\n%d\n" % (data[:2], *sizes, rng.choice((0, 1, 255, 65535, 70000)))
        return "size", head + bytes(data[12:])
    fields = size_fields(seed.format, seed.data)
    for offset, fmt in rng.choice((fields, fields[:1], fields[1:2])):
        near = struct.pack(fmt, rng.choice((1, 64, 9000, 13000, 16383, 60000)))
        data[offset : offset + len(near)] = near if rng.random() < 0.6 else edge(rng, fmt)
    container = CONTAINERS.get(seed.format)
    mended = container.join(container.split(bytes(data))) if seed.format == "PNG" else bytes(data)
    return "size", mended


def _part(rng: Random, seed: Seed) -> tuple[str, bytes]:
    """Changes one part of a container, with lengths and checksums that fit."""
    container = CONTAINERS.get(seed.format)
    if container is None:
        return _bytes(rng, seed)
    parts = container.split(seed.data)
    at = rng.randrange(1, len(parts))
    action = rng.choice(("drop", "repeat", "move", "change", "change", "change", "new"))
    if action == "drop":
        del parts[at]
    elif action == "repeat":
        parts[at:at] = [parts[at]] * rng.choice((1, 3, 200))
    elif action == "move":
        parts.insert(rng.randrange(1, len(parts)), parts.pop(at))
    elif action == "change":
        head = 2 if seed.format == "JPEG" else 4
        parts[at] = parts[at][:head] + mutate(rng, parts[at][head:])[1]
    else:
        parts.insert(at, _new_part(rng, seed.format))
    return f"part {action}", container.join(parts)


def _new_part(rng: Random, file_format: str) -> bytes:
    text = b"key\0" + bytes(2)
    content = rng.choice(
        (
            b"",
            rng.randbytes(40),
            exif_block(rng),
            profile(rng),
            text + zlib.compress(bytes(rng.choice((10, 70_000_000)))),
            b"ICC_PROFILE\0" + rng.randbytes(2) + profile(rng)[:60000],
            b"Exif\0\0" + exif_block(rng),
            b"Adobe\0d" + rng.randbytes(6),
            b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation='9'/>",
        )
    )
    names = {
        "PNG": "iCCP eXIf tEXt zTXt iTXt PLTE tRNS acTL fcTL fdAT gAMA cHRM sRGB pHYs IHDR IDAT",
        "WEBP": "VP8X ICCP EXIF XMP  ALPH ANIM ANMF VP8L",
        "JPEG": "\xe1 \xe2 \xee \xed \xe0 \xfe \xdb \xc4 \xdd \xc0 \xc2 \xdc",
    }.get(file_format, "meta mdat free ftyp moov uuid jp2h jp2c colr")
    name = rng.choice(names.split()).encode("latin-1").ljust(4)
    return b"\xff" + name[:1] + content if file_format == "JPEG" else name + content


def _tiff_entry(rng: Random, seed: Seed) -> tuple[str, bytes]:
    """Changes tag, type, count or value of one entry of a TIFF's directory."""
    tiffs = [other for other in seeds() if other.format == "TIFF"]
    data = bytearray((seed if seed.format == "TIFF" else rng.choice(tiffs)).data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        position, order = rng.choice(tiff_entries(bytes(data)))
        offset, fmt = rng.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H")))
        value = edge(rng, order + fmt)
        if (offset, fmt) == (2, "H") and rng.random() < 0.8:
            value = struct.pack(order + "H", rng.randint(1, 18))
        elif fmt == "I" and rng.random() < 0.3:
            value = struct.pack(order + "I", rng.choice((8, len(data) - 1, len(data))))
        data[position + offset : position + offset + len(value)] = value
    return "TIFF entry", bytes(data)


def _metadata(rng: Random, seed: Seed) -> tuple[str, bytes]:
    """Gives an intact picture an EXIF block or a colour profile that is odd or damaged."""
    file_format = rng.choice(("JPEG", "PNG", "WEBP", "TIFF", "AVIF"))
    data = seeds()[0].data if seed.format == "HEIF" else seed.data  # Pillow itself reads no HEIF
    with Image.open(io.BytesIO(data)) as opened:
        modes = ("RGB", "L", "CMYK") if file_format in ("JPEG", "TIFF") else ("RGB", "RGBA")
        image = opened.convert(rng.choice(modes))
    image.info.clear()  # Pillow would keep the compression
    options: dict[str, object] = {"speed": 10} if file_format == "AVIF" else {}
    if rng.random() < 0.5 and file_format not in ("TIFF", "AVIF"):  # these take no damaged one
        block = b"Exif\0\0" + exif_block(rng)
        return f"to {file_format} with EXIF", _encode(image, file_format, exif=block)
    data = _encode(image, file_format, icc_profile=profile(rng), **options)
    return f"to {file_format} with profile", data


def exif_block(rng: Random) -> bytes:
    """Makes a TIFF directory of odd entries: loops, wrong types, counts beyond the end."""
    order = rng.choice("<>")
    tags = (0x0112, 0x0112, 0x8769, 0x8825, 0xA005, 0x0201, 0x0202, 0x010F, 0x9286, 0x927C)
    entries = b""
    count = rng.randint(1, 8)
    for _ in range(count):
        tag = rng.choice(tags) if rng.random() < 0.9 else rng.getrandbits(16)
        kind = rng.randint(0, 14)
        length = rng.choice((0, 1, 1, 1, 2, 4, 100, 65535, 0x7FFFFFFF, 0xFFFFFFFF))
        value = rng.choice((0, 1, 3, 6, 8, 9, 26, 60, 200, 65535, 0xFFFFFFFF))
        entries += struct.pack(order + "HHII", tag, kind, length, value)
    stated = count if rng.random() < 0.8 else rng.choice((0, 255, 65535))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    tail = struct.pack(order + "I", rng.choice((0, 0, 8, 0xFFFFFFFF)))
    block = head + struct.pack(order + "H", stated) + entries + tail + rng.randbytes(60)
    return mutate(rng, block)[1] if rng.random() < 0.3 else block


def profile(rng: Random) -> bytes:
    """Makes an ICC profile with one odd header field, tag or damaged bytes."""
    data = bytearray(srgb_profile())
    way = rng.randrange(4)
    if way == 0:
        return mutate(rng, bytes(data))[1]
    if way == 1:
        spaces = (b"CMYK", b"GRAY", b"Lab ", b"XYZ ", b"HSV ", b"2CLR", b"FCLR", b"RGB ")
        at = rng.choice((16, 20))
        data[at : at + 4] = rng.choice(spaces)
    elif way == 2:
        at = rng.choice((12, 64))
        data[at : at + 4] = rng.choice((b"link", b"abst", b"nmcl", b"prtr", b"scnr", b"\0\0\0\7"))
    else:
        tags = int.from_bytes(data[128:132], "big")
        at = 132 + 12 * rng.randrange(tags) + rng.choice((0, 4, 8))
        data[at : at + 4] = edge(rng, ">I")
    return bytes(data)


def huge(rng: Random, _seed: Seed | None = None) -> tuple[str, bytes]:
    """Makes a complete picture of many pixels and few bytes."""
    width = rng.choice((3000, 9000, 14000, 14200))
    depth, colour = rng.choice(((1, 0), (8, 0), (8, 3), (8, 2), (16, 0), (8, 6), (16, 2)))
    samples = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    row = 1 + (width * depth * samples + 7) // 8
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(row)) for _ in range(width)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, width, depth, colour, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", b"IHDR" + header, b"PLTE" + bytes(6), b"IDAT" + rows, b"IEND"]
    if colour != 3:
        del parts[2]
    return f"huge PNG {width} px, {depth} bit, colour type {colour}", CONTAINERS["PNG"].join(parts)


_DAMAGE: dict[Callable[[Random, Seed], tuple[str, bytes]], float] = {
    _bytes: 40,
    _header_size: 15,
    _part: 20,
    _tiff_entry: 8,
    _metadata: 16,
    huge: 0.3,
}
