"""Perceptual losses: pure functions, the loss network, and modules that join them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.losses.layers import LAYERS, STYLE_LAYERS

if TYPE_CHECKING:
    from impasto.losses.functional import (
        feature_correlation,
        feature_reconstruction_loss,
        gram_matrix,
        lattice_loss,
        pixel_loss,
        style_reconstruction_loss,
        total_variation_loss,
    )
    from impasto.losses.loss_network import LossNetwork
    from impasto.losses.modules import PerceptualLoss, PerceptualTerms
    from impasto.losses.style_targets import (
        StyleTarget,
        load_style_targets,
        save_style_targets,
    )

__all__ = [
    "LAYERS",
    "STYLE_LAYERS",
    "LossNetwork",
    "PerceptualLoss",
    "PerceptualTerms",
    "StyleTarget",
    "feature_correlation",
    "feature_reconstruction_loss",
    "gram_matrix",
    "lattice_loss",
    "load_style_targets",
    "pixel_loss",
    "save_style_targets",
    "style_reconstruction_loss",
    "total_variation_loss",
]

__getattr__ = lazy_names(__name__, "functional", "loss_network", "modules", "style_targets")
