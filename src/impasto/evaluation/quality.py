"""Quality of a style: is the photo still there, is the painting there, is there a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from impasto.errors import UsageError
from impasto.losses import LossNetwork, gram_matrix
from impasto.losses.layers import STYLE_LAYERS

CONTENT_LAYER = "relu3_3"
PHOTO_PX = 512
PAINTING_PX = 384

Picture = NDArray[np.uint8]


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
        balanced_ratio: mean over the layers of each layer's ratio; the main style score.
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
        else _grams(network, resize_longer_side(painting, PAINTING_PX))
    )
    scores = []
    for photo in photos:
        small = resize_longer_side(photo, PHOTO_PX)
        scores.append(_score(network, target, small, stylize(small)))
    return scores


def mean_scores(scores: list[StyleScores]) -> StyleScores:
    """Returns plain means over photos.

    Raises:
        UsageError: there are none.
    """
    if not scores:
        raise UsageError("there are no photos to score")
    return StyleScores(
        **{
            item.name: float(np.mean([getattr(score, item.name) for score in scores]))
            for item in fields(StyleScores)
        }
    )


def resize_longer_side(rgb: Picture, longer_side_px: int) -> Picture:
    """Scales ``(H, W, 3)`` uint8 so that its longer side has the given length."""
    height, width = rgb.shape[:2]
    scale = longer_side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


@torch.no_grad()
def _features(network: LossNetwork, rgb: Picture) -> dict[str, Tensor]:
    images = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255
    features: dict[str, Tensor] = network(images, {CONTENT_LAYER, *STYLE_LAYERS})
    return features


def _grams(network: LossNetwork, rgb: Picture) -> dict[str, Tensor]:
    features = _features(network, rgb)
    return {layer: gram_matrix(features[layer]) for layer in STYLE_LAYERS}


def _score(
    network: LossNetwork, target: dict[str, Tensor], photo: Picture, result: Picture
) -> StyleScores:
    before, after = _features(network, photo), _features(network, result)
    distances = {
        layer: (
            _distance(gram_matrix(after[layer]), target[layer]),
            _distance(gram_matrix(before[layer]), target[layer]),
        )
        for layer in STYLE_LAYERS
    }
    a, b = after[CONTENT_LAYER], before[CONTENT_LAYER]
    # Sums over two million values need more than float32.
    a_centred, b_centred = (
        (x - x.mean(dim=(2, 3), keepdim=True)).flatten().double() for x in (a, b)
    )
    correlation = torch.nn.functional.cosine_similarity(a_centred, b_centred, dim=0)
    return StyleScores(
        content=(a - b).square().mean().item(),
        correlation=correlation.item(),
        style_ratio=sum(d[0] for d in distances.values()) / sum(d[1] for d in distances.values()),
        balanced_ratio=sum(d[0] / d[1] for d in distances.values()) / len(distances),
        lattice_2=lattice(result, 2),
        lattice_4=lattice(result, 4),
    )


def _distance(gram: Tensor, target: Tensor) -> float:
    return (gram - target).square().sum().item()
