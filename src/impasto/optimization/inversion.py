"""What layers of the loss network hold of a picture: the paper's figures 3 and 4.

A picture is looked for, from noise, whose features or Gram matrices are those of a given one.
Both distances are relative: 0 where nothing is missing, 1 where features are all 0.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from impasto.losses import LossNetwork
from impasto.losses.style_targets import Grams
from impasto.optimization.balance import TV_SCALE, tv_reference
from impasto.optimization.objective import Objective, StyleTerm, content_term

_LEAST = 1e-30


def feature_objective(
    loss_network: LossNetwork, image: Tensor, layer: str, *, tv_scale: float = TV_SCALE
) -> Objective:
    """Makes the objective of a feature reconstruction, figure 3.

    It is the squared distance of the features divided by their squared size, plus a total
    variation that keeps away the noise which deeper layers do not see. Such a term is Mahendran
    and Vedaldi's (2015), whom the paper follows without stating a weight.

    Args:
        loss_network: VGG-16.
        image: ``(1, 3, H, W)`` RGB in [0, 1].
        layer: for example ``"relu3_3"``.
        tv_scale: weight of the total variation divided by the image's own.

    Raises:
        UsageError: the loss network has no such layer; those it has are listed.
    """
    term = content_term(loss_network, image, layer)
    size = max(term.target.square().mean().item(), _LEAST)
    return Objective(
        loss_network,
        content=dataclasses.replace(term, weight=1 / size),
        tv_weight=tv_scale / tv_reference(image),
    )


def gram_objective(loss_network: LossNetwork, grams: Grams, *, tv_weight: float = 0.0) -> Objective:
    """Makes the objective of a style reconstruction, figure 4.

    It is the mean over layers of the squared distance of Gram matrices divided by the squared
    size of the image's, so that each layer counts the same; the paper adds the distances up.

    Args:
        loss_network: VGG-16.
        grams: ``(1, C, C)`` by layer, for example from `style_grams`: all of these count.
        tv_weight: weight of the total variation.

    Raises:
        UsageError: the loss network has no such layer; those it has are listed.
    """
    weights = {
        layer: 1 / (len(grams) * max(gram.square().sum().item(), _LEAST))
        for layer, gram in grams.items()
    }
    return Objective(loss_network, styles=[StyleTerm(grams, weights)], tv_weight=tv_weight)
