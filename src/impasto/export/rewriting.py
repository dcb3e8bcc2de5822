"""Exact changes to an exported graph that make it faster."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

_PARTS: Final = ("starts", "ends", "axes", "steps")


def merge_slices(graph: onnx.GraphProto) -> None:
    """Cuts a map along both axes at once: PyTorch exports one copy of it per axis.

    Args:
        graph: changed in place; a ``Slice`` whose only use is a ``Slice`` along other axes goes.
    """
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(output.name for output in graph.output)
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node if node.op_type == "Slice"}
    for second in [node for node in graph.node if node.op_type == "Slice"]:
        first = made_by.get(second.input[0])
        if first is None or uses[first.output[0]] != 1 or not _separate(first, second, constants):
            continue
        inputs = [first.input[0]]
        for number, part in enumerate(_PARTS, start=1):
            names = [first.input[number], second.input[number]]
            joined = f"{second.output[0]}.{part}"
            if all(name in constants for name in names):
                constants[joined] = np.concatenate([constants[name] for name in names])
                graph.initializer.append(numpy_helper.from_array(constants[joined], joined))
            else:
                node = helper.make_node("Concat", names, [joined], axis=0)
                graph.node.insert(list(graph.node).index(second), node)
            inputs.append(joined)
        second.input[:] = inputs
        graph.node.remove(first)
    _drop_unused(graph)


def _separate(
    first: onnx.NodeProto, second: onnx.NodeProto, constants: dict[str, np.ndarray]
) -> bool:
    """Tells whether two slices, all of whose parts are stated, are along different axes."""
    if len(first.input) != 5 or len(second.input) != 5:
        return False
    found = [constants.get(node.input[3]) for node in (first, second)]
    axes = [number for part in found if part is not None for number in part.tolist()]
    if any(part is None for part in found):
        return False
    return min(axes) >= 0 and len(set(axes)) == len(axes)


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
