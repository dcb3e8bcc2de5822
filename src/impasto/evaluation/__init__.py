"""How good a model is, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.evaluation.faces import read_boxes
from impasto.evaluation.measures import (
    PhotoMeasures,
    PreparedPhoto,
    StyleMeasures,
    StyleMeter,
    mean_measures,
    measure_style,
)
from impasto.evaluation.quality import (
    StyleScores,
    lattice,
    mean_scores,
    score_style,
    warp_error,
)

if TYPE_CHECKING:
    from impasto.evaluation.superres import (
        SuperresScores,
        luma,
        resampling_methods,
        score_superres,
    )

__all__ = [
    "PhotoMeasures",
    "PreparedPhoto",
    "StyleMeasures",
    "StyleMeter",
    "StyleScores",
    "SuperresScores",
    "lattice",
    "luma",
    "mean_measures",
    "mean_scores",
    "measure_style",
    "read_boxes",
    "resampling_methods",
    "score_style",
    "score_superres",
    "warp_error",
]

# It brings torchmetrics, which styles do without.
__getattr__ = lazy_names(__name__, "superres")
