"""Quality of a style at a single scale: the catalogue's scores, and how steadily it paints.

`measure_style` measures at three scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from impasto.errors import ImageError, UsageError
from impasto.evaluation.features import (
    CONTENT_LAYER,
    PAINTING_PX,
    PHOTO_PX,
    correlation,
    gram_distances,
    layer_maps,
    style_grams,
)
from impasto.evaluation.pixels import Picture, resize_longer_side
from impasto.losses import LossNetwork

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Scores = TypeVar("Scores", bound="DataclassInstance")

# The movement of a photo, and its noise, that a steady style ignores.
ROTATION_DEG: Final = 1.0
ZOOM: Final = 1.01
SHIFT_PX: Final = (5.3, -3.7)
NOISE_LEVELS: Final = 4.0
# Rotation and zoom move the corners of a photo of 512 px by less than this.
MARGIN_PX: Final = 24


@dataclass(frozen=True)
class StyleScores:
    """Scores of one result, or plain means over several.

    Attributes:
        content: mean squared difference of the relu3_3 maps of photo and result, 0..255
            scale. It alone proves little: a constant map is about as far away.
        correlation: correlation of the same maps, each channel's mean removed; says that
            the photo is still there.
        style_ratio: Gram distance to the painting summed over the style layers, divided by
            the same sum for the untouched photo.
        balanced_ratio: mean over the layers of each layer's ratio: all count alike.
        lattice_2: deviation of the four phase means of a 2x2 grid, in grey levels.
        lattice_4: the same for a 4x4 grid.
    """

    content: float
    correlation: float
    style_ratio: float
    balanced_ratio: float
    lattice_2: float
    lattice_4: float

    def to_dict(self) -> dict[str, float]:
        """Returns the scores by name."""
        return asdict(self)


def lattice(rgb: Picture, period_px: int) -> float:
    """Measures a grid: the standard deviation of the mean colours of a period's phases.

    Args:
        rgb: ``(H, W, 3)`` uint8.
        period_px: 2 finds checkerboards, 4 the grid of a x4 pixel shuffle.

    Returns:
        Grey levels of the worst channel. An untouched photo has about 0.2 at 4.
    """
    p = period_px
    means = [rgb[y::p, x::p].reshape(-1, 3).mean(axis=0) for y in range(p) for x in range(p)]
    return float(np.std(means, axis=0).max())


def score_style(
    stylize: Callable[[Picture], Picture],
    painting: Picture | Mapping[str, Tensor],
    photos: Iterable[Picture],
    *,
    loss_network: LossNetwork | None = None,
) -> list[StyleScores]:
    """Scores a style on photos.

    Photos are scaled to 512 px and the painting to 384 px on the longer side, as for every
    figure this project states.

    Args:
        stylize: maps an ``(H, W, 3)`` uint8 photo to its result of the same size.
        painting: ``(H, W, 3)`` uint8, or its Gram matrices at 384 px, ``(1, C, C)`` by layer.
        photos: ``(H, W, 3)`` uint8 each.
        loss_network: VGG-16; None is the shipped one.
    """
    network = loss_network or LossNetwork()
    if isinstance(painting, Mapping):
        target = painting
    else:
        target = style_grams(layer_maps(network, resize_longer_side(painting, PAINTING_PX)))
    scores = []
    for photo in photos:
        small = resize_longer_side(photo, PHOTO_PX)
        result = stylize(small)
        before, after = layer_maps(network, small), layer_maps(network, result)
        painted, plain = (gram_distances(style_grams(maps), target) for maps in (after, before))
        ratios = [a / b for a, b in zip(painted, plain, strict=True)]
        a, b = after[CONTENT_LAYER], before[CONTENT_LAYER]
        scores.append(
            StyleScores(
                content=(a - b).square().mean().item(),
                correlation=correlation(a, b),
                style_ratio=sum(painted) / sum(plain),
                balanced_ratio=sum(ratios) / len(ratios),
                lattice_2=lattice(result, 2),
                lattice_4=lattice(result, 4),
            )
        )
    return scores


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Returns plain means, of PSNR in dB as in the literature; `UsageError` for none."""
    if not scores:
        raise UsageError("there are no photos to score")
    kind = type(scores[0])
    names = [item.name for item in fields(kind)]
    return kind(**{name: float(np.mean([getattr(one, name) for one in scores])) for name in names})


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
