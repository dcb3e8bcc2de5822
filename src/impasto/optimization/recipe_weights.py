"""The objective that a model was trained with, from what its file states.

A network and the baseline can be compared only under one objective.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ModelError, UnknownStyleError
from impasto.losses.balancing import References, balanced_weights
from impasto.losses.layers import CONVOLUTIONS
from impasto.runtime.metadata import ModelMetadata
from impasto.runtime.model_file import read_model_file

STYLE_SCALE = 3.0
"""The strength of the style where none is given."""


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
    """Reads the weights that a model file states.

    Args:
        path: an ``.onnx`` file.
        style: one of its styles; None is the first.

    Raises:
        ModelError: the file cannot be used, or does not state the weights.
        UnknownStyleError: it does not hold the style.
    """
    metadata = read_model_file(path)[1]
    try:
        return trained_weights(metadata, style)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def trained_weights(metadata: ModelMetadata, style: str | None = None) -> TrainedWeights:
    """Finds the weights in what a model states about itself.

    The lattice loss, which may have been part of the training, is no part of the paper's
    objective and is left out.

    Args:
        metadata: the model's.
        style: one of its styles; None is the first.

    Raises:
        ModelError: the weights are not stated.
        UnknownStyleError: there is no such style.
    """
    recipe = metadata.recipe
    try:
        sizes = _numbers(recipe["style_size_px"])
        number = _number_of(metadata, style) * len(sizes)
        layers = _texts(recipe["style_layers"])
        content = _number(recipe["content_weight"])
        if recipe["style_weight"] == "auto":
            references = _references(recipe["references"], layers)
            scale = _style_scale(recipe, number // len(sizes))
            chosen = References(
                references.content, {layer: [references.style[layer][number]] for layer in layers}
            )
            per_content, by_layer = balanced_weights(chosen, [scale])
            content *= per_content
            style_weights = {layer: weights[0] for layer, weights in by_layer.items()}
        else:
            style_weights = _plain(recipe, layers)
        return TrainedWeights(
            content_layer=_texts([recipe["content_layer"]])[0],
            content=content,
            style=style_weights,
            tv=_number(recipe["tv_weight"]),
            style_size_px=int(sizes[0]),
        )
    except (LookupError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            "the model does not state the weights that it was trained with: take one that "
            "`impasto train` made"
        ) from error


def _style_scale(recipe: Mapping[str, Any], number: int) -> float:
    """Returns the strength of a style beside a content weight of 1, at one size."""
    if "scales" in recipe:  # what the training ended with, the same at every octave
        return _numbers(recipe["scales"])[number] * _number(recipe["octaves"])
    stated = recipe["style_scale"]
    scales = _numbers(STYLE_SCALE if stated is None else stated)
    return scales[0] if len(scales) == 1 else scales[number]


def _number_of(metadata: ModelMetadata, style: str | None) -> int:
    """Returns a style's place among the learned ones."""
    names = [entry.name for entry in metadata.styles]
    if style is not None and style not in names:
        raise UnknownStyleError(f"there is no style {style!r}: known are {', '.join(names)}")
    number = 0 if style is None else names.index(style)
    # The first versions knew runs of one painting only.
    learned = _texts(metadata.recipe.get("paintings", [metadata.recipe.get("painting")]))
    if number >= len(learned):
        raise ModelError(
            f"the style {names[number]!r} was taken over from another model, and its weights are "
            "stated there"
        )
    return number


def _references(stated: Any, layers: Sequence[str]) -> References:
    if isinstance(stated, list):  # one an octave, the full size first
        stated = stated[0]
    if not isinstance(stated, dict):
        raise TypeError(f"{stated!r} are no references")
    # The first versions stated one number a layer beside the content's.
    style = stated.get("style", stated)
    return References(
        _number(stated["content"]), {layer: _numbers(style[layer]) for layer in layers}
    )


def _plain(recipe: Mapping[str, Any], layers: Sequence[str]) -> dict[str, float]:
    """Returns weights that were given: the mean over a Gram matrix is the sum over ``C^2``."""
    weight, mean = _number(recipe["style_weight"]), recipe["style_reduction"] == "mean"
    channels = {layer: CONVOLUTIONS[layer.removeprefix("relu")][1] for layer in layers}
    return {layer: weight / (channels[layer] ** 2 if mean else 1) for layer in layers}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is no weight")
    return float(value)


def _numbers(values: Any) -> list[float]:
    """Reads a list of numbers; the first versions stated a number alone for a list of one."""
    listed = values if isinstance(values, list | tuple) else [values]
    return [_number(value) for value in listed] if listed else [_number(None)]


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list | tuple) or not all(isinstance(text, str) for text in values):
        raise TypeError(f"{values!r} is no list of words")
    return list(values)
