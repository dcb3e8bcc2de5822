"""What an optimisation minimises: the loss of training, of one picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.losses import (
    LossNetwork,
    feature_reconstruction_loss,
    gram_matrix,
    style_reconstruction_loss,
    total_variation_loss,
)
from impasto.losses.style_targets import Grams


@dataclass(frozen=True)
class ContentTerm:
    """Feature reconstruction at one layer, the paper's equation 2.

    Attributes:
        layer: the layer's name.
        target: ``(1, C, H', W')`` feature map of the content image.
        weight: of the mean squared difference.
    """

    layer: str
    target: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class StyleTerm:
    """Style reconstruction of one painting, the paper's equation 4.

    Attributes:
        grams: the painting's ``(1, C, C)`` Gram matrices, by layer.
        weights: of the squared Frobenius norms, by layer: these layers count.
    """

    grams: Grams
    weights: Mapping[str, float]


class ObjectiveTerms(NamedTuple):
    """The weighted terms, each a scalar, and their sum."""

    total: Tensor
    content: Tensor
    style: Tensor
    total_variation: Tensor


class ObjectiveValues(NamedTuple):
    """`ObjectiveTerms` as numbers."""

    total: float
    content: float
    style: float
    total_variation: float


class Objective:
    """Content + styles + total variation: the paper's equation 5, of one picture.

    The terms are those of `impasto.losses.PerceptualLoss`, without its lattice loss, which is
    no part of the paper. All targets are computed beforehand, so that an evaluation is one
    forward and one backward pass of the loss network.

    Args:
        loss_network: VGG-16.
        content: what the picture shall show; None leaves the term out.
        styles: what it shall look like.
        tv_weight: weight of the total variation.

    Raises:
        UsageError: the loss network has no such layer, or there is neither content nor style.
    """

    def __init__(
        self,
        loss_network: LossNetwork,
        *,
        content: ContentTerm | None = None,
        styles: Sequence[StyleTerm] = (),
        tv_weight: float = 0.0,
    ) -> None:
        self.loss_network = loss_network
        self.content = content
        self.styles = tuple(styles)
        self.tv_weight = tv_weight
        self.style_layers = tuple(dict.fromkeys(name for term in styles for name in term.weights))
        self.layers = {*self.style_layers, *([content.layer] if content else [])}
        if not self.layers:
            raise UsageError("an objective needs content or style")
        loss_network.check_layers(self.layers)

    def terms(self, image: Tensor) -> ObjectiveTerms:
        """Computes every weighted term.

        Args:
            image: ``(1, 3, H, W)`` RGB in [0, 1].

        Raises:
            UsageError: the content image has another size.
        """
        features = self.loss_network(image, self.layers)
        content = style = variation = image.new_zeros(())
        if self.content:
            found, target = features[self.content.layer], self.content.target
            if found.shape != target.shape:
                raise UsageError(
                    f"the picture's {self.content.layer} is {tuple(found.shape)} and the content "
                    f"image's {tuple(target.shape)}: give two pictures of one size"
                )
            content = self.content.weight * feature_reconstruction_loss(found, target)
        grams = {layer: _gram_matrix(features[layer]) for layer in self.style_layers}
        for term in self.styles:
            for layer, weight in term.weights.items():
                style = style + style_reconstruction_loss(grams[layer], term.grams[layer], weight)
        if self.tv_weight:
            variation = self.tv_weight * total_variation_loss(image)
        return ObjectiveTerms(content + style + variation, content, style, variation)

    @torch.no_grad()
    def values(self, image: Tensor) -> ObjectiveValues:
        """Computes the terms as numbers, without a gradient."""
        return _numbers(self.terms(image))

    @torch.enable_grad()
    def gradient(self, image: Tensor) -> tuple[ObjectiveValues, Tensor]:
        """Computes the terms as numbers, and the gradient of their sum.

        Args:
            image: ``(1, 3, H, W)`` RGB in [0, 1]; it is left as it is.

        Returns:
            The terms, and ``(1, 3, H, W)``.
        """
        image = image.detach().requires_grad_()
        terms = self.terms(image)
        (gradient,) = torch.autograd.grad(terms.total, image)
        return _numbers(terms), gradient.contiguous()


def prepared_loss_network(
    weights: str | Path | None = None, device: torch.device | str = "cpu"
) -> LossNetwork:
    """Loads VGG-16 where, and in the memory layout in which, an optimisation is fastest.

    That is the plain layout: training's channels-last costs Gram matrices more time than it
    saves convolutions.

    Args:
        weights: as for `LossNetwork`.
        device: where.

    Raises:
        DataError: the file is missing or holds no VGG-16.
    """
    return LossNetwork(weights).to(device)


@torch.no_grad()
def content_term(
    loss_network: LossNetwork, image: Tensor, layer: str, weight: float = 1.0
) -> ContentTerm:
    """Takes the content of an image ``(1, 3, H, W)`` at a layer."""
    return ContentTerm(layer, loss_network(image, (layer,))[layer], weight)


@torch.no_grad()
def style_grams(loss_network: LossNetwork, image: Tensor, layers: Iterable[str]) -> Grams:
    """Takes the Gram matrices ``(1, C, C)`` of an image ``(1, 3, H, W)``, by layer."""
    layers = tuple(layers)
    features = loss_network(image, layers)
    return {layer: gram_matrix(features[layer]) for layer in layers}


def _numbers(terms: ObjectiveTerms) -> ObjectiveValues:
    # One transfer for all of them, where they lie on a GPU.
    return ObjectiveValues(*torch.stack(terms).tolist())


def _gram_matrix(features: Tensor) -> Tensor:
    """Computes `gram_matrix` with half of its backward pass.

    Distances of symmetric matrices have symmetric gradients, so both factors of the product
    get the same one: here one factor gets twice of it.
    """
    n, c, h, w = features.shape
    flat = features.reshape(n, c, h * w)
    product = flat @ flat.detach().transpose(1, 2) / (c * h * w)
    return 2 * product - product.detach()
