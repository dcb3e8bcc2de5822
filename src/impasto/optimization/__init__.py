"""Pictures made by optimisation: the baseline of Gatys et al., and inversion of layers."""

from __future__ import annotations

from impasto.optimization.balance import balanced_objective, trained_objective
from impasto.optimization.descent import (
    Evaluation,
    Level,
    Result,
    State,
    coarse_to_fine,
    noise,
    optimize,
)
from impasto.optimization.equivalence import Comparison, compare, equivalent_iterations
from impasto.optimization.inversion import feature_objective, gram_objective
from impasto.optimization.objective import (
    ContentTerm,
    Objective,
    ObjectiveTerms,
    ObjectiveValues,
    StyleTerm,
    content_term,
    prepared_loss_network,
    style_grams,
)
from impasto.optimization.recipe_weights import TrainedWeights, trained_weights, weights_of_model
from impasto.optimization.saved_state import load_state, save_state

__all__ = [
    "Comparison",
    "ContentTerm",
    "Evaluation",
    "Level",
    "Objective",
    "ObjectiveTerms",
    "ObjectiveValues",
    "Result",
    "State",
    "StyleTerm",
    "TrainedWeights",
    "balanced_objective",
    "coarse_to_fine",
    "compare",
    "content_term",
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
