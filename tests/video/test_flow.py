"""Flow, known moves and the warp error: all on motion that is known."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from impasto.video.flow import FlowFinder, grey, inside, moved
from impasto.video.frames import Motion
from impasto.video.measuring import MOVES, WarpError, make_clip


@pytest.fixture
def texture():
    """Smooth noise, which flow can be found on, (96, 128, 3) uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((128, 96), Image.Resampling.BICUBIC))


def even_flow(height, width, x, y):
    flow = np.empty((height, width, 2), np.float32)
    flow[...] = (x, y)
    return flow


def test_whole_pixels_are_moved_without_a_change(texture):
    flow = even_flow(96, 128, 3, -2)
    result = moved(texture, flow)
    assert np.array_equal(result[2:, :-3], texture[:-2, 3:])
    assert inside(flow)[2:, :-3].all()
    assert not inside(flow)[:2].any() and not inside(flow)[:, -3:].any()


def test_a_flow_of_a_smaller_map_is_enlarged(texture):
    result = moved(texture, even_flow(48, 64, 2, 1))
    assert np.array_equal(result[:-2, :-4], texture[2:, 4:])


def test_flow_finds_a_shift_and_what_cannot_be_followed(texture):
    before, now = texture[:, :120], texture[:, 8:]  # everything moves to the left
    motion = FlowFinder().motion(grey(before), grey(now))
    followed = motion.flow[motion.followed]
    assert np.abs(np.median(followed, axis=0) - (8, 0)).max() < 0.1
    assert motion.share > 0.8
    assert not motion.followed[:, -7:].any()  # came in from the right
    other = np.random.default_rng(1).permutation(texture.reshape(-1, 3)).reshape(texture.shape)
    assert FlowFinder().motion(grey(texture), grey(other)).share < 0.25


@pytest.mark.parametrize(("height", "width"), [(10, 120), (10, 10), (1, 1)])
def test_flow_on_pictures_smaller_than_its_search_takes(texture, height, width):
    before, now = texture[:height, :width], texture[:height, 2 : width + 2]
    motion = FlowFinder().motion(grey(before), grey(now))
    assert motion.flow.shape == (height, width, 2) and motion.followed.shape == (height, width)
    if width == 120:
        assert np.abs(np.median(motion.flow, axis=(0, 1)) - (2, 0)).max() < 0.2


def test_grey_keeps_the_shape_within_its_limit():
    assert grey(np.zeros((300, 1200, 3), np.uint8)).shape == (128, 512)
    assert grey(np.zeros((30, 40, 3), np.uint8)).shape == (30, 40)
    assert grey(np.zeros((300, 1200, 3), np.uint8), None).shape == (300, 1200)


@pytest.mark.parametrize("move", MOVES)
def test_made_clips_move_as_they_say(move, texture):
    shots = list(make_clip(texture, move, frames=8, width=96, height=64))
    assert shots[0].motion is None
    error = WarpError()
    for before, now in pairwise(shots):
        error.add(before.rgb, now.rgb, now.motion)
        assert not np.array_equal(before.rgb, now.rgb)
    assert error.pairs == 7
    assert error.followed > 0.8
    assert error.mean < 1e-4  # of resampling: a level or two of 255


def test_a_made_clip_is_the_same_every_time_and_its_noise_is_as_strong_as_asked(texture):
    settings = {"frames": 2, "width": 96, "height": 64}
    first, second = (list(make_clip(texture, "pan", noise=3, **settings)) for _ in range(2))
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(first, second, strict=True))
    clean = list(make_clip(texture, "pan", **settings))
    assert 2 < (first[0].rgb.astype(int) - clean[0].rgb).std() < 3.5


def test_warp_error_is_zero_for_a_painting_that_follows_and_exact_for_one_that_does_not():
    rng = np.random.default_rng(0)
    painting = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    flow = even_flow(20, 24, 6, 0)
    motion = Motion(flow, inside(flow))
    before, now = painting[:, :24], painting[:, 6:]
    follows = WarpError()
    follows.add(before, now, motion)
    assert follows.mean == 0.0
    assert follows.followed == 18 / 24
    flickers = WarpError()
    brighter = np.minimum(now, 204) + np.uint8(51)  # by a fifth of the range
    flickers.add(np.minimum(before, 204), brighter, motion)
    assert flickers.mean == pytest.approx(0.2**2)
    stays = WarpError()
    stays.add(before, before, motion)
    expected = np.square((before[:, 6:].astype(float) - before[:, :18]) / 255).mean()
    assert stays.mean == pytest.approx(expected)


def test_nothing_followed_is_no_error_of_zero():
    error = WarpError()
    assert np.isnan(error.mean)
    still = np.zeros((4, 4, 3), np.uint8)
    error.add(still, still, Motion(even_flow(4, 4, 9, 0), np.zeros((4, 4), bool)))
    assert np.isnan(error.mean)
    assert error.followed == 0.0
