import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, rgb_profile
from PIL import Image

from impasto.errors import UsageError
from impasto.images.reading import Photo
from impasto.images.resize import mirror_up, resized_rows, resized_to, shrink


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
