"""From a spec to its network."""

from __future__ import annotations

from impasto.networks.fast_network import FastNetwork
from impasto.networks.spec import FastSpec, NetworkSpec
from impasto.networks.style_network import StyleNetwork

Network = StyleNetwork | FastNetwork


def build_network(spec: NetworkSpec | FastSpec) -> Network:
    """Builds the network that a spec describes, with fresh weights from torch's generator."""
    return FastNetwork(spec) if isinstance(spec, FastSpec) else StyleNetwork(spec)
