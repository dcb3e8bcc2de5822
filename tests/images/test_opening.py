import io
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, expected_srgb, rgb_profile
from PIL import Image

from impasto.errors import ImageReadError, ImageTooLargeError, MissingExtraError
from impasto.images.opening import MAX_FRAMES
from impasto.images.reading import is_picture, read_image

PHONE = Path(__file__).parent / "data" / "phone.heic"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def one_pixel_png(*extra):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0abc"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixel + chunk(b"IEND", b"")


def box(*brands):
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", len(body) + 4) + body


def test_heic_is_turned_once_and_keeps_its_profile():
    data = PHONE.read_bytes()
    assert b"irot" in data  # the container turns it ...
    assert bytes.fromhex("011200030000000100060000") in data  # ... and EXIF says so, too
    photo = read_image(PHONE)
    assert photo.rgb.shape == (48, 64, 3)
    assert (photo.format, photo.frames, photo.alpha) == ("HEIF", 1, None)
    assert photo.icc_profile == rgb_profile(DISPLAY_P3)
    for (row, column), colour in {
        (12, 16): (200, 60, 40),
        (12, 48): (90, 170, 90),
        (36, 16): (50, 80, 190),
        (36, 48): (128, 128, 128),
    }.items():
        assert np.abs(photo.rgb[row, column] - expected_srgb(colour, DISPLAY_P3)).max() < 5
    exif = Image.Exif()
    exif.load(photo.exif)
    assert dict(exif) == {0x010F: "Maker"}


def test_heic_too_large_is_refused_before_decoding():
    with pytest.raises(ImageTooLargeError, match="64x48"):
        read_image(PHONE, max_pixels=64 * 48 - 1)


def test_truncated_heic_is_a_clean_error():
    data = PHONE.read_bytes()
    for end in range(12, len(data) - 40, 23):
        with pytest.raises(ImageReadError):
            read_image(data[:end])


def test_heic_with_an_item_outside_the_file_is_an_error_of_one_line():
    data = bytearray(PHONE.read_bytes())
    length = data.index(b"iloc") + 26
    data[length : length + 2] = b"\xff\xff"
    with pytest.raises(ImageReadError, match="damaged or truncated") as caught:
        read_image(bytes(data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", [12, 15])
@pytest.mark.parametrize("item", [b"hvc1", b"Exif"])
def test_heic_item_of_a_type_that_is_no_text_is_a_clean_error(item, place):
    # A subprocess, since without our check the library ends the process.
    data = bytearray(PHONE.read_bytes())
    entry = data.index(b"infe", data.index(item) - 20)
    data[entry + place] = 0xA1
    code = (
        "import sys; from impasto.images.reading import read_image\n"
        "try: read_image(sys.stdin.buffer.read())\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.strip() == b"ImageReadError"


def test_heic_without_its_extra_names_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MissingExtraError, match=r"reading HEIC photos .*pip install .*\.\[heic\]"):
        read_image(PHONE)
    assert is_picture(PHONE)


@pytest.mark.parametrize(
    ("start", "heic"),
    [
        (box(b"heic", b"mif1"), True),
        (box(b"mif1", b"heic", b"miaf"), True),
        (box(b"msf1"), True),
        (box(b"mif1", b"avif"), False),
        (box(b"isom", b"mp42"), False),
        (b"\0\0\0\x08ftyp", False),
    ],
)
def test_brands_tell_heic_from_its_relatives(monkeypatch, start, heic):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MissingExtraError if heic else ImageReadError):
        read_image(start + bytes(64))


def test_other_pictures_do_not_import_what_they_do_not_need(photo):
    code = (
        "import sys; from impasto.images.reading import read_image\n"
        f"read_image({str(photo)!r})\n"
        "print([name for name in ('pi_heif', 'PIL.AvifImagePlugin', 'PIL.ImageCms')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "bomb",
    [
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000), 9)),
        chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(50_000_000), 9)),
        chunk(b"iTXt", b"x\0\1\0\0\0" + zlib.compress(bytes(50_000_000), 9)),
        b"".join(chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2**20), 9)) for _ in range(70)),
    ],
    ids=["iCCP", "zTXt", "iTXt", "many zTXt"],
)
def test_text_that_unpacks_to_megabytes_is_refused(bomb):
    with pytest.raises(ImageReadError):
        read_image(one_pixel_png(bomb))


