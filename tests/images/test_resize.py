import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, rgb_profile
from PIL import Image

from impasto.errors import UsageError
from impasto.images.reading import Photo
from impasto.images.resize import shrink


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
