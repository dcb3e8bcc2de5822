"""Quality of a style at a single scale: the catalogue's scores; `measure_style` has three."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from torch import Tensor

from impasto.errors import UsageError
from impasto.evaluation.features import (
    CONTENT_LAYER,
    PAINTING_PX,
    PHOTO_PX,
    correlation,
    gram_distance,
    layer_maps,
    style_grams,
)
from impasto.evaluation.pixels import Picture, resize_longer_side
from impasto.losses import LossNetwork

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Scores = TypeVar("Scores", bound="DataclassInstance")

__all__ = [
    "CONTENT_LAYER",
    "PAINTING_PX",
    "PHOTO_PX",
    "Picture",
    "StyleScores",
    "lattice",
    "mean_scores",
    "resize_longer_side",
    "score_style",
]


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
    """Measures a grid: the deviation of the mean colours of a period's phases.

    Args:
        rgb: ``(H, W, 3)`` uint8.
        period_px: 2 finds checkerboards, 4 the grid of a x4 pixel shuffle.

    Returns:
        Standard deviation over the ``period_px^2`` phases in grey levels, of the worst
        channel. An untouched photo has about 0.2 at 4.
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
        loss_network: VGG-16; the shipped one when omitted.

    Returns:
        The scores of each photo.
    """
    network = loss_network or LossNetwork()
    target = (
        dict(painting)
        if isinstance(painting, Mapping)
        else style_grams(layer_maps(network, resize_longer_side(painting, PAINTING_PX)))
    )
    scores = []
    for photo in photos:
        small = resize_longer_side(photo, PHOTO_PX)
        scores.append(_score(network, target, small, stylize(small)))
    return scores


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Returns plain means over pictures; that of PSNR is one of dB, as in the literature.

    Raises:
        UsageError: there are none.
    """
    if not scores:
        raise UsageError("there are no photos to score")
    kind = type(scores[0])
    names = [item.name for item in fields(kind)]
    return kind(**{name: float(np.mean([getattr(one, name) for one in scores])) for name in names})


def _score(
    network: LossNetwork, target: dict[str, Tensor], photo: Picture, result: Picture
) -> StyleScores:
    before, after = layer_maps(network, photo), layer_maps(network, result)
    grams, photo_grams = style_grams(after), style_grams(before)
    distances = {
        layer: (
            gram_distance(grams[layer], target[layer]),
            gram_distance(photo_grams[layer], target[layer]),
        )
        for layer in grams
    }
    a, b = after[CONTENT_LAYER], before[CONTENT_LAYER]
    return StyleScores(
        content=(a - b).square().mean().item(),
        correlation=correlation(a, b),
        style_ratio=sum(d[0] for d in distances.values()) / sum(d[1] for d in distances.values()),
        balanced_ratio=sum(d[0] / d[1] for d in distances.values()) / len(distances),
        lattice_2=lattice(result, 2),
        lattice_4=lattice(result, 4),
    )
