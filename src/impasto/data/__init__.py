"""Training photos: where they come from and how crops are drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.data.sources import PhotoSource, open_photos

if TYPE_CHECKING:
    from impasto.data.crops import CropBatches, PhotoCrops

__all__ = ["CropBatches", "PhotoCrops", "PhotoSource", "open_photos"]

_MODULES = {"CropBatches": "impasto.data.crops", "PhotoCrops": "impasto.data.crops"}

__getattr__ = lazy_names(__name__, _MODULES)
