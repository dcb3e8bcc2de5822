"""Exact changes to an exported graph, in place, that make it faster."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

_PARTS: Final = ("starts", "ends", "axes", "steps")
_HALVED_FROM: Final = 1024
"""Elements of a tensor that is worth storing in 16 bits."""
_FEW_CHANNELS: Final = 4
"""Four times as many fill a block of 16."""


def halve_weights(graph: onnx.GraphProto) -> None:
    """Stores large tensors in 16 bits; ONNX Runtime widens them once, when it opens the file."""
    for item in [item for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT]:
        values = numpy_helper.to_array(item)
        if values.size < _HALVED_FROM:
            continue
        name = f"{item.name}.float16"
        cast = helper.make_node("Cast", [name], [item.name], to=onnx.TensorProto.FLOAT)
        graph.node.insert(0, cast)
        item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name))


def merge_slices(graph: onnx.GraphProto) -> None:
    """Cuts a map along both axes at once: PyTorch exports one copy of it per axis.

    A ``Slice`` whose only use is a ``Slice`` along other axes goes.
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


def widen_last_convolution(graph: onnx.GraphProto) -> None:
    """Computes four neighbouring pixels at once in a last convolution of few channels.

    Runtimes compute channels in blocks of 8 or 16, of which a picture's three leave most idle. A
    kernel that is one larger in each direction and moves by two pixels gives twelve channels: those
    of four pixels, which ``DepthToSpace`` puts in their places. A map of odd sides gets a row or
    column more at its end, which the network must cut off afterwards.
    """
    node = next((node for node in reversed(graph.node) if node.op_type == "Conv"), None)
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    if node is None or not all(name in constants for name in node.input[1:]):
        return
    weights, *bias = (constants[name] for name in node.input[1:])
    channels, depth, *sides = weights.shape
    if channels > _FEW_CHANNELS or min(sides) == 1 or not _is_plain(node):
        return
    (result,) = node.output
    wide = np.zeros((channels, 2, 2, depth, *(side + 1 for side in sides)), weights.dtype)
    for row, column in np.ndindex(2, 2):
        rows, columns = slice(row, row + sides[0]), slice(column, column + sides[1])
        wide[:, row, column, :, rows, columns] = weights
    parameters = [wide.reshape(-1, *wide.shape[3:]), *(values.repeat(4) for values in bias)]
    inputs = [node.input[0]]
    for values, part in zip(parameters, ("weights", "bias"), strict=False):
        inputs.append(f"{result}.{part}")
        graph.initializer.append(numpy_helper.from_array(values, inputs[-1]))
    top, left, bottom, right = _attributes(node).get("pads", [0, 0, 0, 0])
    fours, pads = f"{result}.fours", [top, left, bottom + 1, right + 1]
    conv = helper.make_node("Conv", inputs, [fours], strides=[2, 2], pads=pads)
    apart = helper.make_node("DepthToSpace", [fours], [result], blocksize=2, mode="CRD")
    place = list(graph.node).index(node)
    graph.node.remove(node)
    for new in (apart, conv):
        graph.node.insert(place, new)
    _drop_unused(graph)


def _is_plain(node: onnx.NodeProto) -> bool:
    """Tells whether a convolution moves by one pixel, without gaps or groups."""
    found = _attributes(node)
    steps = [*found.get("strides", [1]), *found.get("dilations", [1]), found.get("group", 1)]
    return set(steps) == {1} and found.get("auto_pad", b"NOTSET") == b"NOTSET"


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def unfold_depth_to_space(graph: onnx.GraphProto) -> None:
    """Interleaves sub-pixels along columns, then along rows, where channels have PyTorch's order.

    Each is a transposition that moves one axis, which ONNX Runtime copies in whole blocks; its
    own ``DepthToSpace``, which moves two, takes twice the time.
    """
    for node in [node for node in graph.node if node.op_type == "DepthToSpace"]:
        settings = _attributes(node)
        if settings.get("mode") != b"CRD":
            continue
        place = list(graph.node).index(node)
        graph.node.remove(node)
        for new in reversed(_interleaving(graph, node, settings["blocksize"])):
            graph.node.insert(place, new)


def _interleaving(graph: onnx.GraphProto, node: onnx.NodeProto, scale: int) -> list[onnx.NodeProto]:
    """Returns what maps (N, scale^2 C, H, W) to (N, C, scale H, scale W)."""
    (source,), (result,) = node.input, node.output

    def name(part: str) -> str:
        return f"{result}.{part}"

    def constant(part: str, values: list[int]) -> str:
        item = numpy_helper.from_array(np.array(values, np.int64), name(part))
        graph.initializer.append(item)
        return item.name

    any_number, steps = constant("any", [-1]), constant("scale", [scale])
    batch, height, width = name("batch"), name("height"), name("width")
    high, wide = name("high"), name("wide")
    return [
        helper.make_node("Shape", [source], [batch], start=0, end=1),
        helper.make_node("Shape", [source], [height], start=2, end=3),
        helper.make_node("Shape", [source], [width], start=3, end=4),
        helper.make_node("Mul", [height, steps], [high]),
        helper.make_node("Mul", [width, steps], [wide]),
        # Zeros keep height and width where they are.
        helper.make_node(
            "Reshape", [source, constant("columns", [-1, scale, 0, 0])], [name("apart")]
        ),
        helper.make_node("Transpose", [name("apart")], [name("side")], perm=[0, 2, 3, 1]),
        helper.make_node("Concat", [any_number, steps, height, wide], [name("rows")], axis=0),
        helper.make_node("Reshape", [name("side"), name("rows")], [name("lines")]),
        helper.make_node("Transpose", [name("lines")], [name("whole")], perm=[0, 2, 1, 3]),
        helper.make_node("Concat", [batch, any_number, high, wide], [name("size")], axis=0),
        helper.make_node("Reshape", [name("whole"), name("size")], [result]),
    ]


def _separate(
    first: onnx.NodeProto, second: onnx.NodeProto, constants: dict[str, np.ndarray]
) -> bool:
    """Tells whether two slices, all of whose parts are stated, are along different axes."""
    stated = [node.input[3] for node in (first, second) if len(node.input) == 5]
    if len(stated) != 2 or not all(name in constants for name in stated):
        return False
    axes = [number for name in stated for number in constants[name].tolist()]
    return min(axes) >= 0 and len(set(axes)) == len(axes)


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
