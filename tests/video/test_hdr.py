"""Tone mapping, against values worked out by hand from BT.2100, BT.2390 and BT.2087."""

import numpy as np
import pytest

from impasto.video.hdr import HLG, PQ, hlg_scene_light, pq_light, pq_signal, roll_off, tone_map


def grey(signal):
    return np.full((1, 1, 3), round(signal * 65535), np.uint16)


@pytest.mark.parametrize(
    ("signal", "light"), [(0.0, 0.0), (0.5, 1 / 12), (0.75, 0.26496), (1.0, 1.0)]
)
def test_hlg_of_bt2100(signal, light):
    assert hlg_scene_light(np.array(signal)) == pytest.approx(light, abs=2e-5)


@pytest.mark.parametrize(
    ("nits", "signal"), [(0, 0.0), (100, 0.5081), (203, 0.5807), (1000, 0.7518), (10_000, 1.0)]
)
def test_pq_of_bt2100(nits, signal):
    assert pq_signal(np.array(float(nits))) == pytest.approx(signal, abs=1e-4)
    assert pq_light(np.array(signal)) == pytest.approx(nits, rel=2e-3, abs=1e-3)


def test_highlights_roll_off_and_the_rest_stays():
    nits = np.array([0, 1, 50, 100, 203, 600, 1000, 4000], np.float32)
    bent = roll_off(nits)
    assert bent[:3] == pytest.approx(nits[:3], rel=1e-3)
    assert (np.diff(bent[:7]) > 0).all()
    assert bent[-2:] == pytest.approx(203, rel=1e-3)
    # BT.2390 for 203 nits of 1000: knee 0.6586, t 1/3, so 0.7386 of PQ's 0.7518: 159 nits.
    assert bent[4] == pytest.approx(159.04, abs=0.1)


@pytest.mark.parametrize(("transfer", "signal"), [(HLG, 0.75), (PQ, 0.5807)], ids=["HLG", "PQ"])
def test_the_white_of_paper_is_bright_and_not_washed_out(transfer, signal):
    # 203 nits become 159 of 203, and BT.1886 makes (159 / 203) ** (1 / 2.4) = 0.903 of that.
    level = tone_map(grey(signal), transfer)[0, 0].astype(int)
    assert level == pytest.approx([230] * 3, abs=1)
    assert tone_map(grey(1.0), transfer)[0, 0].tolist() == [255] * 3
    assert tone_map(grey(0.0), transfer)[0, 0].tolist() == [0] * 3


def test_grey_stays_grey_and_primaries_are_those_of_bt709():
    levels = tone_map(np.linspace(0, 65535, 300).astype(np.uint16).repeat(3).reshape(300, 1, 3), PQ)
    assert (np.ptp(levels, axis=-1) <= 1).all()
    assert (np.diff(levels[:, 0, 0].astype(int)) >= 0).all()
    # BT.709's green at 50 nits, in BT.2020's primaries: 0.3293, 0.9195 and 0.0880 of it.
    signal = pq_signal(50 * np.array([0.3293, 0.9195, 0.0880]))
    rgb = tone_map(np.rint(signal * 65535).astype(np.uint16)[None, None], PQ)[0, 0].astype(int)
    green = 255 * (50 / 203) ** (1 / 2.4)
    assert rgb == pytest.approx([0, green, 0], abs=6)
