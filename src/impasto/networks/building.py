"""From a spec to its network."""

from __future__ import annotations

from impasto.networks.draft_refine import DraftRefineNetwork
from impasto.networks.draft_refine_spec import DraftRefineSpec
from impasto.networks.saved_spec import AnySpec
from impasto.networks.spec import NetworkSpec
from impasto.networks.style_network import StyleNetwork
from impasto.networks.upscaler import FastUpscaler, PaperUpscaler
from impasto.networks.upscaler_spec import FastUpscalerSpec

Network = StyleNetwork | DraftRefineNetwork | PaperUpscaler | FastUpscaler


def build_network(spec: AnySpec) -> Network:
    """Builds the network that a spec describes, with fresh weights from torch's generator."""
    if isinstance(spec, NetworkSpec):
        return StyleNetwork(spec)
    if isinstance(spec, DraftRefineSpec):
        return DraftRefineNetwork(spec)
    return FastUpscaler(spec) if isinstance(spec, FastUpscalerSpec) else PaperUpscaler(spec)
