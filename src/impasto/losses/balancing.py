"""Loss weights from untouched photos, so that one dial means the same for any painting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.errors import TrainingError
from impasto.losses.functional import gram_matrix, style_reconstruction_loss
from impasto.losses.loss_network import LossNetwork


@dataclass(frozen=True)
class References:
    """What the terms of the loss are divided by.

    Attributes:
        content: mean squared features of the content layer over photos.
        style: per style layer and parameter set, the squared Frobenius distance from the
            photos' Gram matrices to the painting's.
    """

    content: float
    style: dict[str, list[float]]


@torch.no_grad()
def measure_references(
    loss_network: LossNetwork,
    photos: list[Tensor],
    style_targets: Mapping[str, Tensor],
    content_layer: str,
) -> References:
    """Measures the references on untouched photos, as plain means over them.

    Args:
        loss_network: the loss network.
        photos: ``(3, H, W)`` crops, RGB in [0, 1].
        style_targets: ``(sets, C, C)`` Gram matrices of the paintings by layer.
        content_layer: the content layer's name.

    Raises:
        TrainingError: a painting's statistics equal the photos', so nothing can be learned.
    """
    content = 0.0
    style = {layer: [0.0] * len(targets) for layer, targets in style_targets.items()}
    for batch in torch.stack(photos).split(8):  # type: ignore[no-untyped-call]
        share = len(batch) / len(photos)
        features = loss_network(batch, {content_layer, *style_targets})
        content += features[content_layer].float().square().mean().item() * share
        for layer, targets in style_targets.items():
            gram = gram_matrix(features[layer])
            for number, target in enumerate(targets):
                distance = style_reconstruction_loss(gram, target)
                style[layer][number] += distance.item() * share
    if content <= 0 or min(min(values) for values in style.values()) <= 0:
        raise TrainingError("the photos and a painting look the same to the loss network")
    return References(content, style)


def balanced_weights(
    references: References, style_scales: Sequence[float]
) -> tuple[float, dict[str, list[float]]]:
    """Turns references and one strength per parameter set into weights.

    ``loss = content / reference + style_scale * mean over layers of style / reference``.

    Returns:
        The content weight, and each layer's style weight per parameter set, for summed squares.
    """
    layers = references.style
    return 1.0 / references.content, {
        layer: [
            scale / (len(layers) * value) for scale, value in zip(style_scales, values, strict=True)
        ]
        for layer, values in layers.items()
    }
