"""Perceptual losses: pure functions, the loss network, and modules that join them."""

from impasto.losses.functional import (
    feature_reconstruction_loss,
    gram_matrix,
    pixel_loss,
    style_reconstruction_loss,
    total_variation_loss,
)
from impasto.losses.loss_network import LAYERS, LossNetwork
from impasto.losses.modules import PerceptualLoss, PerceptualTerms

__all__ = [
    "LAYERS",
    "LossNetwork",
    "PerceptualLoss",
    "PerceptualTerms",
    "feature_reconstruction_loss",
    "gram_matrix",
    "pixel_loss",
    "style_reconstruction_loss",
    "total_variation_loss",
]
