"""Steadiness: less flicker, the same strokes, nothing across a cut."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from impasto.video.frames import Frame
from impasto.video.measuring import WarpError, make_clip
from impasto.video.steadiness import Carrier, followed


@pytest.fixture(scope="module")
def shots():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    photo = np.asarray(Image.fromarray(coarse).resize((192, 144), Image.Resampling.BICUBIC))
    return list(make_clip(photo, "pan", frames=8, width=96, height=72))


def frames_of(pictures):
    return [Frame(rgb, number, 1, Fraction(number, 25)) for number, rgb in enumerate(pictures)]


def painted(shots, kept):
    """Strokes that are drawn anew in every frame, kept steady; returns results and paintings."""
    rng = np.random.default_rng(1)
    carrier = Carrier(kept)
    results, paintings = [], []
    for frame in followed(frames_of(shot.rgb for shot in shots)):
        strokes = rng.normal(0, 20, frame.rgb.shape)
        frame.rgb = np.clip(frame.rgb * 0.5 + 64 + strokes, 0, 255).astype(np.uint8)
        paintings.append(frame.rgb)
        carrier.carry(frame)
        results.append(frame.rgb)
    return results, paintings


def error_of(results, shots):
    error = WarpError()
    for number in range(2, len(shots)):
        error.add(results[number - 1], results[number], shots[number].motion)
    return error.mean


def fineness(rgb):
    return np.diff(rgb.astype(float), axis=1).std()


def test_a_part_of_the_painting_before_lowers_the_error_and_leaves_the_strokes(shots):
    none, paintings = painted(shots, 0.0)
    some, _ = painted(shots, 0.4)
    assert all(np.array_equal(a, b) for a, b in zip(none, paintings, strict=True))
    assert error_of(some, shots) < 0.7 * error_of(none, shots)
    assert fineness(some[-1]) > 0.9 * fineness(paintings[-1])
    most, _ = painted(shots, 0.8)
    assert error_of(most, shots) < 0.5 * error_of(some, shots)


def test_a_scene_cut_is_found_and_nothing_is_carried_across(shots):
    other = [255 - np.rot90(shot.rgb, 2) for shot in shots[:2]]
    frames = list(followed(frames_of([shots[0].rgb, shots[1].rgb, *other])))
    assert [frame.motion is None for frame in frames] == [True, False, True, False]
    carrier = Carrier(0.8)
    for frame in frames[:2]:
        carrier.carry(frame)
    before = frames[2].rgb.copy()
    carrier.carry(frames[2])
    assert np.array_equal(frames[2].rgb, before)


def test_a_still_picture_stays_as_it_is(shots):
    carrier = Carrier(0.8)
    for frame in followed(frames_of([shots[0].rgb] * 4)):
        carrier.carry(frame)
        assert np.array_equal(frame.rgb, shots[0].rgb)


def test_frames_that_change_their_size_begin_anew(shots):
    half = np.ascontiguousarray(shots[1].rgb[::2, ::2])
    frames = list(followed(frames_of([shots[0].rgb, half])))
    assert frames[1].motion is None
