"""What a clip is made of."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the pixels of a frame were in the frame before.

    Attributes:
        flow: (h, w, 2) float32, how far to the right and how far down, in px of this map.
        followed: (h, w) bool, where the flow is known: inside the frame before, not hidden there.
    """

    flow: Floats
    followed: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """The share of pixels that are followed; next to none are across a scene cut."""
        return float(self.followed.mean())


@dataclass(eq=False)
class Frame:
    """One frame on its way through a run.

    Attributes:
        rgb: (H, W, 3) uint8, upright: BT.709 or whatever the clip's own SDR colours are.
        pts: when it is shown, in units of a time base: the clip's, or the result's.
        duration: in the same units.
        time_s: when it is shown in the clip, whose beginning is 0.
        alpha: (H, W) uint8, of an animated picture; None is opaque.
        grey: the picture for the flow to the next frame; None where no flow is wanted.
        motion: from the frame before; None where nothing can be followed, as after a scene cut.
    """

    rgb: Picture
    pts: int
    duration: int
    time_s: Fraction
    alpha: Picture | None = None
    grey: Picture | None = None
    motion: Motion | None = None
