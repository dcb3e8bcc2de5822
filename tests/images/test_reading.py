import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import ImageReadError, ImageTooLargeError
from impasto.images.reading import is_picture, photo_from_image, read_image
from impasto.images.regions import read_huge

ORIENTATION = 0x0112


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(width, height, depth, kind, rows, extra=b""):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    declared = chunk(b"tRNS", extra) if extra else b""
    body = declared + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def test_path_bytes_and_file_give_the_same(photo, rgb):
    with photo.open("rb") as file:
        photos = [read_image(photo), read_image(str(photo)), read_image(photo.read_bytes())]
        photos.append(read_image(file))
    for read in photos:
        np.testing.assert_array_equal(read.rgb, rgb)
        assert (read.alpha, read.exif, read.format) == (None, None, "PNG")


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "PPM", "WEBP", "GIF"])
def test_lossless_formats(file_format, rgb):
    options = {"WEBP": {"lossless": True}}.get(file_format, {})
    if file_format == "GIF":
        rgb = np.where(rgb > 100, 255, 0).astype(np.uint8)
    read = read_image(encoded(Image.fromarray(rgb), file_format, **options))
    np.testing.assert_array_equal(read.rgb, rgb)
    assert read.format == file_format


@pytest.mark.parametrize("file_format", ["JPEG", "AVIF", "JPEG2000"])
def test_lossy_formats(file_format, rgb):
    read = read_image(encoded(Image.fromarray(rgb), file_format))
    assert np.abs(read.rgb.astype(int) - rgb).mean() < 6
    assert read.format == file_format


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_and_reset(orientation, file_format):
    upright = np.full((32, 64, 3), 255, np.uint8)
    upright[:16, :32] = (255, 0, 0)  # red at the top left
    upright[16:, 32:] = (0, 0, 255)  # blue at the bottom right
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(upright)
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010F] = "Maker"
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    read = read_image(encoded(stored, file_format, exif=exif, **options.get(file_format, {})))
    assert read.rgb.shape == upright.shape
    assert np.abs(read.rgb.astype(int) - upright).mean() < 4
    kept = Image.Exif()
    kept.load(read.exif)
    assert ORIENTATION not in kept
    assert kept[0x010F] == "Maker"


def test_exif_details_survive_and_say_srgb():
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, 0xA002: 999, 0x829A: 0.5}
    exif[0x8825] = {1: "N"}
    read = read_image(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif))
    kept = Image.Exif()
    kept.load(read.exif)
    details = kept.get_ifd(0x8769)
    assert (details[0xA001], details[0xA002], float(details[0x829A])) == (1, 20, 0.5)
    assert kept.get_ifd(0x8825)[1] == "N"
    without_details = Image.Exif()
    without_details[0x010F] = "Maker"
    read = read_image(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=without_details))
    kept.load(read.exif)
    assert dict(kept) == {0x010F: "Maker"}


def test_orientation_of_avif_is_applied_once():
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:, :32] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010F] = "Maker"
    read = read_image(encoded(Image.fromarray(stored), "AVIF", exif=exif, quality=100))
    assert read.rgb.shape == (64, 32, 3)
    assert read.rgb[:30].min() > 250  # the left half is the upper one now
    assert read.rgb[34:].max() < 5
    kept = Image.Exif()
    kept.load(read.exif)
    assert dict(kept) == {0x010F: "Maker"}


