"""Training image transformation networks: one loop, checkpoints, previews, curves."""

from impasto.training.config import TrainingConfig, make_config
from impasto.training.trainer import StepReport, train

__all__ = ["StepReport", "TrainingConfig", "make_config", "train"]
