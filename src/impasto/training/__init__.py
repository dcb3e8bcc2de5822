"""Training image transformation networks: one loop, checkpoints, previews, curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.training.config import TrainingConfig, UpscalerConfig
from impasto.training.recipes import make_config, make_upscaler_config

if TYPE_CHECKING:
    from impasto.training.finish import export_run, export_style_targets
    from impasto.training.trainer import StepReport, train

__all__ = [
    "StepReport",
    "TrainingConfig",
    "UpscalerConfig",
    "export_run",
    "export_style_targets",
    "make_config",
    "make_upscaler_config",
    "train",
]

__getattr__ = lazy_names(__name__, "finish", "trainer")
