"""Image transformation networks, each rebuilt from its `NetworkSpec`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from impasto.networks.spec import PAPER, RELEASED, SHIPPED, NetworkSpec

if TYPE_CHECKING:
    from impasto.networks.style_network import StyleNetwork, build_network

__all__ = ["PAPER", "RELEASED", "SHIPPED", "NetworkSpec", "StyleNetwork", "build_network"]

_MODULES = {
    "StyleNetwork": "impasto.networks.style_network",
    "build_network": "impasto.networks.style_network",
}


def __getattr__(name: str) -> Any:
    """Imports PyTorch's side only when it is asked for."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
