"""Style models that are tiny."""

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from impasto.export import export_network
from impasto.networks import DraftRefineSpec, NetworkSpec
from impasto.runtime.metadata import METADATA_KEY, ModelMetadata, StyleEntry

SPECS = {
    "johnson": NetworkSpec(width=4, residual_blocks=2),
    "bilinear": NetworkSpec(width=4, residual_blocks=1, upsampling="bilinear", padding="zero"),
    "draft_refine": DraftRefineSpec(
        half_width=4,
        quarter_width=4,
        width=8,
        blocks=2,
        quarter_blocks=1,
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
    network = spec.build()
    for name, parameter in network.named_parameters():  # norms that do something
        if name.endswith("table"):
            parameter.data += 0.3 * torch.randn(parameter.shape)
    sets = spec.parameter_sets
    if spec.halo_px is not None:
        network.refine.last.weight.data *= 10  # what it adds can be seen
        meta = {"working_px": WORKING_PX, "halo_px": spec.halo_px, "strength": "identity"} | meta
        sets -= 1
    styles = tuple(StyleEntry(f"style{number}", f"Style {number}") for number in range(sets))
    stated = {"styles": styles, "min_size_px": spec.min_size_px, "network": {}} | meta
    export_network(network, ModelMetadata(weights_sha256="", **stated), path, float16=float16)
    return path


def older_gallery(path, **meta):
    """Writes a model of format 2: two styles in one graph, which paints a picture whole.

    Its network is a convolution, a norm whose scale and shift are mixed, and a convolution. What
    else the model shall state is `meta`.
    """
    rng = np.random.default_rng(0)
    constants = {
        "border": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "first": rng.normal(0.0, 0.2, (4, 3, 3, 3)).astype(np.float32),
        "table": rng.normal(0.5, 0.5, (2, 8)).astype(np.float32),
        "last": rng.normal(0.0, 0.2, (3, 4, 3, 3)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Pad", ["image", "border"], ["framed"], mode="reflect"),
            helper.make_node("Conv", ["framed", "first"], ["features"]),
            helper.make_node("MatMul", ["style_weights", "table"], ["mixed"]),
            helper.make_node("Split", ["mixed"], ["scale", "shift"], num_outputs=2),
            helper.make_node("InstanceNormalization", ["features", "scale", "shift"], ["normed"]),
            helper.make_node("Relu", ["normed"], ["bent"]),
            helper.make_node("Conv", ["bent", "last"], ["colours"], pads=[1, 1, 1, 1]),
            helper.make_node("Sigmoid", ["colours"], ["output"]),
        ],
        "gallery",
        [
            helper.make_tensor_value_info("image", 1, ["N", 3, "H", "W"]),
            helper.make_tensor_value_info("style_weights", 1, [2]),
        ],
        [helper.make_tensor_value_info("output", 1, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    stated = {
        "styles": tuple(StyleEntry(f"style{number}", f"Style {number}") for number in range(2)),
        "min_size_px": 8,
        "network": {"architecture": "fast", "width": 8, "half_width": 4, "ending": "half"},
        "format_version": 2,
    }
    metadata = ModelMetadata(weights_sha256="", **(stated | meta))
    helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.save(model, path)
    return path
