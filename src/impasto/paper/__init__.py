"""The paper beside our networks: Gatys et al. by L-BFGS, inversion, its tables and figures."""

from __future__ import annotations

from impasto.losses.style_targets import style_grams
from impasto.paper.comparison import Comparison, compare, equivalent_iterations
from impasto.paper.descent import (
    Evaluation,
    Level,
    Result,
    State,
    coarse_to_fine,
    load_state,
    noise,
    optimize,
    save_state,
)
from impasto.paper.objective import (
    Objective,
    ObjectiveValues,
    TrainedWeights,
    balanced_objective,
    feature_objective,
    gram_objective,
    prepared_loss_network,
    trained_objective,
    trained_weights,
    weights_of_model,
)

__all__ = [
    "Comparison",
    "Evaluation",
    "Level",
    "Objective",
    "ObjectiveValues",
    "Result",
    "State",
    "TrainedWeights",
    "balanced_objective",
    "coarse_to_fine",
    "compare",
    "equivalent_iterations",
    "feature_objective",
    "gram_objective",
    "load_state",
    "noise",
    "optimize",
    "prepared_loss_network",
    "save_state",
    "style_grams",
    "trained_objective",
    "trained_weights",
    "weights_of_model",
]
