"""Image transformation networks, each rebuilt from its `NetworkSpec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.networks.draft_refine_spec import DraftRefineSpec
from impasto.networks.saved_spec import NETWORKS, AnySpec, StyleSpec, UpscalerSpec, spec_from_dict
from impasto.networks.spec import PAPER, RELEASED, SHIPPED, NetworkSpec
from impasto.networks.upscaler_spec import UPSCALERS, FastUpscalerSpec, PaperUpscalerSpec

if TYPE_CHECKING:
    from impasto.networks.building import Network, build_network
    from impasto.networks.draft_refine import DraftRefineNetwork
    from impasto.networks.style_network import StyleNetwork
    from impasto.networks.upscaler import FastUpscaler, PaperUpscaler

__all__ = [
    "NETWORKS",
    "PAPER",
    "RELEASED",
    "SHIPPED",
    "UPSCALERS",
    "AnySpec",
    "DraftRefineNetwork",
    "DraftRefineSpec",
    "FastUpscaler",
    "FastUpscalerSpec",
    "Network",
    "NetworkSpec",
    "PaperUpscaler",
    "PaperUpscalerSpec",
    "StyleNetwork",
    "StyleSpec",
    "UpscalerSpec",
    "build_network",
    "spec_from_dict",
]

_MODULES = {
    "DraftRefineNetwork": "impasto.networks.draft_refine",
    "FastUpscaler": "impasto.networks.upscaler",
    "Network": "impasto.networks.building",
    "PaperUpscaler": "impasto.networks.upscaler",
    "StyleNetwork": "impasto.networks.style_network",
    "build_network": "impasto.networks.building",
}

__getattr__ = lazy_names(__name__, _MODULES)
