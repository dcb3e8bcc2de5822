"""Pictures that go through libvips come out as those that go through Pillow."""

import dataclasses
import errno
import io
import os
import sys

import numpy as np
import pytest
import pyvips
from icc_profiles import DISPLAY_P3, cmyk_profile, grey_profile, rgb_profile
from PIL import Image

from impasto.errors import ImageReadError, ImageTooLargeError, OutputError
from impasto.images import regions
from impasto.images.mapping import is_mapped, mapped
from impasto.images.reading import Photo, read_image
from impasto.images.regions import can_write, read_huge, write_huge
from impasto.images.writing import write_image

HEIGHT, WIDTH = 150, 203
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.stack([COLUMNS, ROWS, (ROWS + COLUMNS) % 256], axis=-1).astype(np.uint8)
RGB[50:100, 50:100] = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
RGBA = np.dstack([RGB, np.clip(2 * COLUMNS - 100, 0, 255).astype(np.uint8)])
P3 = rgb_profile(DISPLAY_P3)
INK = cmyk_profile(lambda c, m, y, k: (100 * (1 - k) * (1 - 0.3 * c), 50 * (m - c), 50 * (y - c)))


@pytest.fixture(autouse=True)
def narrow_bands(monkeypatch):
    """Several bands for a small picture."""
    monkeypatch.setattr(regions, "_BAND_PIXELS", 80 * WIDTH)


def exif(orientation=1):
    block = Image.Exif()
    block[0x010F], block[0x0112] = "Maker", orientation
    block[0x011A], block[0x011B], block[0x0128] = 300.0, 300.0, 2
    block[0x8769] = {0xA002: WIDTH, 0xA003: HEIGHT, 0x829A: 0.5, 0xA001: 1}
    block[0x8825] = {1: "N", 2: (50.0, 1.0, 2.0)}
    return block.tobytes()


def by_pillow(mode, file_format, **options):
    def save(path):
        image = Image.fromarray(RGBA).convert(mode)
        image.save(path, file_format, **options)

    return save


def by_vips(values, saver, interpretation="srgb", **options):
    def save(path):
        kind = {np.uint8: "uchar", np.uint16: "ushort"}[values.dtype.type]
        bands = values.shape[2] if values.ndim == 3 else 1
        image = pyvips.Image.new_from_memory(values.tobytes(), WIDTH, HEIGHT, bands, kind)
        getattr(image.copy(interpretation=interpretation), saver)(str(path), **options)

    return save


def late_exif(path):
    """A PNG whose EXIF stands behind the picture, where some programs put it."""
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "PNG", exif=exif(6))
    data = buffer.getvalue()
    start = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[start : start + 4], "big")
    chunk, rest = data[start : start + length], data[:start] + data[start + length :]
    end = rest.index(b"IEND") - 4
    path.write_bytes(rest[:end] + chunk + rest[end:])


