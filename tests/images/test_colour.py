import numpy as np
import pytest

from impasto.images.colour import keep_colors, luma, match_histogram


def pixel(*values):
    return np.array([[values]], dtype=np.float32)


def test_luma_by_hand():
    assert luma(pixel(1, 0.5, 0.25)).item() == pytest.approx(0.299 + 0.2935 + 0.0285)


def test_keep_colors_by_hand():
    # Luma of the photo 0.299, of the result 0.587: each channel moves by 0.288.
    mixed = keep_colors(pixel(0.7, 0.2, 0.1), pixel(0.5, 0.5, 0.5))
    change = 0.5 - (0.7 * 0.299 + 0.2 * 0.587 + 0.1 * 0.114)
    np.testing.assert_allclose(mixed, pixel(0.7 + change, 0.2 + change, 0.1 + change), rtol=1e-5)


def test_keep_colors_takes_luma_from_the_result_and_clips():
    assert keep_colors(pixel(1, 0, 0), pixel(1, 1, 1)).max() == 1.0
    grey = pixel(0.4, 0.4, 0.4)
    assert luma(keep_colors(grey, pixel(0.9, 0.1, 0.3))).item() == pytest.approx(
        luma(pixel(0.9, 0.1, 0.3)).item()
    )


def picture(*levels):
    """One row, with the same levels in red, twice that in green, and an even blue."""
    row = np.array(levels, np.uint8)
    return np.stack([row, 2 * row, np.full_like(row, 7)], axis=-1)[None]


def test_levels_take_those_of_the_same_rank():
    # Ranks of the middles: 10 is at 1/4, 20 at 5/8, 30 at 7/8; the reference has 50 up to
    # 1/2, 60 up to 3/4 and 70 up to the end.
    matched = match_histogram(picture(30, 10, 20, 10), picture(50, 50, 60, 70))
    np.testing.assert_array_equal(matched, picture(70, 50, 60, 50))


def test_sizes_may_differ():
    matched = match_histogram(picture(*[1] * 8, *[2] * 4, *[3] * 4), picture(5, 5, 9, 100))
    np.testing.assert_array_equal(matched, picture(*[5] * 8, *[9] * 4, *[100] * 4))


def test_an_even_picture_takes_the_median():
    assert set(match_histogram(picture(80, 80, 80), picture(1, 2, 90)).ravel()) == {2, 4, 7}


def test_the_same_histogram_changes_nothing(rgb):
    shuffled = np.random.default_rng(0).permutation(rgb.reshape(-1, 3)).reshape(40, 31, 3)
    np.testing.assert_array_equal(match_histogram(rgb, shuffled), rgb)


def test_order_is_kept_and_the_means_come_near(rgb):
    dull = (rgb // 3 + 60).astype(np.uint8).repeat(4, axis=0)
    matched = match_histogram(dull, rgb)
    order = np.argsort(dull[..., 0], axis=None, kind="stable")
    assert (np.diff(matched[..., 0].ravel()[order].astype(int)) >= 0).all()
    np.testing.assert_allclose(matched.mean(axis=(0, 1)), rgb.mean(axis=(0, 1)), atol=1)
