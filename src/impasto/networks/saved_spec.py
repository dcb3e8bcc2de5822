"""From what a file states to the spec of its network."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from impasto.errors import UsageError
from impasto.networks.draft_refine_spec import DraftRefineSpec
from impasto.networks.spec import PAPER, RELEASED, SHIPPED, NetworkSpec
from impasto.networks.upscaler_spec import FastUpscalerSpec, PaperUpscalerSpec

StyleSpec = NetworkSpec | DraftRefineSpec
UpscalerSpec = PaperUpscalerSpec | FastUpscalerSpec
AnySpec = StyleSpec | UpscalerSpec

ARCHITECTURES: Final[dict[str, type[AnySpec]]] = {
    "johnson": NetworkSpec,
    "draft_refine": DraftRefineSpec,
    "johnson_upscaler": PaperUpscalerSpec,
    "fast_upscaler": FastUpscalerSpec,
}


def spec_from_dict(values: dict[str, Any]) -> AnySpec:
    """Rebuilds a spec from its ``to_dict``.

    Raises:
        UsageError: the architecture, a name or a value is not known to this version.
    """
    values = dict(values)
    architecture = values.pop("architecture", "johnson")
    if architecture not in ARCHITECTURES:
        raise UsageError(f"network architecture {architecture!r} is not known to this version")
    chosen = ARCHITECTURES[architecture]
    unknown = sorted(set(values) - {field.name for field in fields(chosen)})
    if unknown:
        raise UsageError(f"network settings {', '.join(unknown)} are not known to this version")
    return chosen(**values)


NETWORKS: Final[dict[str, NetworkSpec | DraftRefineSpec]] = {
    "paper": PAPER,
    "released": RELEASED,
    "shipped": SHIPPED,
    "draft_refine": DraftRefineSpec(),
}
"""The networks by name, as ``impasto train --network`` takes them."""
