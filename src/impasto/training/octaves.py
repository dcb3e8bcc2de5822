"""The loss of a draft: the perceptual loss at several sizes of the result.

One size is not enough: fine hatching alone satisfies a style loss at full size. Each octave halves
result, photo and painting, so that strokes of every size count alike. At full size, where most of
the time would go, only a part of each crop is compared, another one at every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.losses import LossNetwork, PerceptualLoss
from impasto.losses.balancing import References, balanced_weights, measure_references


class StyleLevel(NamedTuple):
    """What results of one size are compared with.

    Attributes:
        targets: ``(sets, C, C)`` Gram matrices of the paintings by layer.
        weights: ``(sets,)`` weights of the style loss by layer.
        content_weight: weight of the content loss.
        references: what the weights were balanced by; None for weights that were given.
        usual: ``(sets,)`` of these, the style loss of untouched photos by layer.
    """

    targets: dict[str, Tensor]
    weights: dict[str, Tensor]
    content_weight: float
    references: References | None = None
    usual: dict[str, Tensor] | None = None


def measured_together(
    loss_network: LossNetwork,
    targets: Sequence[Mapping[str, Tensor]],
    photos: list[Tensor],
    content_layer: str,
) -> list[References]:
    """Measures the references of several levels on the same photos in one pass.

    Args:
        loss_network: VGG-16.
        targets: for each level ``(sets, C, C)`` Gram matrices by layer.
        photos: ``(3, H, W)`` photos at the size that the levels have in common.
        content_layer: where content is compared.
    """
    found = measure_references(loss_network, photos, stacked(targets), content_layer)
    sets = len(next(iter(targets[0].values())))
    return [
        References(
            found.content,
            {layer: values[first : first + sets] for layer, values in found.style.items()},
        )
        for first in range(0, sets * len(targets), sets)
    ]


def balanced_level(
    targets: dict[str, Tensor], references: References, *, content_weight: float = 1.0
) -> StyleLevel:
    """Weighs the losses so that an untouched photo has a content loss and a style loss of 1.

    Args:
        targets: ``(sets, C, C)`` Gram matrices by layer.
        references: of the level.
        content_weight: of the content in place of 1.
    """
    some = next(iter(targets.values()))
    content, weights = balanced_weights(references, [1.0] * len(some))
    return StyleLevel(
        targets,
        {layer: torch.tensor(values, device=some.device) for layer, values in weights.items()},
        content_weight * content,
        references,
        {
            layer: torch.tensor(values, device=some.device)
            for layer, values in references.style.items()
        },
    )


def with_identity(level: StyleLevel) -> StyleLevel:
    """Adds a set of style weight zero, whatever its target."""
    return level._replace(
        targets={layer: F.pad(gram, (0, 0, 0, 0, 0, 1)) for layer, gram in level.targets.items()},
        weights={layer: F.pad(weight, (0, 1)) for layer, weight in level.weights.items()},
        usual=level.usual
        and {layer: F.pad(value, (0, 1), value=1.0) for layer, value in level.usual.items()},
    )


class OctaveLoss:
    """Content and style at one size or several.

    Args:
        loss: the perceptual loss.
        levels: one per octave, the full size first.
        window_px: side of what is compared at full size; None is all.
        seed: what the places of the windows follow from, with the number of the batch.
    """

    def __init__(
        self,
        loss: PerceptualLoss,
        levels: Sequence[StyleLevel],
        *,
        window_px: int | None,
        seed: int,
    ) -> None:
        self.loss = loss
        self.levels = list(levels)
        self.window_px = window_px
        self.seed = seed

    def __call__(
        self, output: Tensor, images: Tensor, sets: Tensor, scales: Tensor, number: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compares a batch.

        Args:
            output: ``(N, 3, H, W)`` RGB in [0, 1].
            images: ``(N, 3, H, W)`` RGB in [0, 1], the photos.
            sets: ``(N,)`` parameter sets of the batch.
            scales: ``(N,)`` strengths of its styles.
            number: of the batch's first sample; None compares whole pictures.

        Returns:
            Weighted content and style, scalars, and ``(N,)`` how much of each photo is kept.
        """
        content = style = output.new_zeros(())
        kept = output.new_zeros(len(output))
        for octave, level in enumerate(self.levels):
            found = self.loss.compare(
                self._view(output, octave, number),
                self._view(images, octave, number),
                {layer: gram[sets] for layer, gram in level.targets.items()},
                {layer: weight[sets] * scales for layer, weight in level.weights.items()},
                content_weight=level.content_weight,
                references=level.usual
                and {layer: value[sets] for layer, value in level.usual.items()},
            )
            content, style = content + found.content, style + found.style
            kept = kept + found.kept / len(self.levels)
        return content, style, kept

    def _view(self, images: Tensor, octave: int, number: int | None) -> Tensor:
        if octave:
            return halved(images, octave)
        if self.window_px is None or number is None:
            return images
        rng = np.random.default_rng([self.seed, number, 4])
        side = self.window_px
        top, left = (int(rng.integers(0, max(1, size - side + 1))) for size in images.shape[2:])
        return images[:, :, top : top + side, left : left + side]


def halved(images: Tensor, octave: int) -> Tensor:
    """Means of squares of ``2^octave`` pixels."""
    return F.avg_pool2d(images, 2**octave) if octave else images


def stacked(grams: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Joins Gram matrices, ``(N, C, C)`` each, by layer."""
    return {layer: torch.cat([gram[layer] for gram in grams]) for layer in grams[0]}
