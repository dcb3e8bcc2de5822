"""The networks that there are, by name and by what files state."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from impasto.errors import UsageError
from impasto.networks.draft_refine_spec import DraftRefineSpec
from impasto.networks.spec import PAPER, RELEASED, SHIPPED, Spec, StyleSpec
from impasto.networks.upscaler_spec import FastUpscalerSpec, PaperUpscalerSpec, UpscalerSpec

NETWORKS: Final[dict[str, StyleSpec]] = {
    "paper": PAPER,
    "released": RELEASED,
    "shipped": SHIPPED,
    "draft_refine": DraftRefineSpec(),
}
"""The networks by name, as ``impasto train --network`` takes them."""

UPSCALERS: Final[dict[str, UpscalerSpec]] = {
    "fast": FastUpscalerSpec(),
    "paper": PaperUpscalerSpec(),
}
"""The super-resolution networks by name, as ``impasto train-upscaler --network`` takes them."""

MANY_STYLES: Final = next(name for name, spec in NETWORKS.items() if spec.holds_many)
"""The network to name for many styles."""

ARCHITECTURES: Final[dict[str, type[Spec]]] = {
    spec.architecture: type(spec) for spec in (*NETWORKS.values(), *UPSCALERS.values())
}


def spec_from_dict(values: dict[str, Any]) -> Spec:
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
