"""What an optimisation minimises: equation 5 of one picture, balanced or as in a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from impasto.errors import ModelError, UnknownStyleError, UsageError
from impasto.losses import LossNetwork, PerceptualLoss, PerceptualTerms, total_variation_loss
from impasto.losses.balancing import References, balanced_weights, measure_references
from impasto.losses.layers import CONVOLUTIONS, LAYERS
from impasto.losses.style_targets import Grams
from impasto.runtime.metadata import ModelMetadata
from impasto.runtime.model_file import read_model_file

CONTENT_LAYER: Final = "relu3_3"
STYLE_SCALE: Final = 3.0
TV_SCALE: Final = 0.02
_LEAST: Final = 1e-30


class ObjectiveValues(NamedTuple):
    """The weighted terms as numbers, and their sum."""

    total: float
    content: float
    style: float
    total_variation: float


class Objective:
    """Content + styles + total variation of one picture: the paper's equation 5.

    It is `impasto.losses.PerceptualLoss` with all targets computed beforehand, so that an
    evaluation is one forward and one backward pass of the loss network.

    Args:
        loss_network: VGG-16.
        content_image: ``(1, 3, H, W)`` RGB in [0, 1]; None leaves the content out.
        content_layer: where content is compared.
        content_weight: weight of the mean squared difference of features.
        style_targets: ``(paintings, C, C)`` Gram matrices by layer; None leaves the style out.
        style_weights: weights of the squared Frobenius norms by layer, one per painting.
        tv_weight: weight of the total variation.

    Raises:
        UsageError: the loss network has no such layer, or there is neither content nor style.
    """

    def __init__(
        self,
        loss_network: LossNetwork,
        *,
        content_image: Tensor | None = None,
        content_layer: str = CONTENT_LAYER,
        content_weight: float = 1.0,
        style_targets: Grams | None = None,
        style_weights: Mapping[str, Sequence[float]] | None = None,
        tv_weight: float = 0.0,
    ) -> None:
        self.style_targets = style_targets or {}
        if content_image is None:
            if not self.style_targets:
                raise UsageError("an objective needs content or style")
            content_layer = next(iter(self.style_targets))
        self.loss = PerceptualLoss(
            content_layer=content_layer,
            style_layers=self.style_targets,
            content_weight=content_weight,
            tv_weight=tv_weight,
            loss_network=loss_network,
        )
        # The loss is a mean over the paintings, and these add up.
        self.style_weights = {
            layer: torch.tensor(weights, device=self.style_targets[layer].device) * len(weights)
            for layer, weights in (style_weights or {}).items()
        }
        self.content_target: Tensor | None = None
        if content_image is not None:
            with torch.no_grad():
                self.content_target = self.loss.content_target(content_image)

    def terms(self, image: Tensor) -> PerceptualTerms:
        """Computes the weighted terms of an image, ``(1, 3, H, W)`` RGB in [0, 1].

        Raises:
            UsageError: the content image has another size.
        """
        return self.loss.terms_from_target(
            image, self.content_target, self.style_targets, self.style_weights
        )

    @torch.no_grad()
    def values(self, image: Tensor) -> ObjectiveValues:
        """Computes the terms as numbers, without a gradient."""
        return _numbers_of(self.terms(image))

    @torch.enable_grad()
    def gradient(self, image: Tensor) -> tuple[ObjectiveValues, Tensor]:
        """Computes the terms as numbers, and the gradient of their sum, ``(1, 3, H, W)``."""
        image = image.detach().requires_grad_()
        terms = self.terms(image)
        (gradient,) = torch.autograd.grad(terms.total, image)
        return _numbers_of(terms), gradient.contiguous()


def _numbers_of(terms: PerceptualTerms) -> ObjectiveValues:
    # One transfer for all of them, where they lie on a GPU.
    return ObjectiveValues(*torch.stack(terms[:4]).tolist())


def prepared_loss_network(
    weights: str | Path | None = None, device: torch.device | str = "cpu"
) -> LossNetwork:
    """Loads VGG-16 onto a device, in the plain memory layout.

    Training's channels-last costs Gram matrices more time than it saves convolutions here.

    Raises:
        DataError: the file is missing or holds no VGG-16.
    """
    return LossNetwork(weights).to(device)


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
        paintings: Gram matrices of each painting, ``(1, C, C)`` by layer; all layers count.
        shares: share of each painting in the style, divided by their sum; None is equal shares.
        style_scale: strength of the style.
        tv_scale: strength of the total variation.
        content_layer: where content is compared.

    Raises:
        UsageError: there are not as many shares as paintings, or their sum is not above 0.
        TrainingError: the photo and a painting look the same to the loss network.
    """
    scales = [style_scale * share for share in check_shares(shares, len(paintings))]
    targets = _stacked(paintings, paintings[0])
    references = measure_references(loss_network, [photo[0]], targets, content_layer)
    content_weight, style_weights = balanced_weights(references, scales)
    return Objective(
        loss_network,
        content_image=photo,
        content_layer=content_layer,
        content_weight=content_weight,
        style_targets=targets,
        style_weights=style_weights,
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

    The other arguments are those of `balanced_objective`.

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
    parts = check_shares(shares, len(paintings))
    return Objective(
        loss_network,
        content_image=photo,
        content_layer=weights.content_layer,
        content_weight=weights.content,
        style_targets=_stacked(paintings, weights.style),
        style_weights={layer: [w * part for part in parts] for layer, w in weights.style.items()},
        tv_weight=weights.tv,
    )


def feature_objective(
    loss_network: LossNetwork, image: Tensor, layer: str, *, tv_scale: float = TV_SCALE
) -> Objective:
    """Makes the objective of a feature reconstruction, figure 3.

    It is the squared distance of the features at a layer divided by their squared size (0 where
    nothing is missing, 1 where features are all 0), plus ``tv_scale`` times the total variation
    divided by the image's own, which keeps away the noise that deeper layers do not see. Such a
    term is Mahendran and Vedaldi's (2015), whom the paper follows without stating a weight. The
    image is ``(1, 3, H, W)`` RGB in [0, 1].

    Raises:
        UsageError: the loss network has no such layer; the message lists its layers.
    """
    features = loss_network(image, (layer,))[layer]
    return Objective(
        loss_network,
        content_image=image,
        content_layer=layer,
        content_weight=1 / max(features.square().mean().item(), _LEAST),
        tv_weight=tv_scale / tv_reference(image),
    )


def gram_objective(loss_network: LossNetwork, grams: Grams, *, tv_weight: float = 0.0) -> Objective:
    """Makes the objective of a style reconstruction, figure 4.

    It is the mean over layers of the squared distance of Gram matrices, ``(1, C, C)`` by layer,
    divided by the squared size of the image's, so that each layer counts the same; the paper adds
    the distances up. A weighted total variation can be added.

    Raises:
        UsageError: the loss network has no such layer; the message lists its layers.
    """
    weights = {
        layer: [1 / (len(grams) * max(gram.square().sum().item(), _LEAST))]
        for layer, gram in grams.items()
    }
    return Objective(loss_network, style_targets=grams, style_weights=weights, tv_weight=tv_weight)


def _stacked(paintings: Sequence[Grams], layers: Mapping[str, object]) -> Grams:
    return {layer: torch.cat([grams[layer] for grams in paintings]) for layer in layers}


def check_shares(shares: Sequence[float] | None, paintings: int) -> list[float]:
    """Returns shares whose sum is 1; None gives equal ones.

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
    if min(shares) < 0 or not 0 < sum(shares) < math.inf:
        raise UsageError(f"the style weights are {stated}; give numbers of 0 or more, not all 0")
    return [share / sum(shares) for share in shares]


def tv_reference(image: Tensor) -> float:
    """Returns an image's total variation, at least that of faint noise."""
    return max(total_variation_loss(image).item(), float(image.numel()))


@dataclass(frozen=True)
class TrainedWeights:
    """The weights of one style of a model.

    Attributes:
        content_layer: where content is compared.
        content: weight of the feature reconstruction loss.
        style: weights of the squared Frobenius norms, by layer.
        tv: weight of the total variation.
        style_size_px: longer side of the painting.
    """

    content_layer: str
    content: float
    style: dict[str, float]
    tv: float
    style_size_px: int


def weights_of_model(path: Path, style: str | None = None) -> TrainedWeights:
    """Reads the weights that an ``.onnx`` file states about a style; None is its first.

    Raises:
        ModelError: the file cannot be used, or does not state the weights.
        UnknownStyleError: the file does not hold the style.
    """
    metadata = read_model_file(path)[1]
    try:
        return trained_weights(metadata, style)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def trained_weights(metadata: ModelMetadata, style: str | None = None) -> TrainedWeights:
    """Finds the weights of a style in a model's metadata; None is its first style.

    The lattice loss, which may have been part of the training, is no part of the paper's
    objective and is left out.

    Raises:
        ModelError: the weights are not stated.
        UnknownStyleError: there is no such style.
    """
    recipe: Mapping[str, Any] = metadata.recipe
    try:
        place = _place(metadata, style)
        sizes = _numbers(recipe["style_size_px"])
        content, tv = _number(recipe["content_weight"]), _number(recipe["tv_weight"])
        if recipe["content_layer"] not in LAYERS:
            raise ValueError(f"{recipe['content_layer']!r} is no layer")
        if recipe["style_weight"] == "auto":
            references = _references(recipe, place * len(sizes))
            per_content, by_layer = balanced_weights(references, [_style_scale(recipe, place)])
            content *= per_content
            style_weights = {layer: weight for layer, (weight,) in by_layer.items()}
        else:
            weight, mean = _number(recipe["style_weight"]), recipe["style_reduction"] == "mean"
            # The mean over a Gram matrix is the sum over C^2.
            style_weights = {
                layer: weight / (CONVOLUTIONS[layer.removeprefix("relu")][1] ** 2 if mean else 1)
                for layer in recipe["style_layers"]
            }
        return TrainedWeights(recipe["content_layer"], content, style_weights, tv, int(sizes[0]))
    except (AttributeError, LookupError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            "the model does not state the weights that it was trained with: take one that "
            "`impasto train` made"
        ) from error


def _place(metadata: ModelMetadata, style: str | None) -> int:
    """Returns a style's place among the learned ones."""
    names = [entry.name for entry in metadata.styles]
    if style is not None and style not in names:
        raise UnknownStyleError(f"there is no style {style!r}: known are {', '.join(names)}")
    place = 0 if style is None else names.index(style)
    recipe: Mapping[str, Any] = metadata.recipe
    # The first versions knew runs of one painting only.
    if place >= len(recipe.get("paintings", ["the painting"])):
        raise ModelError(
            f"the style {names[place]!r} was taken over from another model, and its weights are "
            "stated there"
        )
    return place


def _references(recipe: Mapping[str, Any], number: int) -> References:
    """Reads the references of one parameter set."""
    stated = recipe["references"]
    if isinstance(stated, list):  # one an octave, the full size first
        stated = stated[0]
    # The first versions stated one number a layer beside the content's.
    by_layer = stated.get("style", stated)
    style = {layer: [_numbers(by_layer[layer])[number]] for layer in recipe["style_layers"]}
    return References(_number(stated["content"]), style)


def _style_scale(recipe: Mapping[str, Any], place: int) -> float:
    """Returns the strength of a style beside a content weight of 1, at one size."""
    if "scales" in recipe:  # what the training ended with, the same at every octave
        return _numbers(recipe["scales"])[place] * _number(recipe["octaves"])
    stated = recipe["style_scale"]
    scales = _numbers(STYLE_SCALE if stated is None else stated)
    return scales[0] if len(scales) == 1 else scales[place]


def _number(value: Any) -> float:
    (number,) = _numbers(value)
    return number


def _numbers(values: Any) -> list[float]:
    """Reads weights; the first versions stated a number alone for a list of one."""
    listed = values if isinstance(values, list | tuple) else [values]
    for value in listed:
        if isinstance(value, bool) or not 0 <= value < math.inf:
            raise ValueError(f"{value!r} is no weight")
    return [float(value) for value in listed]
