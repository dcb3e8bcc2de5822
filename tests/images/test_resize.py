import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, rgb_profile
from PIL import Image

from impasto.errors import UsageError
from impasto.images.reading import Photo
from impasto.images.resize import (
    enlarge_rest,
    fill_hidden,
    halved,
    mirror_up,
    resized_rows,
    resized_to,
    shrink,
)


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [((31, 40), 20, (16, 20)), ((40, 31), 20, (20, 16)), ((1000, 1), 10, (10, 1))],
)
def test_longer_side_gets_the_limit(size, limit, expected):
    assert shrink(Photo(np.zeros((*size, 3), np.uint8)), limit).rgb.shape == (*expected, 3)


def test_small_enough_photos_are_left_alone(rgb):
    photo = Photo(rgb)
    assert shrink(photo, 40) is photo
    assert shrink(photo, 5000) is photo


def test_fine_stripes_become_their_mean():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    np.testing.assert_allclose(shrink(Photo(stripes), 16).rgb[2:-2, 2:-2].astype(int), 100, atol=2)


def test_unseen_colours_do_not_bleed():
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[:, :16] = (200, 0, 0)
    rgb[:, 16:] = (0, 255, 0)
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, :16] = 255
    small = shrink(Photo(rgb, alpha), 8)
    assert small.alpha.shape == (8, 8)
    assert small.rgb[small.alpha > 20][:, 1].max() < 3
    assert (small.alpha[:, 0].min(), small.alpha[:, -1].max()) == (255, 0)


def test_everything_else_stays_and_exif_states_the_new_size(rgb):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8769] = {0xA002: 40, 0xA003: 31, 0x829A: 0.5}
    photo = Photo(rgb, None, exif.tobytes(), "JPEG", rgb_profile(DISPLAY_P3), 3)
    small = shrink(photo, 20)
    assert (small.format, small.icc_profile, small.frames) == ("JPEG", photo.icc_profile, 3)
    kept = Image.Exif()
    kept.load(small.exif)
    details = kept.get_ifd(0x8769)
    assert (kept[0x010F], details[0xA002], details[0xA003]) == ("Maker", 20, 16)
    assert float(details[0x829A]) == 0.5


def test_limit_below_one_is_refused(rgb):
    with pytest.raises(UsageError, match="at least 1 px, not 0"):
        shrink(Photo(rgb), 0)


@pytest.mark.parametrize("size", [(16, 20), (62, 80), (31, 40), (25, 9)])
def test_a_size_is_met_exactly(rgb, size):
    result = resized_to(rgb, *size)
    assert result.shape == (*size, 3)
    expected = np.asarray(Image.fromarray(rgb).resize(size[::-1], Image.Resampling.LANCZOS))
    assert np.abs(result.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(300, 1000), (77, 500), (63, 90), (31, 40), (9, 11), (3, 5)])
@pytest.mark.parametrize("gap", [None, 3.0])
@pytest.mark.parametrize("kernel", [Image.Resampling.LANCZOS, Image.Resampling.BILINEAR])
def test_resized_rows_are_those_of_the_whole(size, gap, kernel):
    height = size[1]
    # Without black and white, where the order of both ways would show.
    rgb = np.random.default_rng(0).integers(100, 156, (211, 93, 3), np.uint8)
    whole = np.asarray(Image.fromarray(rgb).resize(size, kernel, reducing_gap=gap)).astype(int)
    for step in (1, 13, height):
        parts = [
            resized_rows(rgb, slice(top, min(top + step, height)), *size, kernel, reducing_gap=gap)
            for top in range(0, height, step)
        ]
        assert np.abs(np.concatenate(parts) - whole).max() <= 1


@pytest.mark.parametrize("rows", [slice(0, 9), slice(4, 7)])
def test_transparency_may_lie_apart(rgb, rows):
    alpha = rgb[::-1, :, 0]
    size, kernel = (25, 9), Image.Resampling.LANCZOS
    apart = resized_rows(rgb, rows, *size, kernel, alpha=alpha)
    np.testing.assert_array_equal(apart, resized_rows(np.dstack([rgb, alpha]), rows, *size, kernel))
    assert apart.shape == (rows.stop - rows.start, 25, 4)


def test_mirror_up_repeats_the_reflection():
    row = np.array([10, 20, 30], np.uint8)[None, :, None].repeat(3, axis=2)
    enlarged, top, left = mirror_up(row, 9)
    assert (top, left, enlarged.shape) == (4, 3, (9, 9, 3))
    np.testing.assert_array_equal(enlarged[0, :, 0], [20, 30, 20, 10, 20, 30, 20, 10, 20])
    np.testing.assert_array_equal(mirror_up(row[:, :1], 4)[0], np.full((4, 4, 3), 10))
    unchanged, *offsets = mirror_up(row.repeat(9, axis=0).repeat(3, axis=1), 9)
    assert (unchanged.shape, offsets) == ((9, 9, 3), [0, 0])


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
