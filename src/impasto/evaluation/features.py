"""What the loss network sees of a picture, at one size and at three."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from impasto.errors import ImageError
from impasto.evaluation.pixels import Picture, fitted, resize_longer_side, to_tensor
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

    Args:
        loss_network: VGG-16.
        rgb: ``(H, W, 3)`` uint8.

    Raises:
        ImageError: it is too narrow for the loss network.
    """
    return {
        scale: style_grams(
            layer_maps(loss_network, resize_longer_side(rgb, PAINTING_PX // scale), "the painting")
        )
        for scale in SCALES
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
    maps: dict[str, Tensor] = loss_network(to_tensor(rgb), {CONTENT_LAYER, *STYLE_LAYERS})
    return maps


def style_grams(maps: Mapping[str, Tensor]) -> Grams:
    """Returns the ``(1, C, C)`` Gram matrices of the style layers."""
    return {layer: gram_matrix(maps[layer]) for layer in STYLE_LAYERS}


def gram_distance(gram: Tensor, target: Tensor) -> float:
    """Returns the squared Frobenius norm of a difference of Gram matrices."""
    return (gram - target).square().sum().item()


def correlation(a: Tensor, b: Tensor, where: Tensor | None = None) -> float:
    """Returns the correlation of two maps, each channel's mean removed.

    Args:
        a: ``(1, C, h, w)``.
        b: the same shape.
        where: ``(h, w)``, boolean: what counts; the means are still those of the whole maps.
    """
    # Sums over two million values need more than float32.
    centred = (x.double() - x.double().mean(dim=(2, 3), keepdim=True) for x in (a, b))
    first, second = ((x if where is None else x[..., where]).flatten() for x in centred)
    return torch.nn.functional.cosine_similarity(first, second, dim=0).item()
