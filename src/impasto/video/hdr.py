"""From HDR video to SDR: HLG and PQ of ITU-R BT.2100, tone-mapped to BT.709.

Light is turned into what a display of the clip's peak shows, highlights are rolled off as ITU-R
BT.2390 does (section 5.4, on the brightest of R, G and B, so that hues stay), BT.2020's primaries
become BT.709's, and the inverse of BT.1886 makes levels of it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impasto.video.frames import Floats, Picture

PQ: Final = 16
"""FFmpeg's number of the transfer SMPTE ST 2084."""
HLG: Final = 18
"""FFmpeg's number of the transfer ARIB STD-B67."""

PEAK_NITS: Final = 1000.0
"""What HLG is made for, and most PQ video is mastered at; what is brighter is white."""
WHITE_NITS: Final = 203.0
"""HDR's white of paper (BT.2408), which becomes the brightest of SDR."""

_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_GAMMA: Final = 1.2
_DISPLAY_GAMMA: Final = 2.4
_LUMA_2020: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)
# BT.2087: linear light of BT.2020 in BT.709's primaries.
_TO_709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
_STRIP_ROWS: Final = 128


def tone_map(levels: NDArray[np.uint16], transfer: int) -> Picture:
    """Turns a frame of `HLG` or `PQ`, (H, W, 3) uint16 R'G'B' of BT.2020, into uint8 of BT.709."""
    result = np.empty(levels.shape, np.uint8)
    for top in range(0, len(levels), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        light = _light(transfer)[levels[rows]]
        if transfer == HLG:
            luma = light @ _LUMA_2020
            light *= (PEAK_NITS * luma ** (_HLG_GAMMA - 1))[..., None]
        brightest = light.max(axis=-1, keepdims=True)
        light *= roll_off(brightest) / np.maximum(brightest, np.float32(1e-6)) / WHITE_NITS
        shown = np.clip(light @ _TO_709.T, 0.0, 1.0) ** (1 / _DISPLAY_GAMMA)
        result[rows] = np.rint(shown * 255)
    return result


def pq_light(signal: NDArray[Any]) -> NDArray[Any]:
    """Returns nits for PQ's signal from 0 to 1 (BT.2100, table 4)."""
    power = signal ** (1 / _M2)
    nits: NDArray[Any] = (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return 10_000 * nits


def pq_signal(nits: NDArray[Any]) -> NDArray[Any]:
    """Returns PQ's signal from 0 to 1 for nits."""
    power = (nits / 10_000) ** _M1
    signal: NDArray[Any] = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return signal


def hlg_scene_light(signal: NDArray[Any]) -> NDArray[Any]:
    """Returns the scene's light from 0 to 1 for HLG's signal from 0 to 1 (BT.2100, table 5)."""
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)


def roll_off(nits: Floats) -> Floats:
    """Bends what is brighter than about half of white, so that the peak becomes white."""
    peak = pq_signal(np.array(PEAK_NITS))
    most = float(pq_signal(np.array(WHITE_NITS)) / peak)
    knee = 1.5 * most - 0.5
    signal = np.minimum(pq_signal(nits) / peak, 1.0)
    t = np.maximum(signal - knee, 0.0) / (1 - knee)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    return pq_light(np.where(signal < knee, signal, bent) * peak).astype(np.float32)


@cache
def _light(transfer: int) -> Floats:
    """Returns the light of each of the 65,536 levels."""
    signal = np.arange(1 << 16) / 65535
    light = hlg_scene_light(signal) if transfer == HLG else pq_light(signal)
    return light.astype(np.float32)