def test_orientation_that_only_xmp_states_is_applied():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    read = read_image(encoded(Image.new("RGB", (20, 10)), "JPEG", xmp=xmp))
    assert read.rgb.shape == (20, 10, 3)
    assert read.exif is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_is_no_reason_to_refuse(rgb):
    data = encoded(Image.fromarray(rgb), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fnonsense")
    np.testing.assert_array_equal(read_image(data).rgb, rgb)


def test_thumbnail_is_dropped():
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    body = bytearray(exif.tobytes()[6:])
    order = "<" if body[:2] == b"II" else ">"
    # IFD1, linked from the end of IFD0, with the offset and length of a thumbnail.
    (entries,) = struct.unpack_from(f"{order}H", body, 8)
    struct.pack_into(f"{order}I", body, 10 + entries * 12, len(body))
    body += struct.pack(f"{order}H", 2)
    body += struct.pack(f"{order}HHII", 0x0201, 4, 1, len(body) + 28)
    body += struct.pack(f"{order}HHIII", 0x0202, 4, 1, 13, 0) + b"the thumbnail"
    data = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\0\0" + bytes(body))
    assert b"the thumbnail" in data
    read = read_image(data)
    assert b"the thumbnail" not in read.exif
    kept = Image.Exif()
    kept.load(read.exif)
    assert kept[0x010F] == "Maker"


def test_grey_and_black_and_white():
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    read = read_image(encoded(Image.fromarray(levels)))
    np.testing.assert_array_equal(read.rgb, np.stack([levels] * 3, axis=-1))
    bits = read_image(encoded(Image.fromarray(levels > 100)))
    assert set(np.unique(bits.rgb)) == {0, 255}


def test_sixteen_bit_is_scaled_not_clipped():
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    for data in (encoded(Image.fromarray(values)), encoded(Image.fromarray(values), "TIFF")):
        np.testing.assert_array_equal(read_image(data).rgb[0, :, 0], [0, 1, 128, 255])


def test_sixteen_bits_per_channel():
    values = np.array([[0, 255, 256, 32896, 65535]], ">u2")
    for kind, channels, alpha in [(2, 3, None), (4, 1, 128), (6, 3, 128)]:
        planes = [values] * channels
        if alpha is not None:
            planes.append(np.full_like(values, alpha * 257))
        rows = b"\0" + np.stack(planes, axis=-1).astype(">u2").tobytes()
        read = read_image(png(5, 1, 16, kind, rows))
        for channel in range(3):
            # Pillow takes the upper byte, which is at most one level below the nearest.
            np.testing.assert_array_equal(read.rgb[0, :, channel], [0, 0, 1, 128, 255])
        assert (None if read.alpha is None else set(read.alpha.ravel())) == (alpha and {alpha})


def test_sixteen_bit_grey_with_one_transparent_level():
    rows = b"\0" + struct.pack(">3H", 0, 700, 65535)
    read = read_image(png(3, 1, 16, 0, rows, extra=struct.pack(">H", 700)))
    assert read.rgb[0, :, 0].tolist() == [0, 3, 255]
    assert read.alpha.tolist() == [[255, 0, 255]]


def test_palette_with_partial_transparency():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    read = read_image(encoded(image, transparency=bytes([0, 128, 255])))
    assert read.rgb.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert read.alpha.tolist() == [[0, 128, 255]]


def test_values_without_a_range_are_refused():
    with pytest.raises(ImageReadError, match=r"the picture has floating-point .*: save it as 8"):
        read_image(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
    with pytest.raises(ImageReadError, match=r"0\.\.65535"):
        read_image(encoded(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF"))


def test_alpha_of_every_kind():
    rgba = Image.new("RGBA", (3, 2), (10, 20, 30, 40))
    grey = Image.new("LA", (3, 2), (10, 40))
    palette = Image.new("P", (3, 2), 0)
    palette.putpalette([10, 20, 30, 0, 0, 0])
    for image, options, colour, alpha in [
        (rgba, {}, (10, 20, 30), 40),
        (grey, {}, (10, 10, 10), 40),
        (palette, {"transparency": 0}, (10, 20, 30), 0),
        (Image.new("RGB", (3, 2), (9, 9, 9)), {"transparency": (9, 9, 9)}, (9, 9, 9), 0),
    ]:
        read = read_image(encoded(image, **options))
        assert tuple(read.rgb[1, 2]) == colour
        assert read.alpha.shape == (2, 3)
        assert set(read.alpha.ravel()) == {alpha}


def test_cmyk():
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    for data in (encoded(image, "TIFF"), encoded(image, "JPEG", quality=100)):
        red, green, blue = read_image(data).rgb[4, 4].astype(int)
        assert red < 5
        assert green > 250
        assert blue > 250


def test_missing_empty_text_truncated_and_folder(tmp_path, photo):
    empty, text, cut = tmp_path / "empty.jpg", tmp_path / "text.jpg", tmp_path / "cut.png"
    empty.touch()
    text.write_text("not a picture")
    cut.write_bytes(photo.read_bytes()[:-60])
    for path, reason in [
        (tmp_path / "missing.jpg", "no such file"),
        (empty, "is empty"),
        (text, "not a picture"),
        (cut, "damaged or truncated"),
        (tmp_path, "folder|cannot read"),
    ]:
        with pytest.raises(ImageReadError, match=reason) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
    with pytest.raises(ImageReadError, match="empty"):
        read_image(b"")


@pytest.mark.skipif(os.name != "posix", reason="has no named pipes")
def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(ImageReadError, match="is a pipe or a device: save the picture as"):
            read_image(path)
        assert read_huge(path, tmp_path, max_pixels=100) is None


def test_every_truncation_is_a_clean_error(rgb):
    for file_format in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF", "BMP"):
        data = encoded(Image.fromarray(rgb), file_format)
        for end in range(1, len(data) - 40, max(1, len(data) // 25)):
            try:
                read_image(data[:end])
            except ImageReadError:
                continue


def test_huge_header_is_refused_before_decoding(monkeypatch):
    def decode(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageTooLargeError, match="60000x60000"):
        read_image(png(60000, 60000, 8, 2, bytes(100)))
    assert limit == Image.MAX_IMAGE_PIXELS


def test_limit_is_inclusive(photo):
    assert read_image(photo, max_pixels=31 * 40).rgb.shape == (31, 40, 3)
    with pytest.raises(ImageTooLargeError, match="40x31"):
        read_image(photo, max_pixels=31 * 40 - 1)


def test_is_picture(photo, tiny_model, tmp_path):
    assert is_picture(photo)
    assert not is_picture(tiny_model)
    assert not is_picture(tmp_path / "missing")


def test_pillow_image_is_turned_upright_and_left_alone():
    image = Image.new("P", (4, 3), 0)
    image.getexif()[ORIENTATION] = 6
    read = photo_from_image(image)
    assert read.rgb.shape == (4, 3, 3)
    assert (image.size, image.mode, image.getexif()[ORIENTATION]) == ((4, 3), "P", 6)


def test_pictures_without_a_path_have_a_name():
    with pytest.raises(ImageReadError, match="standard input is empty"):
        read_image(io.BytesIO(), name="standard input")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_large_pictures_are_converted_in_bands(mode, rgb, monkeypatch):
    if mode == "I;16":
        image = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(rgb).convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    elif mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(rgb[..., 1]))
    whole = photo_from_image(image)
    monkeypatch.setattr("impasto.images.reading._BAND_PIXELS", 4 * rgb.shape[1] + 3)
    banded = photo_from_image(image)
    np.testing.assert_array_equal(banded.rgb, whole.rgb)
    assert (banded.alpha is None) == (mode not in ("P", "LA", "RGBA"))
    np.testing.assert_array_equal(banded.alpha, whole.alpha)
