import contextlib
import io
import os
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

import impasto.data
from impasto.data import open_photos
from impasto.data.sources import decode_photo
from impasto.errors import DataError

NAMES = ["a.jpg", "b.png", "below/c.webp"]


def encoded(rgb, file_format="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, file_format, **options)
    return buffer.getvalue()


def zip_of(folder, path, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
    return path


def tar_of(folder, path, mode="w"):
    with tarfile.open(path, mode) as archive:
        archive.add(folder, arcname="", recursive=True)
    return path


def content(source):
    return {name: source.read(i) for i, name in enumerate(source.names)}


def test_public_names():
    assert set(impasto.data.__all__) == {
        "CropBatches",
        "Degradation",
        "PatchPairs",
        "PhotoCrops",
        "PhotoSource",
        "degrade",
        "open_photos",
    }
    for name in impasto.data.__all__:
        assert getattr(impasto.data, name) is not None


def test_a_folder_is_read_to_its_depth(folder):
    source = open_photos(str(folder))
    assert source.names == NAMES
    assert content(source) == {name: (folder / name).read_bytes() for name in NAMES}


def test_suffixes_are_read_in_any_case(folder):
    (folder / "a.jpg").rename(folder / "A.JPeG")
    assert open_photos(folder).names == ["A.JPeG", "b.png", "below/c.webp"]


def test_archives_hold_the_same_as_the_folder(folder, tmp_path):
    expected = content(open_photos(folder))
    for path in (
        zip_of(folder, tmp_path / "stored.zip"),
        zip_of(folder, tmp_path / "deflated.zip", zipfile.ZIP_DEFLATED),
        tar_of(folder, tmp_path / "photos.tar"),
    ):
        source = open_photos(path)
        assert source.names == NAMES
        assert content(source) == expected
        assert content(source) == expected  # again, through what is already open


def test_archives_go_to_other_processes_by_pickle(folder, tmp_path):
    for path in (zip_of(folder, tmp_path / "a.zip"), tar_of(folder, tmp_path / "a.tar")):
        source = open_photos(path)
        first = source.read(0)
        assert pickle.loads(pickle.dumps(source)).read(0) == first


def test_a_zip_is_opened_once(folder, tmp_path, monkeypatch):
    source = open_photos(zip_of(folder, tmp_path / "photos.zip"))
    opened = []
    real = zipfile.ZipFile

    def counting(path):
        opened.append(path)
        return real(path)

    monkeypatch.setattr(zipfile, "ZipFile", counting)
    for _ in range(3):
        content(source)
    assert len(opened) == 1


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "empty_zip", "tar_gz", "empty_file"])
def test_what_is_no_collection_is_refused_in_one_line(kind, folder, tmp_path):
    path = tmp_path / kind
    if kind == "empty":
        path.mkdir()
        (path / "readme.txt").write_text("nothing here")
    elif kind == "text":
        path.write_text("no archive")
    elif kind == "empty_zip":
        zipfile.ZipFile(path, "w").close()
    elif kind == "tar_gz":
        tar_of(folder, path, "w:gz")
    elif kind == "empty_file":
        path.touch()
    expected = {
        "missing": "photos not found",
        "empty": "no photos in",
        "empty_zip": "no photos in",
    }.get(kind, r"is not a folder, a \.zip or an uncompressed \.tar")
    with pytest.raises(DataError, match=expected) as caught:
        open_photos(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_photo_that_vanished_is_a_data_error(folder):
    source = open_photos(folder)
    (folder / "a.jpg").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        source.read(0)


def test_a_folder_named_like_a_photo_is_a_data_error(folder):
    (folder / "0.jpg").mkdir()
    source = open_photos(folder)
    with pytest.raises(DataError):
        decode_photo(source.read(source.names.index("0.jpg")), 32)


def test_a_damaged_member_of_a_zip_is_a_data_error(folder, tmp_path):
    path = zip_of(folder, tmp_path / "photos.zip")
    data = bytearray(path.read_bytes())
    at = data.index((folder / "b.png").read_bytes())
    data[at + 60] ^= 0xFF
    path.write_bytes(data)
    source = open_photos(path)
    with pytest.raises(DataError, match="from the archive"):
        source.read(1)
    assert source.read(0) == (folder / "a.jpg").read_bytes()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_decoding(file_format, pictures):
    rgb = pictures["a.jpg"]
    decoded = decode_photo(encoded(rgb, file_format, quality=95), 60)
    assert decoded.shape == rgb.shape
    assert decoded.dtype == np.uint8
    limit = 0 if file_format == "PNG" else 6
    assert np.abs(decoded.astype(int) - rgb).mean() <= limit


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK"])
def test_other_colour_modes_become_rgb(mode, pictures):
    buffer = io.BytesIO()
    Image.fromarray(pictures["a.jpg"]).convert(mode).save(
        buffer, "JPEG" if mode == "CMYK" else "PNG"
    )
    assert decode_photo(buffer.getvalue(), 32).shape == (60, 80, 3)


def test_photos_stand_upright(pictures):
    rgb = pictures["a.jpg"]
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rotate by 90 degrees clockwise
    decoded = decode_photo(encoded(rgb, exif=exif), 60)
    assert np.array_equal(decoded, np.rot90(rgb, -1))


def test_large_jpegs_are_decoded_smaller_but_not_too_small():
    rgb = np.random.default_rng(0).integers(0, 255, (900, 1300, 3), dtype=np.uint8)
    data = encoded(rgb, "JPEG")
    assert decode_photo(data, 100).shape == (113, 163, 3)  # an eighth, rounded up
    assert decode_photo(data, 440).shape == (450, 650, 3)
    assert decode_photo(data, 460).shape == (900, 1300, 3)


def giant_png():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on damaged EXIF
def test_unusable_pictures_are_data_errors(pictures):
    rgb = pictures["a.jpg"]
    gif = io.BytesIO()
    Image.fromarray(rgb).save(gif, "GIF")
    exif = b"Exif\x00\x00II*\x00" + b"\xff" * 40
    for data in (
        b"",
        b"hello",
        giant_png(),
        gif.getvalue(),
        *(encoded(rgb, kind)[:-200] for kind in ("JPEG", "PNG", "WEBP")),
    ):
        with pytest.raises(DataError):
            decode_photo(data, 32)
    assert decode_photo(encoded(rgb, "JPEG", exif=exif), 32).shape == (60, 80, 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_never_ends_in_another_error(pictures):
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    for kind in ("JPEG", "PNG", "WEBP"):
        data = np.frombuffer(encoded(pictures["a.jpg"], kind, exif=exif), np.uint8)
        for _ in range(300):
            damaged = data.copy()
            damaged[random.integers(0, min(len(data), 250), 4)] = random.integers(0, 256, 4)
            with contextlib.suppress(DataError):
                assert decode_photo(damaged.tobytes(), 32).shape[2] == 3


def test_a_zip_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.data.sources.MAX_PHOTO_BYTES", 1000)
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(1001))
    with pytest.raises(DataError, match="MiB"):
        open_photos(path).read(0)
    data = path.read_bytes()
    stated, real = struct.pack("<I", 10), struct.pack("<I", 1001)
    assert data.count(real) == 2
    path.write_bytes(data.replace(real, stated))
    with pytest.raises(DataError, match="cannot be read"):
        open_photos(path).read(0)


def test_a_zip_with_other_compression_is_refused(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.jpg", b"photo")
    with pytest.raises(DataError, match="another method than deflate"):
        open_photos(path).read(0)


def test_files_and_tars_have_the_same_limit(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.data.sources.MAX_PHOTO_BYTES", 10)
    for path in (folder, tar_of(folder, tmp_path / "photos.tar")):
        with pytest.raises(DataError, match="MiB"):
            open_photos(path).read(0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes in folders are POSIX's")
def test_named_pipes_are_passed_over(folder):
    os.mkfifo(folder / "pipe.jpg")
    assert open_photos(folder).names == NAMES


def test_large_pictures_are_refused_unless_they_decode_smaller(monkeypatch):
    monkeypatch.setattr("impasto.data.sources.MAX_DECODED_PIXELS", 100 * 100)
    rgb = np.zeros((800, 800, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="800x800 px is too large for training"):
        decode_photo(encoded(rgb, "PNG"), 64)
    assert decode_photo(encoded(rgb, "JPEG"), 64).shape == (100, 100, 3)


def test_grey_of_16_bits_is_scaled_and_not_clipped():
    grey = np.arange(64 * 64).reshape(64, 64) * 16
    file = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16)).save(file, "PNG")
    decoded = decode_photo(file.getvalue(), 64)
    assert np.abs(decoded - (grey / 257)[..., None]).max() <= 0.5
