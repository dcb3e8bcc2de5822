"""Training image transformation networks: one loop, checkpoints, previews, curves."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from impasto.training.config import TrainingConfig, make_config

if TYPE_CHECKING:
    from impasto.training.finish import export_run
    from impasto.training.trainer import StepReport, train

__all__ = ["StepReport", "TrainingConfig", "export_run", "make_config", "train"]

_MODULES = {
    "StepReport": "impasto.training.trainer",
    "train": "impasto.training.trainer",
    "export_run": "impasto.training.finish",
}


def __getattr__(name: str) -> Any:
    """Imports PyTorch's side only when it is asked for."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
