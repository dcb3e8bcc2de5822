"""Keeping a painting steady: what was painted one frame ago is carried along with the motion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np

from impasto.video.flow import FLOW_PX, FlowFinder, grey, moved
from impasto.video.frames import Floats, Frame, Picture

# A cut follows next to nothing; a pan of a twentieth of the width per frame follows nine tenths.
CUT_SHARE: Final = 0.25
# The share of the frame before comes in over so many pixels of the flow's map.
_SOFT_PX: Final = 5
# Blurs that part the bands in which a mixture gets back the contrast that it lost.
_BANDS_PX: Final = (1.1, 2.5)
_MOST_GAIN: Final = 2.0
_NO_ENERGY: Final = 1e-3


MODES: Final[dict[str, float | None]] = {"off": None, "light": 0.33, "strong": 0.7}
"""The share of the painting before in this one, where it can be followed, by name."""


def followed(
    frames: Iterable[Frame], before: Picture | None = None, *, longer_side_px: int | None = FLOW_PX
) -> Iterator[Frame]:
    """Finds the motion between frames, and scene cuts, where it is None.

    Args:
        frames: of one clip, in their order.
        before: `grey` of the frame before the first one, if there is one.
        longer_side_px: as for `grey`.

    Yields:
        The same frames, with ``grey`` and ``motion``.
    """
    finder = FlowFinder()
    for frame in frames:
        frame.grey = grey(frame.rgb, longer_side_px)
        if before is not None and before.shape == frame.grey.shape:
            motion = finder.motion(before, frame.grey)
            frame.motion = motion if motion.share >= CUT_SHARE else None
        before = frame.grey
        yield frame


class Carrier:
    """Mixes each painting with the one before, moved to where things are now.

    Mixing averages away what flickers, which is the finest of the strokes. What is given on has
    the strokes of the mixture, made as strong as those of the painting, band by band.

    Attributes:
        mixture: the last one, (H, W, 3) float32 in levels of 255; None before the first frame.
    """

    def __init__(self, kept: float, mixture: Floats | None = None) -> None:
        """Begins a clip, or goes on after a mixture; ``kept`` is 0 to below 1."""
        self._kept, self.mixture = kept, mixture

    def carry(self, frame: Frame) -> None:
        """Replaces a painted frame by its mixture with the one before."""
        painted = frame.rgb.astype(np.float32)
        motion, before = frame.motion, self.mixture
        if motion is None or before is None or before.shape != painted.shape:
            self.mixture = painted
            return
        trust = cv2.erode(motion.followed.astype(np.float32), np.ones((3, 3)))
        trust = cv2.blur(trust, (_SOFT_PX, _SOFT_PX)) * np.float32(self._kept)
        height, width = painted.shape[:2]
        trust = cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR)
        mixture: Floats = cv2.blendLinear(moved(before, motion.flow), painted, trust, 1 - trust)
        self.mixture = np.clip(mixture, 0.0, 255.0, out=mixture)
        frame.rgb = _as_strong(mixture, frame.rgb)


def _as_strong(mixture: Floats, painted: Picture) -> Picture:
    """Gives a mixture the contrast of a painting in each of a few bands of fineness."""
    result = mixture
    for sigma_px in _BANDS_PX:
        coarse, wanted = (cv2.GaussianBlur(x, (0, 0), sigma_px) for x in (mixture, painted))
        # Norms of differences, squared: the energies of the bands, times the number of values.
        energies = [
            cv2.norm(fine, blurred, cv2.NORM_L2SQR) / fine.size
            for fine, blurred in ((painted, wanted), (mixture, coarse))
        ]
        gain = math.sqrt(energies[0] / max(energies[1], _NO_ENERGY))
        more = min(max(gain, 1.0), _MOST_GAIN) - 1.0
        result = cv2.addWeighted(result, 1.0, mixture, more, 0.0)
        result = cv2.addWeighted(result, 1.0, coarse, -more, 0.0)
        mixture, painted = coarse, wanted
    levels: Picture = cv2.convertScaleAbs(cv2.max(result, 0.0))
    return levels
