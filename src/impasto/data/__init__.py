"""Training photos: where they come from and how crops are drawn from them."""

from impasto.data.crops import CropBatches, PhotoCrops
from impasto.data.sources import PhotoSource, open_photos

__all__ = ["CropBatches", "PhotoCrops", "PhotoSource", "open_photos"]