SIXTEEN = RGB.astype(np.uint16) * 257 - (RGB > 0) * np.uint16(100)
GREY_16 = (COLUMNS * 300 + ROWS).astype(np.uint16)
SOURCES = {
    "jpeg": by_pillow("RGB", "JPEG", quality=85, subsampling=2),
    "jpeg, progressive": by_pillow("RGB", "JPEG", progressive=True),
    **{f"jpeg, turned {n}": by_pillow("RGB", "JPEG", exif=exif(n)) for n in range(1, 9)},
    "jpeg, profile": by_pillow("RGB", "JPEG", icc_profile=P3, exif=exif(5)),
    "jpeg, grey": by_pillow("L", "JPEG", icc_profile=grey_profile(1.8)),
    "jpeg, ink": by_pillow("CMYK", "JPEG", icc_profile=INK),
    "png": by_pillow("RGBA", "PNG", exif=exif(8)),
    "png, palette": by_pillow("P", "PNG"),
    "png, transparent grey": by_pillow("LA", "PNG"),
    "png, transparent level": by_pillow("L", "PNG", transparency=30),
    "png, 16 bit": by_vips(SIXTEEN, "pngsave", "rgb16"),
    "png, 16 bit of grey": by_vips(GREY_16, "pngsave", "grey16"),
    "png, interlaced": by_vips(RGB, "pngsave", interlace=True),
    "png, EXIF behind": late_exif,
    "tiff, tiles": by_vips(RGBA, "tiffsave", tile=True, compression="lzw"),
    "tiff, big": by_vips(RGB, "tiffsave", tile=True, bigtiff=True),
    "tiff, 16 bit": by_vips(SIXTEEN, "tiffsave", "rgb16", tile=True, compression="deflate"),
    "tiff, 16 bit of grey": by_vips(GREY_16, "tiffsave", "grey16", tile=True),
    "tiff, palette": by_pillow("P", "TIFF"),
    "tiff, turned": by_pillow("RGB", "TIFF", exif=exif(7), icc_profile=P3),
    "webp": by_pillow("RGBA", "WEBP", lossless=True, exact=True, icc_profile=P3),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_kind_is_read_as_by_pillow(name, tmp_path):
    path = tmp_path / "picture"
    SOURCES[name](path)
    expected = read_image(path)
    found = read_huge(path, tmp_path, max_pixels=10**6, memory=0)
    assert is_mapped(found.rgb)
    np.testing.assert_array_equal(found.rgb, expected.rgb)
    assert (found.alpha is None) == (expected.alpha is None)
    if found.alpha is not None:
        assert is_mapped(found.alpha)
        np.testing.assert_array_equal(found.alpha, expected.alpha)
    for attribute in ("exif", "format", "icc_profile", "frames"):
        assert getattr(found, attribute) == getattr(expected, attribute)


def test_only_pictures_beyond_the_memory_are_taken(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(RGB).save(path)
    Image.fromarray(RGB).save(tmp_path / "picture.bmp")
    limits = {"max_pixels": 10**6}
    assert read_huge(path, tmp_path, **limits) is None
    assert read_huge(path, tmp_path, memory=18 * RGB[..., 0].size, **limits) is None
    assert read_huge(path, tmp_path, memory=18 * RGB[..., 0].size - 1, **limits)
    assert read_huge(path, tmp_path, memory=4 * 18 * RGB[..., 0].size - 1, scale=2, **limits)
    # What they are, or that they are missing, `read_image` says.
    assert read_huge(tmp_path / "picture.bmp", tmp_path, memory=0, **limits) is None
    assert read_huge(tmp_path / "missing.png", tmp_path, memory=0, **limits) is None
    with pytest.raises(ImageTooLargeError, match="is 203x150, above the limit of 30,000"):
        read_huge(path, tmp_path, memory=0, max_pixels=30_000)


def test_without_pyvips_errors_about_size_name_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    Image.fromarray(RGB).save(path)
    with pytest.raises(ImageTooLargeError) as caught:
        read_image(path, max_pixels=1)
    assert "impasto[huge]" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "pyvips", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert read_huge(path, tmp_path, max_pixels=10**6, memory=0) is None
    with pytest.raises(ImageTooLargeError, match=r'impasto\[huge\].*`pip install "\.\[huge\]"`'):
        read_image(path, max_pixels=1)


@pytest.mark.parametrize("alpha", [None, RGBA[..., 3]], ids=["opaque", "transparent"])
@pytest.mark.parametrize("profile", [None, P3], ids=["sRGB", "Display P3"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_every_format_is_written_as_by_pillow(suffix, profile, alpha, tmp_path):
    photo = Photo(RGB, alpha, clean(exif()), "PNG", profile)
    written, expected = tmp_path / f"written{suffix}", tmp_path / f"expected{suffix}"
    write_image(expected, photo)
    write_huge(written, spooled(photo, tmp_path))
    ours, pillows = read_image(written), read_image(expected)
    atol = 12 if suffix == ".webp" else 1  # the same encoder in another version
    np.testing.assert_allclose(ours.rgb.astype(int), pillows.rgb.astype(int), atol=atol)
    assert (ours.alpha is None) == (pillows.alpha is None)
    if ours.alpha is not None:
        np.testing.assert_array_equal(ours.alpha, pillows.alpha)
    assert (ours.format, ours.icc_profile) == (pillows.format, pillows.icc_profile)
    assert entries(pillows.exif).items() <= entries(ours.exif).items()
    assert Image.open(written).mode == Image.open(expected).mode


def test_pictures_without_exif_get_none(tmp_path):
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        path = tmp_path / f"written{suffix}"
        write_huge(path, spooled(Photo(RGB), tmp_path), quality=50)
        photo = read_image(path)
        resolution = {0x011A, 0x011B, 0x0128} if suffix == ".tif" else set()
        assert entries(photo.exif).keys() == resolution
        assert can_write(photo.format)


def test_exif_goes_into_big_tiffs_too(tmp_path, monkeypatch):
    monkeypatch.setattr(regions, "_LARGEST_TIFF_BYTES", 1000)
    path = tmp_path / "big.tif"
    write_huge(path, spooled(Photo(RGB, exif=clean(exif())), tmp_path))
    assert path.read_bytes()[2] == 43
    photo = read_image(path)
    np.testing.assert_array_equal(photo.rgb, RGB)
    assert entries(clean(exif())).items() <= entries(photo.exif).items()
    assert pyvips.Image.new_from_file(str(path)).width == WIDTH


def spooled(photo, folder):
    """The photo as `read_huge` would give it."""
    rgb, alpha = mapped(RGB.shape, folder), None
    rgb[:] = photo.rgb
    if photo.alpha is not None:
        alpha = mapped(photo.alpha.shape, folder)
        alpha[:] = photo.alpha
    return dataclasses.replace(photo, rgb=rgb, alpha=alpha)


def clean(block):
    """The block as it comes from a file that was read."""
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", exif=block)
    return read_image(buffer.getvalue()).exif


def entries(block):
    """What a block states, directories included."""
    found = Image.Exif()
    found.load(block or b"")
    rows = dict(found.items())
    for directory in (0x8769, 0x8825):
        rows.pop(directory, None)
        if directory in found:
            rows |= {(directory, tag): value for tag, value in found.get_ifd(directory).items()}
    rows.pop((0x8769, 0xA001), None)  # sRGB or not, of which a test of its own tells
    return rows


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff, tiles"])
def test_truncated_pictures_are_refused_in_one_line(name, tmp_path):
    path = tmp_path / "picture"
    SOURCES[name](path)
    if name == "tiff, tiles":  # its directory is at the end: a tile is damaged
        data = bytearray(path.read_bytes())
        start, size = (Image.open(path).tag_v2[tag][1] for tag in (324, 325))
        data[start : start + size] = b"\xff" * size
    else:
        data = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(data)
    with pytest.raises(ImageReadError) as caught:
        read_huge(path, tmp_path, max_pixels=10**6, memory=0)
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged or truncated: ")
    assert "\n" not in message


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    detail = "x: write error\nsystem error: No space left on device\nvips2tiff: TIFF write tile"

    def full(_image, _saver, path, *_):
        path.write_bytes(b"half")
        raise pyvips.Error("unable to call tiffsave", detail)

    monkeypatch.setattr(regions, "_save", full)
    with pytest.raises(OutputError) as caught:
        write_huge(tmp_path / "x.tif", spooled(Photo(RGB), tmp_path))
    assert str(caught.value) == f"cannot write {tmp_path / 'x.tif'}: no space left on the disk"
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as POSIX does")
def test_what_libvips_cannot_write_is_told(tmp_path):
    import resource

    photo = spooled(Photo(RGB), tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*x\.png: File too large"):
            write_huge(tmp_path / "x.png", photo)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_stops_libvips_and_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(regions, "wait", interrupt)
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write_huge(folder / "x.png", spooled(Photo(RGB), tmp_path))
    assert list(folder.iterdir()) == []


def test_names_that_are_no_text_will_do(tmp_path):
    if sys.platform != "linux":
        pytest.skip("only Linux has such names")
    path = tmp_path / os.fsdecode(b"photo\xff[a=b].png")
    Image.fromarray(RGB).save(path)
    target = path.with_suffix(".tif")
    write_huge(target, read_huge(path, tmp_path, max_pixels=10**6, memory=0))
    np.testing.assert_array_equal(read_image(target).rgb, RGB)


def test_colours_and_transparency_lie_in_the_folder(tmp_path, monkeypatch):
    used = []
    monkeypatch.setattr(regions, "mapped", lambda *a: used.append(a) or mapped(*a))
    path = tmp_path / "picture.png"
    Image.fromarray(RGBA).save(path)
    read_huge(path, tmp_path, max_pixels=10**6, memory=0)
    assert used == [((HEIGHT, WIDTH, 3), tmp_path), ((HEIGHT, WIDTH), tmp_path)]
