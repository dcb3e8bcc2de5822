"""Fixing the statistics of a network's norms: those of one picture count for all others.

What is left of a norm is a scale and a shift per channel, which ONNX Runtime joins with the
convolution before it. A frozen network sees only so far, paints the same thing the same way in
every picture, and may be run in tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from impasto.runtime import wire
from impasto.runtime.model_file import GraphParts, graph_parts
from impasto.runtime.session import STYLE_INPUT_NAME

Norms: TypeAlias = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By the name of a norm's output: what each channel is multiplied by, and what is added."""


def freeze_graph(data: bytes, norms: Norms, properties: Mapping[str, str]) -> bytes:
    """Replaces a model's norms by scales and shifts.

    Args:
        data: the model file's content, already judged.
        norms: one entry for each norm.
        properties: entries beside the graph, in place of the old ones.

    Returns:
        A model of the input ``image`` alone.
    """
    parts = graph_parts(data)
    nodes: list[tuple[list[str], list[str], bytes]] = []
    tensors = dict(parts.tensors)
    for inputs, outputs, raw in parts.nodes:
        if outputs[0] not in norms:
            nodes.append((inputs, outputs, raw))
            continue
        (name,) = outputs
        scale, shift, scaled = (f"{name}.{part}" for part in ("scale", "shift", "scaled"))
        for key, values in zip((scale, shift), norms[name], strict=True):
            tensors[key] = wire.tensor(key, values)
        for kind, takes, gives in (
            ("Mul", [inputs[0], scale], [scaled]),
            ("Add", [scaled, shift], [name]),
        ):
            nodes.append((takes, gives, wire.node(kind, takes, gives)))
    kept, used = _needed(nodes, parts)
    graph = [wire.message(wire.GRAPH_NODE, raw) for raw in kept]
    graph += [wire.message(wire.GRAPH_TENSOR, raw) for key, raw in tensors.items() if key in used]
    graph += [raw for name, raw in parts.inputs.items() if name != STYLE_INPUT_NAME]
    graph.append(parts.rest)
    model = parts.model + wire.message(wire.MODEL_GRAPH, b"".join(graph))
    return model + wire.properties(properties)


def _needed(
    nodes: list[tuple[list[str], list[str], bytes]], parts: GraphParts
) -> tuple[list[bytes], set[str]]:
    """Leaves out nodes whose results nobody takes any more; returns the values taken as well."""
    used = set(parts.outputs)
    kept = []
    for inputs, outputs, raw in reversed(nodes):
        if used.intersection(outputs):
            used.update(inputs)
            kept.append(raw)
    return kept[::-1], used
