"""Fixing the statistics of a network's norms: those of one picture count for all others.

What is left of a norm is a scale and a shift per channel, which ONNX Runtime joins with the
convolution before it. A frozen network sees only so far, paints the same thing the same way in
every picture, and may be run in tiles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from impasto.errors import UsageError
from impasto.images.resize import mirror_up, resample
from impasto.runtime import wire
from impasto.runtime.metadata import (
    LARGEST_REFERENCE_PX,
    LONGEST_NAME,
    METADATA_KEY,
    ModelMetadata,
    Tiling,
)
from impasto.runtime.mixing import mixture, strokes_for
from impasto.runtime.model_file import GraphParts, graph_parts
from impasto.runtime.session import STYLE_INPUT_NAME
from impasto.runtime.stages import StagePlan
from impasto.runtime.strips import StripNetwork

Norms: TypeAlias = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By the name of a norm's output: what each channel is multiplied by, and what is added."""


def freeze_model(
    data: bytes,
    metadata: ModelMetadata,
    plan: StagePlan,
    blend: Mapping[str, float],
    rgb: NDArray[np.uint8],
    *,
    stroke_size: float | str,
    mixes: bool,
    threads: int | None,
) -> bytes:
    """Makes a model whose norms have the statistics of one picture.

    Args:
        data: the model file's content, already judged.
        metadata: what it states.
        plan: its stages.
        blend: shares of its styles, together 1.
        rgb: (H, W, 3) uint8, the picture.
        stroke_size: as for `stroke_factor`.
        mixes: whether the graph takes weights of its parameter sets.
        threads: CPU threads; None takes every core.

    Returns:
        The content of an ``.onnx`` file.

    Raises:
        UsageError: ``stroke_size`` is out of its range, or makes the picture too large.
    """
    longer_px = max(rgb.shape[:2])
    covered, scale = strokes_for(metadata, stroke_size, longer_px)
    painted_px = round(scale * longer_px)
    # The one parameter set that is left is painted at the size at which it was baked in. Strokes
    # at pixel scale stay so, and all others are as large relative to any picture as here.
    relative = stroke_size == "auto" and metadata.reference_px is not None
    reference_px = painted_px if relative or painted_px != longer_px else None
    if reference_px is not None and reference_px > LARGEST_REFERENCE_PX:
        raise UsageError(
            f"with strokes of size {stroke_size} this picture is painted {reference_px:,} px "
            f"long, and a model can state up to {LARGEST_REFERENCE_PX:,}: take a smaller picture "
            "or larger strokes"
        )
    work, _, _ = mirror_up(resample(rgb, scale), metadata.min_size_px)
    weights = mixture(metadata, blend, stroke_size=covered)
    norms = StripNetwork(data, plan, threads=threads).norms(work, weights if mixes else None)
    titles = {style.name: style for style in metadata.styles}
    style = dataclasses.replace(titles[next(iter(blend))], name="_".join(blend)[:LONGEST_NAME])
    stated = dataclasses.replace(
        metadata,
        styles=(style,),
        stroke_sizes=(1.0,),
        reference_px=reference_px,
        strength="fade",
        scores={},
        tiling=Tiling(True, len(plan.stages) * plan.halo_px, plan.align_px),
    )
    return freeze_graph(data, norms, {METADATA_KEY: stated.to_json()})


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
