"""Which mixture of a model's parameter sets paints a style, a blend, a strength.

A file holds one set of scales and shifts per style, and at the end the identity if there is one.
Every mixture of sets is a style of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impasto.catalog import close_name
from impasto.errors import UnknownStyleError, UsageError
from impasto.runtime.metadata import ModelMetadata

_PHOTO_BELOW: Final = 0.25


def parse_blend(text: str) -> dict[str, float]:
    """Reads ``great_wave`` or ``great_wave:0.7,udnie:0.3`` as shares by name, together 1.

    Raises:
        UsageError: a share is no positive number, or a name is missing or given twice.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = part.strip().rpartition(":")
        if not colon:
            name, number = number, "1"
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not name or name in shares or not 0 < share < math.inf:
            raise UsageError(
                f"the style {text!r} is no blend: give each name once, with a share above 0, "
                "such as great_wave:0.7,udnie:0.3"
            )
        shares[name] = share
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def check_names(metadata: ModelMetadata, names: Sequence[str]) -> None:
    """Refuses names of styles that a model does not hold.

    Raises:
        UnknownStyleError: the file does not hold one of them.
    """
    known = [style.name for style in metadata.styles]
    for name in names:
        if name not in known:
            raise UnknownStyleError(
                f"the model holds no style {name!r}: {close_name(name, known)}"
                f"it holds {', '.join(known)}"
            )


def mixture(
    metadata: ModelMetadata, blend: Mapping[str, float], strength: float = 1.0
) -> NDArray[np.float32]:
    """Weighs the parameter sets of a model, (sets,) float32, together 1.

    Of several stroke sizes, as format 2 had them, the first counts. Where the model has an
    identity, a strength of 1 is the styles' blend and 0 the identity.
    """
    identity = metadata.strength == "identity"
    weights = np.zeros(metadata.parameter_sets, np.float32)
    for number, style in enumerate(metadata.styles):
        share = blend.get(style.name, 0.0)
        weights[number * len(metadata.stroke_sizes)] = share * (strength if identity else 1.0)
    if identity:
        weights[-1] = 1 - strength
    return weights


def painted_share(metadata: ModelMetadata, strength: float) -> float:
    """Returns how much of what the network paints is in the result; the rest is photo.

    An identity leaves photos nearly as they are. From a quarter of the strength down to 0 the
    photo itself takes over, smoothly, so that 0 leaves it exactly so.
    """
    if metadata.strength != "identity":
        return strength
    return 1 - max(0.0, 1 - strength / _PHOTO_BELOW) ** 2
