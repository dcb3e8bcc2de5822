"""Exported style networks that are tiny."""

import torch

from impasto.export import export_network
from impasto.networks import DraftRefineSpec, FastSpec, NetworkSpec, build_network
from impasto.runtime.metadata import ModelMetadata, StyleEntry

SPECS = {
    "fast": FastSpec(width=8, half_width=4, residual_blocks=2, parameter_sets=2),
    "eighth": FastSpec(width=8, half_width=4, residual_blocks=1, stride=8, parameter_sets=2),
    "johnson": NetworkSpec(width=4, residual_blocks=2),
    "bilinear": NetworkSpec(width=4, residual_blocks=1, upsampling="bilinear", padding="zero"),
    "draft_refine": DraftRefineSpec(
        half_width=4,
        quarter_width=4,
        width=8,
        dilations=(1, 2),
        refine_width=8,
        refine_blocks=1,
        parameter_sets=3,
    ),
}
WORKING_PX = 128


def exported(spec, path, *, float16=False, **meta):
    """Exports a network of random weights, a style for each of its parameter sets.

    A draft and refine network's last set is the identity, and its working size `WORKING_PX`. What
    else the model shall state is `meta`; ``float16`` is that of `export_network`.
    """
    torch.manual_seed(0)
    network = build_network(spec)
    for name, parameter in network.named_parameters():  # norms that do something
        if name.endswith("table"):
            parameter.data += 0.3 * torch.randn(parameter.shape)
    sets = getattr(spec, "parameter_sets", 1)
    if isinstance(spec, DraftRefineSpec):
        network.refine.last.weight.data *= 10  # what it adds can be seen
        meta = {"working_px": WORKING_PX, "halo_px": spec.halo_px, "strength": "identity"} | meta
        sets -= 1
    styles = tuple(StyleEntry(f"style{number}", f"Style {number}") for number in range(sets))
    stated = {"styles": styles, "min_size_px": spec.min_size_px, "network": {}} | meta
    export_network(network, ModelMetadata(weights_sha256="", **stated), path, float16=float16)
    return path
