import numpy as np
import pytest

from impasto.images.colour import keep_colors, luma


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
