"""Image transformation networks, each rebuilt from its `Spec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.networks.specs import (
    NETWORKS,
    PAPER,
    RELEASED,
    SHIPPED,
    UPSCALERS,
    DraftRefineSpec,
    FastUpscalerSpec,
    NetworkSpec,
    PaperUpscalerSpec,
    Spec,
    StyleSpec,
    UpscalerSpec,
    spec_from_dict,
)

if TYPE_CHECKING:
    from impasto.networks.blocks import Network
    from impasto.networks.draft_refine import DraftRefineNetwork
    from impasto.networks.style_network import StyleNetwork
    from impasto.networks.upscaler import FastUpscaler, PaperUpscaler

__all__ = [
    "NETWORKS",
    "PAPER",
    "RELEASED",
    "SHIPPED",
    "UPSCALERS",
    "DraftRefineNetwork",
    "DraftRefineSpec",
    "FastUpscaler",
    "FastUpscalerSpec",
    "Network",
    "NetworkSpec",
    "PaperUpscaler",
    "PaperUpscalerSpec",
    "Spec",
    "StyleNetwork",
    "StyleSpec",
    "UpscalerSpec",
    "spec_from_dict",
]

__getattr__ = lazy_names(__name__, "blocks", "draft_refine", "style_network", "upscaler")
