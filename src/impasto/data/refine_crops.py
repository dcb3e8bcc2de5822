"""Samples for the refine network: one part of a photo at the sizes of two steps."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto.data.crops import PhotoSamples, cut, to_unit_tensor
from impasto.data.ratios import MIDDLE_RATIO, RATIOS
from impasto.data.sources import PhotoSource, decode_photo
from impasto.errors import DataError

_MOST_IN_ONE_STEP: Final = 2.0


class RefineSample(NamedTuple):
    """A square part of a photo.

    Attributes:
        low: ``(3, side, side)`` at the size of the draft.
        middle: ``(3, m, m)`` at the size between two steps.
        window: ``(3, w, w)`` of the part at its full size, with the refine network's border.
        place: number of the ratio, top and left of the window, steps: 1 or 2.
    """

    low: Tensor
    middle: Tensor
    window: Tensor
    place: Tensor


class RefineCrops(PhotoSamples[RefineSample]):
    """Random parts of photos, each at the size of a draft and at a larger one.

    Args:
        source: the photos.
        side_px: height and width of the draft.
        window_px: of the window at the larger size, its border included; at most 1.2 sides.
        seed: 0 or more.
    """

    def __init__(self, source: PhotoSource, side_px: int, window_px: int, *, seed: int) -> None:
        super().__init__(source, seed=seed)
        self.side_px = side_px
        self.window_px = window_px

    def draw(self, data: bytes, rng: np.random.Generator) -> RefineSample:
        """Cuts a part from one encoded photo, or raises `DataError`."""
        side = self.side_px
        pixels = decode_photo(data, 4 * side)
        short_side = min(pixels.shape[:2])
        possible = [number for number, ratio in enumerate(RATIOS) if ratio * side <= short_side]
        if not possible:
            raise DataError(
                f"{pixels.shape[1]}x{pixels.shape[0]} px is below the {RATIOS[0] * side:.0f} px "
                "that the refine network needs (--refine-share 0 leaves it out)"
            )
        number = int(rng.choice(possible))
        full = round(side * RATIOS[number])
        scale = rng.uniform(1, min(short_side / full, 2))
        part = cut(pixels, (full, full), scale, rng)
        if rng.random() < 0.5:
            part = part[:, ::-1]
        top, left = rng.integers(0, full - self.window_px + 1, 2)
        window = part[top : top + self.window_px, left : left + self.window_px]
        steps = 1 + (RATIOS[number] >= _MOST_IN_ONE_STEP + (rng.random() < 0.5) * 1e-9)
        image = Image.fromarray(part)
        return RefineSample(
            to_unit_tensor(np.asarray(_shrunk(image, side))),
            to_unit_tensor(np.asarray(_shrunk(image, round(side * MIDDLE_RATIO)))),
            to_unit_tensor(window),
            torch.tensor([number, int(top), int(left), steps]),
        )


def _shrunk(image: Image.Image, side_px: int) -> Image.Image:
    return image.resize((side_px, side_px), Image.Resampling.LANCZOS)
