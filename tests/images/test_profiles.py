import io

import numpy as np
import pytest
from icc_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    SPACES,
    cmyk_profile,
    expected_own,
    expected_srgb,
    grey_profile,
    rgb_profile,
)
from PIL import Image, ImageCms

from impasto.errors import OutputError
from impasto.images.profiles import from_srgb, to_srgb
from impasto.images.reading import Photo, photo_from_image, read_image
from impasto.images.writing import encode_image, to_pillow

LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def colour_cube(step):
    """Every colour whose levels are multiples of a step, as a picture."""
    levels = np.arange(0, 256, step, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    return cube.reshape(len(levels), -1, 3)


def inside_srgb(values, space):
    """Where converting to sRGB clips nothing."""
    back = expected_own(expected_srgb(values, space), space)
    return (np.abs(back - values) < 0.6).all(axis=-1)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_values_become_srgb(space):
    cube = colour_cube(15)
    read = read_image(encoded(Image.fromarray(cube), icc_profile=rgb_profile(space)))
    assert np.abs(read.rgb - expected_srgb(cube, space)).max() < 1
    assert read.icc_profile == rgb_profile(space)


@pytest.mark.parametrize("file_format", [*LOSSLESS, "JPEG", "AVIF"])
def test_result_is_in_the_profile_and_carries_it(file_format):
    srgb = np.full((16, 16, 3), (200, 90, 60), np.uint8)
    profile = rgb_profile(DISPLAY_P3)
    data = encode_image(Photo(srgb, icc_profile=profile), file_format, quality=100)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == profile
        stored = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(stored - expected_own(srgb, DISPLAY_P3)).max() < 4
    assert np.abs(read_image(data).rgb.astype(int) - srgb).max() < 4


@pytest.mark.parametrize(("name", "limit"), [("Display P3", 1), ("Adobe RGB", 2), ("ProPhoto", 1)])
def test_round_trip_keeps_what_srgb_holds(name, limit):
    space = SPACES[name]
    cube = colour_cube(5)
    data = encoded(Image.fromarray(cube), icc_profile=rgb_profile(space))
    with Image.open(io.BytesIO(encode_image(read_image(data), "PNG"))) as image:
        change = np.abs(np.asarray(image).astype(int) - cube)
    kept = inside_srgb(cube, space)
    assert change[kept].max() <= limit
    assert change[~kept].max() > 100  # the clipping that the module's docstring states


def test_bmp_stays_srgb(rgb):
    data = encode_image(Photo(rgb, icc_profile=rgb_profile(ADOBE_RGB)), "BMP")
    np.testing.assert_array_equal(read_image(data).rgb, rgb)


def test_pillow_image_has_the_profiles_values_and_alpha():
    srgb = np.full((4, 4, 3), (200, 90, 60), np.uint8)
    profile = rgb_profile(ADOBE_RGB)
    image = to_pillow(Photo(srgb, np.full((4, 4), 9, np.uint8), icc_profile=profile))
    assert (image.mode, image.info["icc_profile"]) == ("RGBA", profile)
    values = np.asarray(image)
    assert np.abs(values[..., :3] - expected_own(srgb, ADOBE_RGB)).max() < 1
    assert set(values[..., 3].ravel()) == {9}
    assert np.abs(photo_from_image(image).rgb.astype(int) - srgb).max() <= 1


def test_palette_pictures_get_their_profile_back():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([200, 100, 50])
    read = read_image(encoded(image, icc_profile=rgb_profile(DISPLAY_P3)))
    assert read.icc_profile == rgb_profile(DISPLAY_P3)
    assert np.abs(read.rgb[0, 0] - expected_srgb((200, 100, 50), DISPLAY_P3)).max() < 1


def test_srgb_is_recognised_and_dropped(rgb):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    read = read_image(encoded(Image.fromarray(rgb), icc_profile=srgb))
    np.testing.assert_array_equal(read.rgb, rgb)
    assert read.icc_profile is None


def test_exif_says_which_colours():
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 1}
    for profile, stated in [(b"", 1), (rgb_profile(ADOBE_RGB), 65535)]:
        data = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif, icc_profile=profile)
        kept = Image.Exif()
        kept.load(read_image(data).exif)
        assert kept.get_ifd(0x8769)[0xA001] == stated


def test_grey_profile_is_applied_and_not_given_back():
    levels = np.array([[0, 64, 128, 255]], np.uint8)
    read = read_image(encoded(Image.fromarray(levels), icc_profile=grey_profile(1.0)))
    light = levels / 255
    srgb = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    np.testing.assert_allclose(read.rgb[..., 1], srgb, atol=1)
    assert read.icc_profile is None


@pytest.mark.parametrize("file_format", ["TIFF", "JPEG"])
def test_cmyk_profile_is_applied_and_not_given_back(file_format):
    # Inks that darken and nothing else: by Pillow's formula, full cyan would be cyan.
    profile = cmyk_profile(lambda c, m, y, k: (100 - 20 * c - 15 * m - 5 * y - 60 * k, 0, 0))
    ink = encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), file_format, icc_profile=profile)
    read = read_image(ink)
    # L* = 80 is a light of ((80 + 16) / 116) ** 3, and grey in sRGB.
    light = ((80 + 16) / 116) ** 3
    grey = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(read.rgb[4, 4] - grey).max() < 3
    assert read.icc_profile is None


@pytest.mark.parametrize(
    ("mode", "profile"),
    [("RGB", b"nonsense"), ("RGB", grey_profile(1.0)), ("L", rgb_profile(DISPLAY_P3))],
)
def test_unfitting_profile_is_ignored(mode, profile):
    read = read_image(encoded(Image.new(mode, (4, 4), 77), icc_profile=profile))
    plain = read_image(encoded(Image.new(mode, (4, 4), 77)))
    np.testing.assert_array_equal(read.rgb, plain.rgb)
    assert read.icc_profile is None


def test_profile_that_leads_one_way_is_applied_only():
    # All three primaries are red: every colour has a light, but no way leads back.
    profile = bytearray(rgb_profile(DISPLAY_P3))
    entry = {name: profile.index(name) for name in (b"rXYZ", b"gXYZ", b"bXYZ")}
    for name in (b"gXYZ", b"bXYZ"):
        place = slice(entry[b"rXYZ"] + 4, entry[b"rXYZ"] + 12)
        profile[entry[name] + 4 : entry[name] + 12] = profile[place]
    image = Image.new("RGB", (2, 2), (200, 100, 50))
    converted, own = to_srgb(image, bytes(profile))
    assert converted.getpixel((0, 0)) != (200, 100, 50)
    assert own is None


def test_unusable_profile_of_a_result_is_an_output_error():
    with pytest.raises(OutputError, match="colour profile"):
        from_srgb(Image.new("RGB", (2, 2)), b"nonsense")
