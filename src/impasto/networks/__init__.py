"""Image transformation networks, each rebuilt from its `NetworkSpec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.networks.spec import (
    FAST,
    NETWORKS,
    PAPER,
    RELEASED,
    SHIPPED,
    FastSpec,
    NetworkSpec,
    spec_from_dict,
)

if TYPE_CHECKING:
    from impasto.networks.building import Network, build_network
    from impasto.networks.fast_network import FastNetwork
    from impasto.networks.style_network import StyleNetwork

__all__ = [
    "FAST",
    "NETWORKS",
    "PAPER",
    "RELEASED",
    "SHIPPED",
    "FastNetwork",
    "FastSpec",
    "Network",
    "NetworkSpec",
    "StyleNetwork",
    "build_network",
    "spec_from_dict",
]

_MODULES = {
    "FastNetwork": "impasto.networks.fast_network",
    "Network": "impasto.networks.building",
    "StyleNetwork": "impasto.networks.style_network",
    "build_network": "impasto.networks.building",
}

__getattr__ = lazy_names(__name__, _MODULES)
