import dataclasses
import io

import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, expected_own, rgb_profile
from PIL import Image
from plain_changes import Plain

from impasto.errors import UsageError
from impasto.runtime.changes import change_like_input


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def paint(image):
    """Leaves the picture as it is: what else changes is what the kinds are about."""
    return change_like_input(image, Plain(lambda photo: photo), max_pixels=10_000)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP"])
def test_bytes_give_bytes_of_the_same_format(file_format, rgb):
    painted = paint(encoded(Image.fromarray(rgb), file_format))
    with Image.open(io.BytesIO(painted)) as image:
        assert (image.format, image.size) == (file_format, (40, 31))


def test_formats_that_cannot_be_written_give_png(rgb):
    with Image.open(io.BytesIO(paint(encoded(Image.fromarray(rgb), "GIF")))) as image:
        assert image.format == "PNG"


def test_jpeg_with_previews_gives_jpeg(rgb):
    other = Image.fromarray(rgb)
    data = encoded(other, "MPO", save_all=True, append_images=[other])
    with Image.open(io.BytesIO(paint(data))) as image:
        assert image.format == "JPEG"


def test_profile_comes_back_with_paths_bytes_and_images(tmp_path):
    profile = rgb_profile(DISPLAY_P3)
    image = Image.new("RGB", (8, 8), (180, 100, 90))
    image.info["icc_profile"] = profile
    path = tmp_path / "p3.png"
    path.write_bytes(encoded(image, icc_profile=profile))
    for painted in (paint(path), paint(image), Image.open(io.BytesIO(paint(path.read_bytes())))):
        assert painted.info["icc_profile"] == profile
        assert np.abs(np.asarray(painted).astype(int) - (180, 100, 90)).max() <= 1
    # What is painted is sRGB, and the result is in the profile.

    def redden(photo):
        return dataclasses.replace(photo, rgb=np.full_like(photo.rgb, (200, 0, 0)))

    red = change_like_input(image, Plain(redden), max_pixels=100)
    assert np.abs(np.asarray(red) - expected_own((200, 0, 0), DISPLAY_P3)).max() < 1


def test_arrays_keep_shape_and_alpha(rgb):
    rgba = np.dstack([rgb, np.full((31, 40), 7, np.uint8)])
    np.testing.assert_array_equal(paint(rgb), rgb)
    np.testing.assert_array_equal(paint(rgba), rgba)
    np.testing.assert_array_equal(paint(rgb[..., 0]), np.stack([rgb[..., 0]] * 3, axis=-1))


def test_exif_comes_back_upright():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    with Image.open(
        io.BytesIO(paint(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)))
    ) as image:
        assert image.size == (10, 20)
        assert dict(image.getexif()) == {0x010F: "Maker"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (5, "not int"),
        (np.zeros((2, 2), np.float32), "not float32 of shape"),
        (np.zeros((2, 2, 5), np.uint8), "must be uint8 of shape"),
        (np.zeros((0, 2, 3), np.uint8), "has no pixels"),
    ],
)
def test_other_kinds_are_refused(given, reason):
    with pytest.raises(UsageError, match=reason):
        paint(given)
