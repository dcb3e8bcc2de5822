"""Pairs of low- and high-resolution patches of photos."""

from __future__ import annotations

from typing import Final

import numpy as np
from torch import Tensor

from impasto.data.crops import PhotoSamples, cut, to_unit_tensor
from impasto.data.degradation import MARGIN_PX, degrade
from impasto.data.degradation_names import Degradation
from impasto.data.sources import PhotoSource, decode_photo
from impasto.errors import DataError

LARGEST_SHRINK: Final = 2.0
"""Photos are shrunk by up to this much, which hides what JPEG and lenses did to them."""

DECODED_PX: Final = 640
"""A camera's photo is soft at its full size; its shorter side is decoded no larger than needed
to stay above this."""


class PatchPairs(PhotoSamples[tuple[Tensor, Tensor]]):
    """Random patches, ``(low_res, high_res)``, turned and mirrored.

    ``low_res`` is ``(3, patch_px / scale, patch_px / scale)``, ``high_res``
    ``(3, patch_px, patch_px)``, both float32 RGB in [0, 1]. A patch is degraded together with
    its surroundings, so that it looks as if the whole photo had been.

    Args:
        source: the photos.
        patch_px: height and width of a high-resolution patch, a multiple of ``scale``.
        scale: how many times smaller the low-resolution patch is.
        degradation: how it is made, as in `degrade`.
        seed: 0 or more.
    """

    def __init__(
        self,
        source: PhotoSource,
        patch_px: int,
        *,
        scale: int,
        degradation: Degradation,
        seed: int,
    ) -> None:
        super().__init__(source, seed=seed)
        self.patch_px = patch_px
        self.scale = scale
        self.degradation = degradation

    def draw(self, data: bytes, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Cuts a pair of patches from one encoded photo, or raises `DataError`."""
        pixels = decode_photo(data, DECODED_PX)
        margin = MARGIN_PX * self.scale
        side = self.patch_px + 2 * margin
        height, width = pixels.shape[:2]
        if min(height, width) < side:
            raise DataError(
                f"{width}x{height} px is below {side} px, a patch with {margin} px around it"
            )
        largest = min(LARGEST_SHRINK, min(height, width) / side)
        high_res = cut(pixels, (side, side), rng.uniform(1, largest), rng)
        high_res = np.rot90(high_res, int(rng.integers(4)))
        if rng.random() < 0.5:
            high_res = high_res[:, ::-1]
        low_res = degrade(high_res, self.scale, self.degradation, rng)
        return (
            to_unit_tensor(low_res[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]),
            to_unit_tensor(high_res[margin:-margin, margin:-margin]),
        )
