import numpy as np
import pytest
from PIL import Image

from impasto.images.enlarging import enlarge_rest, fill_hidden, halved
from impasto.images.reading import Photo


def test_halving_takes_the_mean_of_four():
    picture = np.zeros((4, 2, 3), np.float32)
    picture[:2, :, 0] = [[0.1, 0.2], [0.3, 0.6]]
    picture[2:, :, 2] = [[1, 1], [0, 1]]
    expected = np.zeros((2, 1, 3), np.float32)
    expected[0, 0, 0], expected[1, 0, 2] = 0.3, 0.75
    np.testing.assert_allclose(halved(picture), expected, atol=1e-7)


def test_alpha_and_exif_follow_the_size():
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0xA002] = 4
    alpha = np.full((3, 4), 255, np.uint8)
    alpha[:, :2] = 0
    enlarged = np.zeros((12, 16, 3), np.uint8)
    large = enlarge_rest(Photo(enlarged, alpha, exif.tobytes(), "PNG", b"profile"))
    assert (large.format, large.icc_profile) == ("PNG", b"profile")
    expected = Image.fromarray(alpha).resize((16, 12), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(large.alpha, np.asarray(expected))
    assert (set(large.alpha[:, 0]), set(large.alpha[:, -1])) == ({0}, {255})
    stated = Image.Exif()
    stated.load(large.exif)
    assert stated[0x010F] == "Maker"
    assert stated.get_ifd(0x8769)[0xA002] == 16
    plain = enlarge_rest(Photo(enlarged))
    assert (plain.alpha, plain.exif) == (None, None)


@pytest.mark.parametrize("level", [0, 1, 255])
def test_photos_that_are_wholly_seen_or_hidden_stay_as_they_are(rgb, level):
    assert fill_hidden(rgb, np.full(rgb.shape[:2], level, np.uint8)) is rgb
    assert fill_hidden(rgb, None) is rgb


@pytest.mark.parametrize("size", [(20, 33), (1, 5), (64, 64)])
def test_hidden_pixels_take_the_colours_of_those_that_are_seen(size):
    rgb, alpha = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    rgb[0, 1:3], alpha[0, 1:3] = (200, 100, 50), 1
    filled = fill_hidden(rgb, alpha)
    assert np.abs(filled.astype(int) - (200, 100, 50)).max() <= 2
    np.testing.assert_array_equal(filled[0, 1:3], rgb[0, 1:3])


def test_each_hidden_pixel_takes_from_what_is_near():
    rgb, alpha = np.zeros((8, 64, 3), np.uint8), np.zeros((8, 64), np.uint8)
    rgb[:, :8], rgb[:, 56:] = (255, 0, 0), (0, 0, 255)
    alpha[:, :8] = alpha[:, 56:] = 255
    filled = fill_hidden(rgb, alpha).astype(int)
    assert np.abs(filled[:, 8:10] - (255, 0, 0)).max() <= 12
    assert np.abs(filled[:, 54:56] - (0, 0, 255)).max() <= 12
