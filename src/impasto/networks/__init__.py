"""Image transformation networks, each rebuilt from its `Spec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.networks.draft_refine_spec import DraftRefineSpec
from impasto.networks.registry import NETWORKS, UPSCALERS, spec_from_dict
from impasto.networks.spec import PAPER, RELEASED, SHIPPED, NetworkSpec, Spec, StyleSpec
from impasto.networks.upscaler_spec import FastUpscalerSpec, PaperUpscalerSpec, UpscalerSpec

if TYPE_CHECKING:
    from impasto.networks.draft_refine import DraftRefineNetwork
    from impasto.networks.network import Network
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

_MODULES = {
    "DraftRefineNetwork": "impasto.networks.draft_refine",
    "FastUpscaler": "impasto.networks.upscaler",
    "Network": "impasto.networks.network",
    "PaperUpscaler": "impasto.networks.upscaler",
    "StyleNetwork": "impasto.networks.style_network",
}

__getattr__ = lazy_names(__name__, _MODULES)
