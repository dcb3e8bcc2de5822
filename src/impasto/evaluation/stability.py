"""How steadily a style paints: what flickers when a photo moves a little and gets noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import ImageError, UsageError
from impasto.evaluation.quality import PHOTO_PX, resize_longer_side

Picture = NDArray[np.uint8]

ROTATION_DEG: Final = 1.0
ZOOM: Final = 1.01
SHIFT_PX: Final = (5.3, -3.7)
NOISE_LEVELS: Final = 4.0
# Rotation and zoom move the corners of a photo of 512 px by less than this.
MARGIN_PX: Final = 24


def warp_error(stylize: Callable[[Picture], Picture], photos: Iterable[Picture]) -> float:
    """Compares the painting of a warped, noisy photo with the warped painting.

    The warp is a small rotation, zoom and shift, as between two frames of a hand-held camera;
    photos are scaled to 512 px on the longer side.

    Args:
        stylize: maps ``(H, W, 3)`` uint8 to the same shape.
        photos: ``(H, W, 3)`` uint8 each, at most ten times as long as wide.

    Returns:
        Mean absolute difference in grey levels, a plain mean over the photos. An untouched
        photo has about 3, from the noise.

    Raises:
        UsageError: there are no photos.
        ImageError: a photo is so narrow that nothing is left inside the margin.
    """
    errors = []
    for number, photo in enumerate(photos):
        scaled = resize_longer_side(photo, PHOTO_PX)
        height, width = scaled.shape[:2]
        if min(height, width) <= 2 * MARGIN_PX:
            raise ImageError(
                f"photo {number + 1} is {width}x{height} px when it is scaled; both sides must be "
                f"above {2 * MARGIN_PX} px"
            )
        noise = np.random.default_rng(number).normal(0, NOISE_LEVELS, scaled.shape)
        moved = np.clip(np.rint(warp(scaled) + noise), 0, 255).astype(np.uint8)
        difference = stylize(moved).astype(int) - warp(stylize(scaled))
        inner = difference[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
        errors.append(float(np.abs(inner).mean()))
    if not errors:
        raise UsageError("there are no photos to score")
    return float(np.mean(errors))


def warp(rgb: Picture) -> Picture:
    """Rotates, zooms and shifts a picture around its middle, by a bicubic filter."""
    height, width = rgb.shape[:2]
    angle = math.radians(ROTATION_DEG)
    cos, sin = math.cos(angle) / ZOOM, math.sin(angle) / ZOOM
    x, y = width / 2, height / 2
    # Pillow asks where each pixel of the result comes from.
    coefficients = (
        *(cos, sin, x - cos * x - sin * y + SHIFT_PX[0]),
        *(-sin, cos, y + sin * x - cos * y + SHIFT_PX[1]),
    )
    image = Image.fromarray(rgb).transform(
        (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
    )
    return np.asarray(image)
