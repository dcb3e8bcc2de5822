"""ONNX export with metadata, compared with PyTorch before the file appears."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor

from impasto.errors import ExportError
from impasto.export.planning import plan_stages
from impasto.export.rewriting import (
    halve_weights,
    merge_slices,
    unfold_depth_to_space,
    widen_last_convolution,
)
from impasto.images.writing import atomic_path
from impasto.networks import FastNetwork, Network
from impasto.runtime.metadata import METADATA_KEY, ModelMetadata
from impasto.runtime.session import INPUT_NAME, OUTPUT_NAME, STYLE_INPUT_NAME
from impasto.runtime.stages import STAGES_KEY

TOLERANCE = 1e-3
"""Largest difference from PyTorch, as a share of the value range."""

PARITY_SIZES = ((64, 64), (96, 128), (101, 67))
"""Heights and widths that are compared; larger ones where a network needs them."""


def export_network(
    network: Network, metadata: ModelMetadata, path: Path, *, float16: bool = False
) -> float:
    """Writes a network as ONNX with dynamic batch, height and width.

    Args:
        network: the network; it is run in evaluation mode.
        metadata: what the file states about itself.
        path: where the ``.onnx`` goes.
        float16: store the weights in 16 bits; they are computed with in 32.

    Returns:
        The largest difference from PyTorch over `PARITY_SIZES`, in units of [0, 1].

    Raises:
        ExportError: the difference is above `TOLERANCE`; no file is written.
        OutputError: the file cannot be written.
    """
    network = network.cpu().eval()
    model = _to_onnx(network)
    if float16:
        halve_weights(model.graph)
    plan = plan_stages(model, network.spec.min_size_px) if metadata.kind == "style" else None
    entries = {METADATA_KEY: metadata.to_json()}
    if plan is not None:
        entries[STAGES_KEY] = plan.to_json()
    onnx.helper.set_model_props(model, entries)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    difference = _largest_difference(network, data)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{path.name} was not written: ONNX Runtime and PyTorch differ by {difference:.2g} "
            f"of the value range, allowed is {TOLERANCE:g}"
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return difference


def _to_onnx(network: Network) -> onnx.ModelProto:
    smallest = network.spec.min_size_px
    # Fresh memory per size is what PyTorch traces well; the values do not matter.
    example = torch.zeros(2, 3, smallest + 23, smallest + 32)
    sizes = {
        0: torch.export.Dim("batch", min=1),
        2: torch.export.Dim("height", min=smallest),
        3: torch.export.Dim("width", min=smallest),
    }
    inputs: dict[str, tuple[Tensor, dict[int, torch.export.Dim]]] = {INPUT_NAME: (example, sizes)}
    if isinstance(network, FastNetwork):
        # One mixture for the batch, so that a norm's scale and shift stay inputs of the norm.
        inputs[STYLE_INPUT_NAME] = (torch.ones(network.spec.parameter_sets), {})
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            tuple(value for value, _ in inputs.values()),
            dynamo=True,
            external_data=False,
            input_names=list(inputs),
            output_names=[OUTPUT_NAME],
            dynamic_shapes=tuple(dynamic for _, dynamic in inputs.values()),
            verbose=False,
        )
    if program is None:
        raise ExportError("PyTorch returned no ONNX program")
    model = program.model_proto
    merge_slices(model.graph)
    widen_last_convolution(model.graph)
    unfold_depth_to_space(model.graph)
    for node in model.graph.node:  # source locations of the exporting machine
        del node.metadata_props[:]
    del model.graph.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's remarks on absent packages and its own code from users."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _largest_difference(network: Network, data: bytes) -> float:
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    smallest = network.spec.min_size_px
    differences = []
    for height, width in PARITY_SIZES:
        shape = (1, 3, max(height, smallest), max(width, smallest))
        inputs = {INPUT_NAME: torch.rand(shape, generator=generator)}
        if isinstance(network, FastNetwork):
            inputs[STYLE_INPUT_NAME] = torch.rand(network.spec.parameter_sets, generator=generator)
        with torch.no_grad():
            expected = network(*inputs.values()).numpy()
        output = session.run([OUTPUT_NAME], {k: v.numpy() for k, v in inputs.items()})[0]
        if output.shape != expected.shape:
            raise ExportError(
                f"ONNX gives {output.shape} for {expected.shape}; nothing was written"
            )
        differences.append(np.abs(output - expected).max())
    return float(np.max(differences))  # not a number where an output is none
