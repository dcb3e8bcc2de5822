import numpy as np
import pytest
from PIL import Image

from impasto.errors import ImageError, UsageError
from impasto.evaluation import warp_error
from impasto.evaluation.quality import MARGIN_PX, NOISE_LEVELS, SHIFT_PX, warp


@pytest.fixture
def photo():
    noise = np.random.default_rng(0).integers(60, 196, (40, 52, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((512, 394), Image.Resampling.BICUBIC))


def test_an_untouched_photo_has_only_the_noise(photo):
    # The mean absolute value of a normal distribution is sqrt(2 / pi) of its deviation.
    assert warp_error(lambda rgb: rgb, [photo]) == pytest.approx(
        NOISE_LEVELS * (2 / np.pi) ** 0.5, rel=0.1
    )


def test_what_moves_with_the_photo_is_steady_and_what_stays_is_not(photo):
    def inverted(rgb):
        return 255 - rgb

    def with_grid(rgb):
        result = rgb.copy()
        result[::4] = 0
        return result

    steady = warp_error(lambda rgb: rgb, [photo])
    assert warp_error(inverted, [photo]) == pytest.approx(steady, rel=0.05)
    assert warp_error(with_grid, [photo]) > 5 * steady


def test_the_result_is_a_plain_mean_over_photos(photo):
    errors = [warp_error(lambda rgb: rgb // 2, [p]) for p in (photo, photo[::-1].copy())]
    both = warp_error(lambda rgb: rgb // 2, [photo, photo[::-1].copy()])
    assert both == pytest.approx(np.mean(errors), rel=0.02)


def test_the_warp_moves_the_middle_by_the_shift():
    picture = np.zeros((301, 401, 3), np.uint8)
    picture[140:161, 190:211] = 255
    rows, columns = np.nonzero(warp(picture)[..., 0] > 127)
    assert 200 - columns.mean() == pytest.approx(SHIFT_PX[0], abs=0.5)
    assert 150 - rows.mean() == pytest.approx(SHIFT_PX[1], abs=0.5)


def test_the_margin_covers_what_the_warp_brings_in():
    white = np.full((512, 512, 3), 255, np.uint8)
    inner = warp(white)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    assert inner.min() == 255


def test_what_has_no_inside_is_refused(photo):
    with pytest.raises(ImageError, match="photo 1 is 512x40 px when it is scaled; both sides"):
        warp_error(lambda rgb: rgb, [photo[:40]])
    with pytest.raises(UsageError, match="there are no photos"):
        warp_error(lambda rgb: rgb, [])
