"""Training photos: where they come from and how samples are drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.data.choices import Degradation
from impasto.data.sources import PhotoSource, open_photos

if TYPE_CHECKING:
    from impasto.data.crops import CropBatches, PhotoCrops
    from impasto.data.degradation import PatchPairs, degrade

__all__ = [
    "CropBatches",
    "Degradation",
    "PatchPairs",
    "PhotoCrops",
    "PhotoSource",
    "degrade",
    "open_photos",
]

__getattr__ = lazy_names(__name__, "crops", "degradation")
