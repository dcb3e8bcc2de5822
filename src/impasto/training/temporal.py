"""Stability: a photo that moves a little and gets noise is painted as before, moved.

Not in Johnson et al. 2016, whose networks flicker on video. The synthetic motion is a shift by
whole pixels, which needs no interpolation that would reward soft results; a shift that is no
multiple of the network's stride is what its results depend on most.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from impasto.losses.functional import pixel_loss

LARGEST_SHIFT_PX = 8
NOISE = 4 / 255
"""Standard deviation of the noise, that of an indoor photo."""
MARGIN_PX = 8
"""Border that is left out: there the two see different surroundings."""


def temporal_loss(
    paint: Callable[[Tensor], Tensor], images: Tensor, output: Tensor, *, seed: int, number: int
) -> Tensor:
    """Compares the painting of a moved, noisy photo with the moved painting.

    Args:
        paint: the network with the styles of the batch.
        images: ``(N, 3, H, W)`` photos, RGB in [0, 1], more than 32 px on each side.
        output: what ``paint`` made of them.
        seed: of the run.
        number: of the batch's first sample; motion and noise are a pure function of both.

    Returns:
        The mean squared difference on the 0..255 scale, a scalar.
    """
    rng = np.random.default_rng([seed, number, 3])
    rows, columns = (int(n) for n in rng.integers(-LARGEST_SHIFT_PX, LARGEST_SHIFT_PX + 1, 2))
    window = (..., _overlap(rows), _overlap(columns))
    noise = torch.from_numpy(rng.standard_normal(images[window].shape, np.float32)) * NOISE
    moved = paint((images[window] + noise.to(images.device)).clamp(0, 1))
    inner = (..., slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    return pixel_loss(moved[inner], output[window][inner])


def _overlap(shift: int) -> slice:
    """The part of a side that is still seen after a shift."""
    return slice(shift, None) if shift >= 0 else slice(None, shift)
