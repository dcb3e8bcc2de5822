"""Objectives of a photo and paintings: balanced on the photo itself, or as a model's training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor

from impasto.errors import UsageError
from impasto.losses import LossNetwork, total_variation_loss
from impasto.losses.balancing import balanced_weights, measure_references
from impasto.losses.style_targets import Grams
from impasto.optimization.objective import Objective, StyleTerm, content_term
from impasto.optimization.recipe_weights import STYLE_SCALE, TrainedWeights

CONTENT_LAYER: Final = "relu3_3"
TV_SCALE: Final = 0.02
"""The strength of the total variation where none is given."""


def balanced_objective(
    loss_network: LossNetwork,
    photo: Tensor,
    paintings: Sequence[Grams],
    *,
    shares: Sequence[float] | None = None,
    style_scale: float = STYLE_SCALE,
    tv_scale: float = TV_SCALE,
    content_layer: str = CONTENT_LAYER,
) -> Objective:
    """Makes an objective whose dials mean the same for any photo and painting.

    ``content / reference + style_scale * mean over layers of style / reference + tv_scale *
    total variation / reference``: the references are the mean squared features of the photo,
    the distance of its Gram matrices from the painting's, and its total variation. The paper
    states weights in the units of the losses instead.

    Args:
        loss_network: VGG-16.
        photo: ``(1, 3, H, W)`` RGB in [0, 1], the content image.
        paintings: each one's Gram matrices, ``(1, C, C)`` by layer: all of these layers count.
        shares: of each painting in the style; they are divided by their sum. None is even.
        style_scale: strength of the style.
        tv_scale: strength of the total variation.
        content_layer: where content is compared.

    Raises:
        UsageError: there are not as many shares as paintings, or their sum is not above 0.
        TrainingError: the photo and a painting look the same to the loss network.
    """
    parts = check_shares(shares, len(paintings))
    terms = []
    for grams, share in zip(paintings, parts, strict=True):
        references = measure_references(loss_network, [photo[0]], grams, content_layer)
        content_weight, weights = balanced_weights(references, [style_scale * share])
        terms.append(StyleTerm(grams, {layer: values[0] for layer, values in weights.items()}))
    return Objective(
        loss_network,
        content=content_term(loss_network, photo, content_layer, content_weight),
        styles=terms,
        tv_weight=tv_scale / tv_reference(photo),
    )


def trained_objective(
    loss_network: LossNetwork,
    photo: Tensor,
    paintings: Sequence[Grams],
    weights: TrainedWeights,
    *,
    shares: Sequence[float] | None = None,
) -> Objective:
    """Makes the objective that a model was trained with, for one photo.

    Args:
        loss_network: VGG-16.
        photo: ``(1, 3, H, W)`` RGB in [0, 1], the content image.
        paintings: as for `balanced_objective`.
        weights: the model's.
        shares: as for `balanced_objective`.

    Raises:
        UsageError: there are not as many shares as paintings, or their sum is not above 0; or
            a painting's Gram matrices lack a layer.
    """
    for grams in paintings:
        if missing := [layer for layer in weights.style if layer not in grams]:
            raise UsageError(
                f"the model was trained at {missing[0]}, and the style targets have "
                f"{', '.join(grams)}"
            )
    return Objective(
        loss_network,
        content=content_term(loss_network, photo, weights.content_layer, weights.content),
        styles=[
            StyleTerm(grams, {layer: share * weight for layer, weight in weights.style.items()})
            for grams, share in zip(paintings, check_shares(shares, len(paintings)), strict=True)
        ],
        tv_weight=weights.tv,
    )


def check_shares(shares: Sequence[float] | None, paintings: int) -> list[float]:
    """Returns shares whose sum is 1.

    Raises:
        UsageError: there are not as many as paintings, one is negative, or all are 0.
    """
    if shares is None:
        shares = [1.0] * paintings
    stated = ",".join(f"{share:g}" for share in shares)
    if len(shares) != paintings or not shares:
        raise UsageError(
            f"the style weights are {stated or 'none'}; give one for each of {paintings} "
            f"painting{'s' if paintings > 1 else ''}"
        )
    if min(shares) < 0 or not 0 < sum(shares) < float("inf"):
        raise UsageError(f"the style weights are {stated}; give numbers of 0 or more, not all 0")
    return [share / sum(shares) for share in shares]


def tv_reference(image: Tensor) -> float:
    """Returns an image's total variation, for one of a single colour that of faint noise."""
    return max(total_variation_loss(image).item(), float(image.numel()))