def overlapping_tags(number, size):
    """A TIFF structure whose tags all claim the same bytes."""
    rows = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    rows += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 1)]
    rows += [(1000 + tag, 1, size, 8) for tag in range(number)]
    entries = b"".join(struct.pack("<HHII", *row) for row in rows)
    directory = struct.pack("<H", len(rows)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + size) + bytes(size) + directory


@pytest.mark.filterwarnings("ignore")
def test_tags_that_claim_the_same_bytes_do_not_multiply_them():
    block = overlapping_tags(2_000, 200_000)  # which claim 400 MB
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    pieces = (block[start : start + 65_000] for start in range(0, len(block), 65_000))
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", 8 + len(piece)) + b"Exif\0\0" + piece for piece in pieces
    )
    jpeg = buffer.getvalue()[:2] + segments + buffer.getvalue()[2:]
    for data, shape in [
        (block, (1, 1, 3)),
        (one_pixel_png(chunk(b"eXIf", block)), (1, 1, 3)),
        (jpeg, (8, 8, 3)),
    ]:
        tracemalloc.start()
        try:
            assert read_image(data).rgb.shape == shape
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()


RED, OTHERS = (
    Image.new("RGB", (6, 6), "red"),
    [Image.new("RGB", (6, 6), c) for c in ("lime", "blue")],
)
GIF_START = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff"
GIF_FRAME = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"


def encoded(file_format, **options):
    buffer = io.BytesIO()
    RED.save(buffer, file_format, **options)
    return buffer.getvalue()


def tiff(links, order="<", *, big=False, reduced=()):
    """A TIFF of one black pixel whose directories repeat; `links` names each one's successor."""
    number, link, entry = ("Q", "Q", "HHQQ") if big else ("H", "I", "HHII")
    tags = [(256, 3, 1), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 3, 1), (279, 4, 1)]
    start = 24
    size = struct.calcsize(order + number) + (len(tags) + 1) * struct.calcsize(order + entry)
    size += struct.calcsize(order + link)
    body = b""
    for index, target in enumerate(links):
        rows = [(254, 4, 1 if index in reduced else 0), *tags]
        body += struct.pack(order + number, len(rows))
        for tag, kind, value in rows:
            shift = 16 if order == ">" and kind == 3 else 0  # short values stand at the left
            body += struct.pack(order + entry, tag, kind, 1, value << shift)
        body += struct.pack(order + link, 0 if target is None else start + target * size)
    magic = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "H", 43 if big else 42)
    header = struct.pack(order + "HHQ", 8, 0, start) if big else struct.pack(order + "I", start)
    return (magic + header).ljust(start, b"\0") + body


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_first_frame_is_read_and_all_are_counted(file_format):
    photo = read_image(encoded(file_format, save_all=True, append_images=OTHERS))
    red, green, blue = photo.rgb[3, 3]
    assert red > 250
    assert max(green, blue) < 5
    assert photo.frames == 3
    assert read_image(encoded(file_format)).frames == 1


def test_previews_behind_a_jpeg_are_no_frames():
    photo = read_image(encoded("MPO", save_all=True, append_images=OTHERS))
    assert (photo.frames, photo.format) == (1, "JPEG")


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_tiff_pages_of_every_layout(order, big):
    assert read_image(tiff([1, 2, None], order, big=big)).frames == 3
    assert read_image(tiff([1, 2, None], order, big=big, reduced={1})).frames == 2


def test_tiff_that_runs_in_a_circle_or_out_of_the_file():
    assert read_image(tiff([1, 0])).frames == 2
    assert read_image(tiff([1, 999])).frames == 2


def test_counting_is_bounded():
    start_s = time.perf_counter()
    assert read_image(GIF_START + GIF_FRAME * 1_000_000 + b";").frames == MAX_FRAMES
    comment = b"!\xfe" + b"\1a" * 5_000_000 + b"\0"
    assert read_image(GIF_START + GIF_FRAME + comment + b";").frames == 1
    pages = b"".join(struct.pack("<HHHIII", 1, 1, 1, 1, 0, 1000 + 18 * n) for n in range(1, 50_000))
    chain = bytearray(tiff([None]))
    chain[-4:] = struct.pack("<I", 1000)
    assert read_image(bytes(chain).ljust(1000, b"\0") + pages).frames == MAX_FRAMES
    assert time.perf_counter() - start_s < 5


def test_gif_that_ends_early_has_the_frames_that_are_there():
    assert read_image(GIF_START + GIF_FRAME + GIF_FRAME[:9]).frames == 2
    tables = GIF_FRAME.replace(b"\1\0\0\2", b"\1\0\x80" + bytes(6) + b"\2")
    assert read_image(GIF_START + tables * 3).frames == 3
