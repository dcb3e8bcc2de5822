"""The perceptual loss as a module for any training loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.losses.functional import (
    feature_correlation,
    feature_reconstruction_loss,
    gram_matrix,
    lattice_loss,
    style_reconstruction_loss,
    total_variation_loss,
)
from impasto.losses.layers import CONVOLUTIONS, STYLE_LAYERS, StyleReduction
from impasto.losses.loss_network import LossNetwork

UNUSUAL = 3.0
"""How much more, or less, than usual one photo's style loss can weigh."""


class PerceptualTerms(NamedTuple):
    """The weighted terms of one batch, each a scalar, and their sum."""

    total: Tensor
    content: Tensor
    style: Tensor
    total_variation: Tensor
    lattice: Tensor


class Comparison(NamedTuple):
    """What the loss network says of a batch: weighted terms, and how much of it is left.

    Attributes:
        content: weighted feature reconstruction loss, a scalar.
        style: weighted style reconstruction loss, a scalar.
        kept: ``(N,)`` correlation of the content layer's features with the content images'.
    """

    content: Tensor
    style: Tensor
    kept: Tensor


class PerceptualLoss(nn.Module):
    """Feature reconstruction + style reconstruction + total variation.

    Weights are on the 0..255 scale. Content is a mean over ``C H W`` of one layer's
    squared differences; style is a sum over layers of squared Frobenius norms; total
    variation is a sum over pixels; all are means over the batch. The style target is an
    argument of the call: one module serves any number of styles.

    Args:
        content_layer: where content is compared. The paper's figure and the released code
            use relu3_3, one version of its text relu2_2.
        style_layers: where Gram matrices are compared.
        content_weight: weight of the feature reconstruction loss.
        style_weight: one weight for all style layers, or one per layer.
        style_reduction: ``sum`` is the paper's Frobenius norm; ``mean`` divides each layer
            by ``C^2``, as the released code does.
        tv_weight: weight of the total variation; the paper uses 1e-6 to 1e-4.
        lattice_weight: weight of the lattice loss; the paper has none.
        loss_network: a `LossNetwork`, the path of its weights, or None for the shipped one.

    Raises:
        UsageError: an unknown layer, or weights that do not match the layers.
    """

    def __init__(
        self,
        *,
        content_layer: str = "relu3_3",
        style_layers: Iterable[str] = STYLE_LAYERS,
        content_weight: float = 1.0,
        style_weight: float | Mapping[str, float] = 5.0,
        style_reduction: StyleReduction = "mean",
        tv_weight: float = 0.0,
        lattice_weight: float = 0.0,
        loss_network: LossNetwork | str | Path | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(loss_network, LossNetwork):
            loss_network = LossNetwork(loss_network)
        self.loss_network = loss_network
        self.content_layer = content_layer
        self.style_layers = tuple(style_layers)
        loss_network.check_layers((content_layer, *self.style_layers))
        if style_reduction not in get_args(StyleReduction):
            raise UsageError(f"style_reduction is {style_reduction!r}; allowed are sum, mean")
        if isinstance(style_weight, Mapping):
            if set(style_weight) != set(self.style_layers):
                raise UsageError(
                    f"style_weight names {sorted(style_weight)}, "
                    f"the style layers are {sorted(self.style_layers)}"
                )
            weights = dict(style_weight)
        else:
            weights = dict.fromkeys(self.style_layers, style_weight)
        if style_reduction == "mean":
            weights = {
                layer: weight / CONVOLUTIONS[layer.removeprefix("relu")][1] ** 2
                for layer, weight in weights.items()
            }
        self.content_weight = content_weight
        self.style_weights = weights
        self.tv_weight = tv_weight
        self.lattice_weight = lattice_weight

    def style_targets(self, style_images: Tensor) -> dict[str, Tensor]:
        """Gram matrices of style images: ``(N, 3, H, W)`` in, ``(N, C, C)`` per layer out."""
        features = self.loss_network(style_images, self.style_layers)
        return {layer: gram_matrix(features[layer]).detach() for layer in self.style_layers}

    def content_target(self, content_images: Tensor) -> Tensor:
        """Feature map of content images; the pass stops at the content layer."""
        features: Tensor = self.loss_network(content_images.detach(), (self.content_layer,))[
            self.content_layer
        ]
        return features

    def compare(
        self,
        output: Tensor,
        content_images: Tensor,
        style_targets: Mapping[str, Tensor],
        style_weights: Mapping[str, Tensor] | None = None,
        *,
        content_weight: float | None = None,
        references: Mapping[str, Tensor] | None = None,
    ) -> Comparison:
        """Computes the terms that the loss network gives; arguments as for `terms`.

        Args:
            output: ``(N, 3, H, W)`` RGB in [0, 1].
            content_images: ``(N, 3, H, W)`` RGB in [0, 1].
            style_targets: as for `terms`; their layers are the ones compared.
            style_weights: as for `terms`.
            content_weight: in place of the module's own.
            references: ``(N,)`` usual style loss of a photo by layer. Photos nearer to the
                painting than usual have less to lose, and weigh more, at most three times.
        """
        weights: dict[str, float | Tensor] = {**(style_weights or self.style_weights)}
        if references is None:
            target = self.content_target(content_images)
        else:
            layers = {self.content_layer, *style_targets}
            photos = self.loss_network(content_images.detach(), layers)
            target = photos[self.content_layer]
            for layer, gram in style_targets.items():
                own = (gram_matrix(photos[layer]) - gram).square().sum(dim=(-2, -1))
                relative = (references[layer] / own).clamp(1 / UNUSUAL, UNUSUAL)
                weights[layer] = weights[layer] * relative
        features = self.loss_network(output, {self.content_layer, *style_targets})
        found = features[self.content_layer]
        weight = self.content_weight if content_weight is None else content_weight
        return Comparison(
            content=weight * feature_reconstruction_loss(found, target),
            style=output.new_zeros(()) + self._style(features, style_targets, weights),
            kept=feature_correlation(found.detach(), target),
        )

    def terms(
        self,
        output: Tensor,
        content_images: Tensor,
        style_targets: Mapping[str, Tensor],
        style_weights: Mapping[str, Tensor] | None = None,
    ) -> PerceptualTerms:
        """Computes every weighted term.

        Args:
            output: ``(N, 3, H, W)`` RGB in [0, 1], the image transformation network's output.
            content_images: ``(N, 3, H, W)`` RGB in [0, 1].
            style_targets: what `style_targets` returned, for one style or one per picture.
            style_weights: ``(N,)`` weights by layer, in place of the module's own: batches
                that mix styles weigh each picture by its style.
        """
        target = self.content_target(content_images)
        return self.terms_from_target(output, target, style_targets, style_weights)

    def terms_from_target(
        self,
        output: Tensor,
        content_target: Tensor | None,
        style_targets: Mapping[str, Tensor],
        style_weights: Mapping[str, Tensor] | None = None,
    ) -> PerceptualTerms:
        """Computes every weighted term from a content target that is computed once.

        Args:
            output: ``(N, 3, H, W)`` RGB in [0, 1].
            content_target: what `content_target` returned; None leaves the content out.
            style_targets: as for `terms`.
            style_weights: as for `terms`.

        Raises:
            UsageError: the content image has another size than the output.
        """
        targets = {layer: style_targets[layer] for layer in self.style_layers}
        layers = {*targets} if content_target is None else {self.content_layer, *targets}
        features = self.loss_network(output, layers)
        content = variation = lattice = zero = output.new_zeros(())
        if content_target is not None:
            found = features[self.content_layer]
            if found.shape != content_target.shape:
                raise UsageError(
                    f"the picture's {self.content_layer} is {tuple(found.shape)} and the content "
                    f"image's {tuple(content_target.shape)}: give two pictures of one size"
                )
            content = self.content_weight * feature_reconstruction_loss(found, content_target)
        style = zero + self._style(features, targets, style_weights or self.style_weights)
        if self.tv_weight:
            variation = self.tv_weight * total_variation_loss(output)
        if self.lattice_weight:
            lattice = self.lattice_weight * lattice_loss(output)
        total = content + style + variation + lattice
        return PerceptualTerms(total, content, style, variation, lattice)

    def _style(
        self,
        features: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        weights: Mapping[str, float | Tensor],
    ) -> Tensor | float:
        return sum(
            style_reconstruction_loss(gram_matrix(features[layer]), target, weights[layer])
            for layer, target in targets.items()
        )

    def forward(
        self, output: Tensor, content_images: Tensor, style_targets: Mapping[str, Tensor]
    ) -> Tensor:
        """Returns the weighted sum of the terms as a scalar; arguments as for `terms`."""
        return self.terms(output, content_images, style_targets).total
