"""What the loss network sees of a picture, and how much of a photo and a painting is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from impasto.data.crops import to_unit_tensor
from impasto.errors import ImageError
from impasto.evaluation.pixels import Picture, fitted, resize_longer_side
from impasto.losses import LossNetwork, gram_matrix
from impasto.losses.layers import SMALLEST_SIDE_PX, STYLE_LAYERS
from impasto.losses.style_targets import Grams

CONTENT_LAYER: Final = "relu3_3"
PHOTO_PX = 512
PAINTING_PX = 384
SCALES: Final = (1, 2, 4)
"""What photos and paintings are measured at: their size divided by these."""


@dataclass(frozen=True)
class Seen:
    """What the loss network sees of a picture at three scales.

    Attributes:
        grams: ``(1, C, C)`` Gram matrices of the style layers, by scale and layer.
        content: ``(1, C, h, w)`` maps of relu3_3 by scale, float16 to save memory.
    """

    grams: Mapping[int, Grams]
    content: Mapping[int, Tensor]


def see_photo(loss_network: LossNetwork, rgb: Picture, like: Picture | None = None) -> Seen:
    """Looks at a photo, or at its result, at 512, 256 and 128 px: once per size.

    Args:
        loss_network: VGG-16.
        rgb: ``(H, W, 3)`` uint8.
        like: the photo whose result it is, so that their sizes agree at every scale.

    Raises:
        ImageError: it is too narrow for the loss network, or no result of that photo.
    """
    grams, content = {}, {}
    for scale in SCALES:
        small = resize_longer_side(rgb if like is None else like, PHOTO_PX // scale)
        if like is not None:
            small = fitted(rgb, small)
        features = layer_maps(loss_network, small, "a photo")
        grams[scale] = style_grams(features)
        content[scale] = features[CONTENT_LAYER].half()
    return Seen(grams, content)


def see_painting(loss_network: LossNetwork, rgb: Picture) -> dict[int, Grams]:
    """Returns the Gram matrices of a painting at 384, 192 and 96 px, by scale and layer.

    Raises:
        ImageError: the painting, ``(H, W, 3)`` uint8, is too narrow for the loss network.
    """
    sizes = {scale: resize_longer_side(rgb, PAINTING_PX // scale) for scale in SCALES}
    return {
        scale: style_grams(layer_maps(loss_network, small, "the painting"))
        for scale, small in sizes.items()
    }


@torch.no_grad()
def layer_maps(
    loss_network: LossNetwork, rgb: Picture, name: str = "the picture"
) -> dict[str, Tensor]:
    """Returns the maps of the content layer and the style layers, ``(1, C, h, w)`` by layer.

    Raises:
        ImageError: the picture, called ``name``, is too narrow for the loss network.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < SMALLEST_SIDE_PX:
        raise ImageError(
            f"{name} is too narrow to be measured: at the smallest size it has {width}x{height} "
            f"px, and both sides must be at least {SMALLEST_SIDE_PX} px"
        )
    maps: dict[str, Tensor] = loss_network(
        to_unit_tensor(rgb)[None], {CONTENT_LAYER, *STYLE_LAYERS}
    )
    return maps


def style_grams(maps: Mapping[str, Tensor]) -> Grams:
    """Returns the ``(1, C, C)`` Gram matrices of the style layers."""
    return {layer: gram_matrix(maps[layer]) for layer in STYLE_LAYERS}


def gram_distances(grams: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> list[float]:
    """Returns the squared Frobenius norm of the difference at each style layer."""
    return [(grams[layer] - target[layer]).square().sum().item() for layer in STYLE_LAYERS]


def balanced_ratios(result: Seen, photo: Seen, painting: Mapping[int, Grams]) -> tuple[float, ...]:
    """Measures how far a result is from the painting, at each scale; the mean is *painted*.

    Per scale ``s`` it is the mean over the style layers of ``||G(result) - G(painting)||_F^2 /
    ||G(photo) - G(painting)||_F^2``, with the pictures at ``512/s`` and the painting, as from
    `see_painting`, at ``384/s`` px. 0 is the painting's texture, 1 the photo's.
    """
    ratios = []
    for scale in SCALES:
        after = gram_distances(result.grams[scale], painting[scale])
        before = gram_distances(photo.grams[scale], painting[scale])
        ratios.append(float(np.mean(np.divide(after, before))))
    return tuple(ratios)


def correlations(result: Seen, photo: Seen) -> tuple[float, ...]:
    """Measures how much of the photo is left, at each scale; the mean is *kept*.

    It is the correlation of the maps of relu3_3, each channel's mean removed; 1 is the photo.
    """
    return tuple(correlation(result.content[scale], photo.content[scale]) for scale in SCALES)


def correlation(a: Tensor, b: Tensor, where: Tensor | None = None) -> float:
    """Returns the correlation of two maps, ``(1, C, h, w)``, each channel's mean removed.

    If ``where`` is given, ``(h, w)`` boolean, only these places count; the means are still those
    of the whole maps.
    """
    # Sums over two million values need more than float32.
    centred = (x.double() - x.double().mean(dim=(2, 3), keepdim=True) for x in (a, b))
    first, second = ((x if where is None else x[..., where]).flatten() for x in centred)
    return torch.nn.functional.cosine_similarity(first, second, dim=0).item()
