"""What a clip is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from impasto.video.flow import Motion

Picture: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(eq=False)
class Frame:
    """One frame on its way through a run.

    Attributes:
        rgb: (H, W, 3) uint8, upright: BT.709 or whatever the clip's own SDR colours are.
        pts: when it is shown, in units of a time base: the clip's, or the result's.
        duration: for how long, likewise.
        time_s: when it is shown in the clip, whose beginning is 0.
        alpha: (H, W) uint8, of an animated picture; None is opaque.
        grey: what flow to the next frame is found on; None where none is looked for.
        motion: from the frame before; None where there is none to follow, as after a scene cut.
        averages: what the model remembers after this frame, by what it painted.
    """

    rgb: Picture
    pts: int
    duration: int
    time_s: Fraction
    alpha: Picture | None = None
    grey: Picture | None = None
    motion: Motion | None = None
    averages: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
