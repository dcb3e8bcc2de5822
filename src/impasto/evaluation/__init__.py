"""How good a model is, in numbers."""

from impasto.evaluation.quality import StyleScores, lattice, mean_scores, score_style
from impasto.evaluation.stability import warp_error

__all__ = ["StyleScores", "lattice", "mean_scores", "score_style", "warp_error"]
