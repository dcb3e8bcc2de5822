"""Image transformation networks, each rebuilt from its `NetworkSpec`."""

from impasto.networks.spec import PAPER, RELEASED, SHIPPED, NetworkSpec
from impasto.networks.style_network import StyleNetwork, build_network

__all__ = ["PAPER", "RELEASED", "SHIPPED", "NetworkSpec", "StyleNetwork", "build_network"]
