import io
import struct
import time

import pytest
from PIL import Image

from impasto.images.frames import MAX_FRAMES
from impasto.images.reading import read_image

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
