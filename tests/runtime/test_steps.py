"""Sizes of steps and tiles, by hand and against PyTorch."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from impasto.runtime.steps import Taps, mirrored, step_sizes, tile_starts, working_size_px


@pytest.mark.parametrize(
    ("stroke_size", "expected"), [(0.5, 1024), (1, 512), (1.3, 394), (2, 256), (4, 128)]
)
def test_the_working_size_by_hand(stroke_size, expected):
    assert working_size_px(512, stroke_size) == expected


def test_the_working_size_has_a_least_one():
    assert working_size_px(200, 4) == 64
    assert working_size_px(200, 3) == 67


def test_larger_strokes_never_have_a_larger_draft():
    sizes = [working_size_px(512, f) for f in np.linspace(0.5, 4, 200)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1024
    assert sizes[-1] == 128


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (300, 512, [(300, 512)]),
        (1, 1, [(1, 1)]),
        (512, 513, [(511, 512), (512, 513)]),
        (768, 1024, [(384, 512), (768, 1024)]),
        (1025, 700, [(512, 350), (724, 495), (1025, 700)]),
        (4096, 2048, [(512, 256), (1024, 512), (2048, 1024), (4096, 2048)]),
        (1, 2000, [(1, 512), (1, 1012), (1, 2000)]),
        (3000, 30, [(512, 5), (923, 9), (1664, 17), (3000, 30)]),
    ],
)
def test_steps_by_hand(height, width, expected):
    assert step_sizes(height, width, 512) == expected


def test_steps_are_equal_and_at_most_2():
    for longer in range(513, 20_000, 97):
        sides = [size[0] for size in step_sizes(longer, longer, 512)]
        ratios = np.array(sides[1:]) / sides[:-1]
        assert sides[0] == 512
        assert sides[-1] == longer
        assert ratios.max() <= 2.003  # of whole pixels
        assert ratios.max() / ratios.min() < 1.01


@pytest.mark.parametrize(
    ("size", "tile_px", "expected"),
    [
        (1, 8, ([0], 2)),
        (8, 8, ([0], 8)),
        (9, 8, ([0, 4], 6)),
        (16, 8, ([0, 8], 8)),
        (21, 8, ([0, 8, 14], 8)),
    ],
)
def test_tiles_by_hand(size, tile_px, expected):
    assert tile_starts(size, tile_px) == expected


def test_tiles_cover_a_side_and_start_at_even_pixels():
    for size in range(1, 200):
        starts, length = tile_starts(size, 12)
        covered = {pixel for start in starts for pixel in range(start, start + length)}
        assert covered == set(range(size + size % 2))
        assert all(number % 2 == 0 for number in (*starts, length))
        assert length <= 12


def test_borders_are_mirrored_as_often_as_needed():
    assert mirrored(-3, 6, 4).tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1]
    assert mirrored(-5, 4, 2).tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert mirrored(-2, 3, 1).tolist() == [0] * 5
    for size in (2, 3, 7):
        row = np.pad(np.arange(size), 20, mode="reflect")
        np.testing.assert_array_equal(mirrored(-20, size + 20, size), row)


@pytest.mark.parametrize(("small", "large"), [(5, 10), (7, 12), (1, 2), (3, 3), (50, 77), (2, 9)])
def test_taps_are_those_of_pytorch(small, large):
    row = torch.rand(1, 1, small)
    expected = F.interpolate(row, size=large, mode="linear", align_corners=False)[0, 0]
    taps = Taps.of(np.arange(large), large, small)
    values = row[0, 0].numpy()
    first, second = values[taps.first], values[taps.second]
    np.testing.assert_allclose(first + taps.share * (second - first), expected, atol=1e-5)
    part = taps.within(taps.span)
    assert part.first.min() == 0
    np.testing.assert_array_equal(values[taps.span][part.second], second)
