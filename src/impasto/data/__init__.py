"""Training photos: where they come from and how crops are drawn from them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from impasto.data.sources import PhotoSource, open_photos

if TYPE_CHECKING:
    from impasto.data.crops import CropBatches, PhotoCrops

__all__ = ["CropBatches", "PhotoCrops", "PhotoSource", "open_photos"]

_MODULES = {"CropBatches": "impasto.data.crops", "PhotoCrops": "impasto.data.crops"}


def __getattr__(name: str) -> Any:
    """Imports PyTorch's side only when it is asked for."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
