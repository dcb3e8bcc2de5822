"""ONNX export with metadata, compared with PyTorch before the file appears."""

from __future__ import annotations

import base64
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from impasto.errors import ExportError
from impasto.export.rewriting import (
    halve_weights,
    merge_slices,
    unfold_depth_to_space,
    widen_last_convolution,
)
from impasto.images.writing import atomic_path
from impasto.networks import Network
from impasto.runtime.metadata import METADATA_KEY, REFINE_KEY, ModelMetadata
from impasto.runtime.session import (
    DRAFT_INPUT_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    PHOTO_INPUT_NAME,
    STYLE_INPUT_NAME,
)

TOLERANCE = 1e-3
"""Largest difference from PyTorch, as a share of the value range."""

PARITY_SIZES = ((64, 64), (96, 128), (101, 67))
"""Heights and widths that are compared; larger ones where a network needs them."""


@dataclass(frozen=True)
class _Part:
    """A network that becomes a graph of its own.

    Attributes:
        network: maps pictures, and the weights of its parameter sets if it has any.
        pictures: names of the inputs that are pictures.
        smallest_px: height and width that these have at least.
        step_px: heights and widths are the smallest one and multiples of this more.
        parameter_sets: how many it mixes; None without an input for their weights.
    """

    network: nn.Module
    pictures: tuple[str, ...]
    smallest_px: int
    step_px: int = 1
    parameter_sets: int | None = None


def export_network(
    network: Network, metadata: ModelMetadata, path: Path, *, float16: bool = False
) -> float:
    """Writes a network as ONNX with dynamic batch, height and width.

    Of a draft and refine network the draft is the file's graph, and the refine network is kept
    beside it.

    Args:
        network: the network; it is run in evaluation mode.
        metadata: what the file states about itself.
        path: where the ``.onnx`` goes.
        float16: store the weights in 16 bits; they are computed with in 32.

    Returns:
        The largest difference from PyTorch over `PARITY_SIZES`, in units of [0, 1].

    Raises:
        ExportError: the difference is above `TOLERANCE`, or the metadata states other sizes
            than the network's; no file is written.
        OutputError: the file cannot be written.
    """
    network = network.cpu().eval()
    main, refine = _parts(network)
    halo_px = network.spec.halo_px
    if metadata.halo_px != halo_px or (metadata.working_px is None) != (halo_px is None):
        raise ExportError(
            f"{path.name} was not written: its metadata states working_px "
            f"{metadata.working_px} and halo_px {metadata.halo_px}, which the network has not"
        )
    entries = {METADATA_KEY: metadata.to_json()}
    difference = 0.0
    if refine is not None:
        data, difference = _compared(refine, _to_onnx(refine), path, float16=float16)
        entries[REFINE_KEY] = base64.b64encode(data).decode("ascii")
    model = _to_onnx(main)
    onnx.helper.set_model_props(model, entries)
    data, other = _compared(main, model, path, float16=float16)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return max(difference, other)


def _parts(network: Network) -> tuple[_Part, _Part | None]:
    """Returns the network of the file's graph, and the one that is kept beside it."""
    spec = network.spec
    sets = spec.parameter_sets if spec.holds_many else None
    whole, refining = network.parts()
    main = _Part(whole, (INPUT_NAME,), spec.min_size_px, parameter_sets=sets)
    if refining is None or spec.halo_px is None:
        return main, None
    pictures = (PHOTO_INPUT_NAME, DRAFT_INPUT_NAME)
    return main, _Part(refining, pictures, 2 * spec.halo_px + 2, 2, sets)


def _compared(
    part: _Part, model: onnx.ModelProto, path: Path, *, float16: bool
) -> tuple[bytes, float]:
    """Returns an ONNX model's content, and its largest difference from PyTorch."""
    if float16:
        halve_weights(model.graph)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    difference = _largest_difference(part, data)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{path.name} was not written: ONNX Runtime and PyTorch differ by {difference:.2g} "
            f"of the value range, allowed is {TOLERANCE:g}"
        )
    return data, difference


def _to_onnx(part: _Part) -> onnx.ModelProto:
    smallest, step = part.smallest_px, part.step_px
    # Fresh memory per size is what PyTorch traces well; the values do not matter.
    example = torch.zeros(2, 3, smallest + 22 + step % 2, smallest + 32)
    any_size = torch.export.Dim.DYNAMIC
    sizes = {0: any_size, 2: any_size, 3: any_size}
    if step > 1:
        sides = (torch.export.Dim(name, min=smallest // step) for name in ("height", "width"))
        sizes |= zip((2, 3), (step * side for side in sides), strict=True)
    inputs: dict[str, tuple[Tensor, dict[int, Any]]] = {
        name: (example.clone(), sizes) for name in part.pictures
    }
    if part.parameter_sets is not None:
        # One mixture for the batch, so that a norm's scale and shift stay inputs of the norm.
        inputs[STYLE_INPUT_NAME] = (torch.ones(part.parameter_sets), {})
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            part.network,
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


def _largest_difference(part: _Part, data: bytes) -> float:
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    differences = []
    for sides in PARITY_SIZES:
        height, width = (max(side, part.smallest_px) // part.step_px for side in sides)
        shape = (1, 3, height * part.step_px, width * part.step_px)
        inputs = {name: torch.rand(shape, generator=generator) for name in part.pictures}
        if part.parameter_sets is not None:
            shares = torch.rand(part.parameter_sets, generator=generator)
            inputs[STYLE_INPUT_NAME] = shares / shares.sum()
        with torch.no_grad():
            expected = part.network(*inputs.values()).numpy()
        output = session.run([OUTPUT_NAME], {k: v.numpy() for k, v in inputs.items()})[0]
        if output.shape != expected.shape:
            raise ExportError(
                f"ONNX gives {output.shape} for {expected.shape}; nothing was written"
            )
        differences.append(np.abs(output - expected).max())
    return float(np.max(differences))  # not a number where an output is none
