"""How good a model is, in numbers."""

from impasto.evaluation.quality import StyleScores, lattice, mean_scores, score_style

__all__ = ["StyleScores", "lattice", "mean_scores", "score_style"]
