"""Which mixture of a model's parameter sets paints a style, a blend, a stroke size, a strength.

A file with conditional instance norm holds one set of scales and shifts per style and stroke
size, all sizes of the first style first, and at the end the identity if there is one. Every
mixture of sets is a style of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from impasto.catalog import close_name
from impasto.errors import UnknownStyleError, UsageError
from impasto.runtime.metadata import ModelMetadata


def parse_blend(text: str) -> dict[str, float]:
    """Reads ``great_wave`` or ``great_wave:0.7,udnie:0.3``.

    Args:
        text: names, each with a positive share after a colon; without one it is 1.

    Returns:
        Shares by name, together 1.

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
        UnknownStyleError: a name is not among the file's styles, which are listed.
    """
    known = [style.name for style in metadata.styles]
    for name in names:
        if name not in known:
            raise UnknownStyleError(
                f"the model holds no style {name!r}: {close_name(name, known)}"
                f"it holds {', '.join(known)}"
            )


def stroke_factor(stroke_size: float | str, longer_side_px: int, reference_px: int | None) -> float:
    """Turns a stroke size into a factor on the strokes that the model was trained at.

    Args:
        stroke_size: a number multiplies the strokes; ``"native"`` is 1; ``"auto"`` makes
            them as large, relative to the picture, as on one of ``reference_px``.
        longer_side_px: of the picture.
        reference_px: what the model states; with None ``"auto"`` is ``"native"``.

    Raises:
        UsageError: the number does not lie between 0.1 and 10, or the word is another.
    """
    if stroke_size == "native" or (stroke_size == "auto" and reference_px is None):
        return 1.0
    if stroke_size == "auto" and reference_px is not None:
        return longer_side_px / reference_px
    if isinstance(stroke_size, str) or not 0.1 <= stroke_size <= 10:
        raise UsageError(
            f"the stroke size must be auto, native or a number from 0.1 to 10, not {stroke_size!r}"
        )
    return float(stroke_size)


def covered_stroke_size(metadata: ModelMetadata, stroke_size: float, longer_side_px: int) -> float:
    """Returns the part of a stroke size that parameter sets give; pixels do the rest.

    Up to the largest trained size sets do it all. Far beyond it the picture is painted as one
    of ``reference_px`` would be, as far as there are sets for it, so that it looks the same
    at every size; in between the one passes steadily into the other.

    Args:
        metadata: of the model.
        stroke_size: factor on the strokes of the first size, in pixels.
        longer_side_px: of the picture.

    Returns:
        A multiple of the first size, among those that the file covers.
    """
    first, last = metadata.stroke_sizes[0], metadata.stroke_sizes[-1]
    if stroke_size <= last or metadata.reference_px is None:
        return min(max(stroke_size, first), last)
    at_reference = stroke_size * metadata.reference_px / longer_side_px
    return min(max(at_reference, 2 * last - stroke_size, first), last)


def strokes_for(
    metadata: ModelMetadata, stroke_size: float | str, longer_side_px: int
) -> tuple[float, float]:
    """Splits a stroke size into what parameter sets give and what resizing does.

    Args:
        metadata: of the model.
        stroke_size: as for `stroke_factor`.
        longer_side_px: of the picture.

    Returns:
        The multiple of the first trained size, and by what the picture is resized before it is
        painted: to a longer side of a whole number of px, which a frozen model can state.

    Raises:
        UsageError: ``stroke_size`` is out of its range.
    """
    factor = stroke_factor(stroke_size, longer_side_px, metadata.reference_px)
    covered = covered_stroke_size(metadata, factor, longer_side_px)
    return covered, max(1, round(longer_side_px * covered / factor)) / longer_side_px


def mixture(
    metadata: ModelMetadata,
    blend: Mapping[str, float],
    *,
    stroke_size: float = 1.0,
    strength: float = 1.0,
) -> NDArray[np.float32]:
    """Weighs the parameter sets of a model.

    Args:
        metadata: of the model.
        blend: shares of styles, together 1.
        stroke_size: multiple of the file's first stroke size, among those it covers.
        strength: 1 is the style, 0 the identity; other than 1 only for a model with one.

    Returns:
        (sets,) float32, together 1.
    """
    sizes = metadata.stroke_sizes
    nodes = np.arange(len(sizes), dtype=np.float32)
    position = float(np.interp(stroke_size, sizes, nodes))
    by_size = np.maximum(0, 1 - np.abs(nodes - position))  # linear between neighbours
    weights = np.zeros(metadata.parameter_sets, np.float32)
    for number, style in enumerate(metadata.styles):
        first = number * len(sizes)
        weights[first : first + len(sizes)] = strength * blend.get(style.name, 0.0) * by_size
    if metadata.strength == "identity":
        weights[-1] = 1 - strength
    return weights
