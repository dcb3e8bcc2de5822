import errno
import io

import numpy as np
import pytest
from PIL import Image

from impasto.errors import OutputError, UsageError
from impasto.images.reading import Photo, read_image
from impasto.images.writing import (
    LOSSY_FORMATS,
    atomic_path,
    check_sides,
    encode_image,
    write_image,
)


def test_atomic_path_renames_on_success(tmp_path):
    target = tmp_path / "new folder" / "result.png"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".png"
        temporary.write_text("done")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["result.png"]
    assert target.read_text() == "done"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_path_leaves_nothing_on_error(tmp_path, error):
    target = tmp_path / "result.png"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["result.png"]
    assert target.read_text() == "old"


def test_full_disk_is_an_output_error(tmp_path):
    target = tmp_path / "result.png"
    with pytest.raises(OutputError, match="no space left") as caught, atomic_path(target) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(target) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places(tmp_path, rgb):
    file = tmp_path / "file"
    file.touch()
    folder = tmp_path / "folder.png"
    folder.mkdir()
    for target in (file / "result.png", folder):
        with pytest.raises(OutputError, match="cannot write"):
            write_image(target, rgb)
    with pytest.raises(OutputError, match=r"must end in one of \.jpg"):
        write_image(tmp_path / "result.xyz", rgb)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp"])
def test_lossless_round_trip(tmp_path, suffix, rgb):
    write_image(tmp_path / f"x{suffix}", rgb)
    np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}").rgb, rgb)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".avif"])
def test_lossy_round_trip(tmp_path, suffix, rgb):
    write_image(tmp_path / f"x{suffix}", rgb)
    assert np.abs(read_image(tmp_path / f"x{suffix}").rgb.astype(int) - rgb).mean() < 2.5


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif"])
def test_alpha_is_kept(tmp_path, suffix, rgb):
    alpha = np.where(np.arange(40) < 20, 255, 0).astype(np.uint8) * np.ones((31, 1), np.uint8)
    write_image(tmp_path / f"x{suffix}", Photo(rgb, alpha))
    kept = read_image(tmp_path / f"x{suffix}").alpha
    assert np.abs(kept.astype(int) - alpha).max() <= 2


def test_jpeg_lays_transparency_on_white(tmp_path):
    black = np.zeros((8, 8, 3), np.uint8)
    write_image(tmp_path / "x.jpg", Photo(black, np.zeros((8, 8), np.uint8)))
    assert read_image(tmp_path / "x.jpg").rgb.min() > 250


def test_exif_is_written(tmp_path, rgb):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8769] = {0x927C: b"notes"}
    exif[0x8825] = {1: "N"}
    for suffix in (".jpg", ".png", ".webp", ".tif", ".avif"):
        write_image(tmp_path / f"x{suffix}", Photo(rgb, exif=exif.tobytes()))
        with Image.open(tmp_path / f"x{suffix}") as image:
            kept = image.getexif()
            assert kept[0x010F] == "Maker"
            assert kept.get_ifd(0x8769)[0x927C] == b"notes"
            assert kept.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("file_format", sorted(LOSSY_FORMATS))
def test_quality_trades_size_for_faithfulness(file_format, rgb):
    sizes, errors = [], []
    for quality in (1, 50, 100):
        data = encode_image(Photo(rgb), file_format, quality=quality)
        sizes.append(len(data))
        errors.append(np.abs(read_image(data).rgb.astype(int) - rgb).mean())
    assert sizes == sorted(set(sizes))
    assert errors == sorted(set(errors), reverse=True)


def test_quality_reaches_the_file_and_lossless_formats_ignore_it(tmp_path, rgb):
    for name, smaller in (("x.jpg", True), ("x.png", False)):
        write_image(tmp_path / name, rgb)
        size = (tmp_path / name).stat().st_size
        write_image(tmp_path / name, rgb, quality=20)
        assert ((tmp_path / name).stat().st_size < size) == smaller


@pytest.mark.parametrize("quality", [0, 101, -5])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_quality_has_a_range(quality, file_format, rgb):
    with pytest.raises(UsageError, match=f"between 1 and 100, not {quality}"):
        encode_image(Photo(rgb), file_format, quality=quality)


def test_tiff_stays_compressed_with_plain_exif(rgb):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    with Image.open(io.BytesIO(encode_image(Photo(rgb, exif=exif.tobytes()), "TIFF"))) as image:
        assert image.info["compression"] == "tiff_adobe_deflate"
        assert image.getexif()[0x010F] == "Maker"


def test_exif_too_long_for_jpeg_is_left_out(rgb):
    exif = Image.Exif()
    exif[0x010F] = "M" * 70000
    data = encode_image(Photo(rgb, exif=exif.tobytes()), "JPEG")
    assert not Image.open(io.BytesIO(data)).getexif()


def test_formats_that_cannot_be_written_become_png(rgb):
    assert encode_image(Photo(rgb), "GIF").startswith(b"\x89PNG")


def test_size_that_the_format_cannot_hold():
    wide = np.zeros((1, 70000, 3), np.uint8)
    with pytest.raises(OutputError, match="JPEG cannot hold"):
        encode_image(Photo(wide), "JPEG")


@pytest.mark.parametrize(("file_format", "limit_px"), [("JPEG", 65_500), ("WEBP", 16_383)])
def test_sides_that_a_format_cannot_hold(file_format, limit_px):
    check_sides(file_format, limit_px, 1)
    assert encode_image(Photo(np.zeros((1, limit_px, 3), np.uint8)), file_format)
    message = f"{file_format} cannot hold a picture of 1x{limit_px + 1}, only sides of up to"
    with pytest.raises(OutputError, match=message):
        check_sides(file_format, 1, limit_px + 1)
    with pytest.raises(OutputError):
        encode_image(Photo(np.zeros((1, limit_px + 1, 3), np.uint8)), file_format)
    for without_limit in ("PNG", "TIFF", "BMP"):
        check_sides(without_limit, 100_000, 1)


def test_png_is_written_fast_and_no_larger(rgb):
    # Brush strokes: noise that was smoothed. Pillow's own settings are the measure of size.
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    strokes = np.asarray(Image.fromarray(noise).resize((512, 512), Image.Resampling.BICUBIC))
    data = encode_image(Photo(strokes), "PNG")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), strokes)
    usual = io.BytesIO()
    Image.fromarray(strokes).save(usual, "PNG")
    assert len(data) < 1.05 * len(usual.getvalue())
    # A deflate stream's second byte states its effort: 0 is the least (RFC 1950, FLEVEL).
    first = data.index(b"IDAT") + 4
    assert data[first + 1] >> 6 == 0
    flat = encode_image(Photo(np.full((512, 512, 3), 7, np.uint8)), "PNG")
    assert len(flat) < 10_000
