"""Image transformation networks, each rebuilt from its `NetworkSpec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impasto._lazy import lazy_names
from impasto.networks.spec import PAPER, RELEASED, SHIPPED, NetworkSpec

if TYPE_CHECKING:
    from impasto.networks.style_network import StyleNetwork, build_network

__all__ = ["PAPER", "RELEASED", "SHIPPED", "NetworkSpec", "StyleNetwork", "build_network"]

_MODULES = {
    "StyleNetwork": "impasto.networks.style_network",
    "build_network": "impasto.networks.style_network",
}

__getattr__ = lazy_names(__name__, _MODULES)
