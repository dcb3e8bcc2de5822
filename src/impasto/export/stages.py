"""Cutting an exported graph between its norms, so that large pictures are painted in strips.

Instance norm looks at the whole picture: a strip can be normalised only after all strips are
convolved. So the graph is cut before each norm. A stage takes what earlier stages left, strip by
strip with a halo of rows, normalises it with statistics of the whole, and leaves what the next
norm is to see, with its sums. The weights stay in the model's own graph; a stage holds nodes only.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import onnx
from onnx import TensorProto, helper

from impasto.runtime.session import INPUT_NAME, OUTPUT_NAME, STYLE_INPUT_NAME
from impasto.runtime.stages import PARAMETERS, Stage, StagedNorm, StageMap

_KINDS: Final = {16: TensorProto.FLOAT16, 32: TensorProto.FLOAT}


@dataclass
class _Graph:
    """What is known of each value of a graph.

    Attributes:
        model: the graph's model.
        maps: what is known of the values that stages leave.
        made_by: the node that makes a value.
        pictures: values that lie over the picture, with the number of norms before them.
        styles: values that follow from the style alone.
    """

    model: onnx.ModelProto
    maps: dict[str, StageMap]
    made_by: dict[str, onnx.NodeProto] = field(default_factory=dict)
    pictures: dict[str, int] = field(default_factory=dict)
    styles: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pictures[INPUT_NAME] = 0
        self.styles.add(STYLE_INPUT_NAME)
        self.constants = {item.name for item in self.model.graph.initializer}
        for node in self.model.graph.node:
            norm = node.op_type == "InstanceNormalization"
            depths = [self.pictures[name] for name in node.input if name in self.pictures]
            for name in node.output:
                self.made_by[name] = node
                if depths and node.op_type != "Shape":
                    self.pictures[name] = max(depths) + norm
                elif any(value in self.styles for value in node.input):
                    self.styles.add(name)

    def map(self, name: str) -> StageMap:
        """Returns what is known of a value that a stage leaves."""
        return self.maps.get(name, StageMap(name))

    @property
    def norms(self) -> list[onnx.NodeProto]:
        return [n for n in self.model.graph.node if n.op_type == "InstanceNormalization"]


def cut_into_stages(
    model: onnx.ModelProto, maps: Mapping[str, StageMap] | None = None
) -> tuple[Stage, ...]:
    """Cuts a graph before each of its instance norms.

    Args:
        model: an exported style network.
        maps: what is known of the values that stages leave; their names suffice to find out.

    Returns:
        First the stage `PARAMETERS`, which gives each norm's scale and shift, then the others in
        their order. None where the graph has no instance norm.
    """
    graph = _Graph(model, dict(maps or {}))
    norms = graph.norms
    if not norms:
        return ()
    stages = [_parameters(graph, norms)]
    for depth in range(len(norms) + 1):
        wanted = _left_by(graph, depth)
        if wanted:
            stages.append(_stage(graph, depth, wanted))
    return tuple(stages)


def _left_by(graph: _Graph, depth: int) -> list[str]:
    """Names what a stage leaves to later ones: maps before norms, and what is used again."""
    wanted = []
    for node in graph.model.graph.node:
        later = max((graph.pictures.get(name, -1) for name in node.output), default=-1)
        if node.op_type == "Shape" or later <= depth:
            continue
        wanted += [
            name for name in node.input if graph.pictures.get(name) == depth and name != INPUT_NAME
        ]
    if graph.pictures[OUTPUT_NAME] == depth:
        wanted.append(OUTPUT_NAME)
    return list(dict.fromkeys(wanted))


def _parameters(graph: _Graph, norms: list[onnx.NodeProto]) -> Stage:
    """Makes the graph that gives the scales and shifts of all norms."""
    # Norms of equal values share one constant.
    wanted = list(dict.fromkeys(name for norm in norms for name in norm.input[1:3]))
    nodes = _needed(graph, wanted, stop=graph.constants | {STYLE_INPUT_NAME})
    inputs = []
    if any(STYLE_INPUT_NAME in node.input for node in nodes):
        (inputs,) = [[v] for v in graph.model.graph.input if v.name == STYLE_INPUT_NAME]
    # A value that is a constant already cannot be an output by its own name.
    nodes = [*nodes, *(helper.make_node("Identity", [w], [f"{w}.value"]) for w in wanted)]
    outputs = [helper.make_tensor_value_info(f"{w}.value", TensorProto.FLOAT, None) for w in wanted]
    return Stage(PARAMETERS, _packed(graph, nodes, inputs, outputs), (), (), ())


def _stage(graph: _Graph, depth: int, wanted: list[str]) -> Stage:
    """Makes the graph of one stage, with rows of maps going in and out."""
    norms = {norm.output[0]: norm for norm in graph.norms}
    nodes = _needed(
        graph,
        wanted,
        stop=graph.constants
        | {INPUT_NAME}
        | {name for name, number in graph.pictures.items() if number < depth}
        | norms.keys(),
    )
    used = {name for node in nodes for name in node.input} | set(wanted)
    applied = [n for name, n in norms.items() if name in used and graph.pictures[name] == depth]
    earlier = (n for n, number in graph.pictures.items() if n in used and number < depth)
    taken = [*dict.fromkeys([*earlier, *(norm.input[0] for norm in applied)])]
    taken = [name for name in taken if name != INPUT_NAME]
    before: list[onnx.NodeProto] = []
    inputs = []
    if depth == 0 or INPUT_NAME in used:
        inputs.append(
            helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [1, 3, None, None])
        )
    for name in taken:
        kind = _KINDS[graph.map(name).bits]
        inputs.append(helper.make_tensor_value_info(f"{name}.rows", kind, [None] * 3))
        before += _from_rows(name)
    for norm in applied:
        scale, shift = (f"{norm.output[0]}.{part}" for part in ("scale", "shift"))
        inputs += [
            helper.make_tensor_value_info(v, TensorProto.FLOAT, [None, 1, 1])
            for v in (scale, shift)
        ]
        before += [
            helper.make_node("Mul", [norm.input[0], scale], [f"{norm.output[0]}.scaled"]),
            helper.make_node("Add", [f"{norm.output[0]}.scaled", shift], [norm.output[0]]),
        ]
    after, outputs = [], []
    for name in wanted:
        inputs.append(helper.make_tensor_value_info(f"{name}.crop", TensorProto.INT64, [2]))
        picture = name == OUTPUT_NAME
        normed = any(norm.input[0] == name for norm in graph.norms)
        kind = TensorProto.FLOAT if picture else _KINDS[graph.map(name).bits]
        after += _to_rows(name, picture=picture, sums=normed, kind=kind)
        outputs.append(helper.make_tensor_value_info(f"{name}.kept", kind, None))
        if normed:
            outputs += [
                helper.make_tensor_value_info(f"{name}.{part}", TensorProto.FLOAT, None)
                for part in ("sum", "squares")
            ]
    packed = _packed(graph, [*before, *nodes, *after], inputs, outputs, crops=True)
    return Stage(
        str(depth),
        packed,
        tuple(map(graph.map, taken)),
        tuple(
            StagedNorm(
                norm.output[0],
                norm.input[0],
                norm.input[1],
                norm.input[2],
                next(a.f for a in norm.attribute if a.name == "epsilon"),
            )
            for norm in applied
        ),
        tuple(map(graph.map, wanted)),
    )


def _needed(graph: _Graph, wanted: Iterable[str], stop: set[str]) -> list[onnx.NodeProto]:
    """Returns the nodes that make values, in the graph's order, up to what is there already."""
    pending, names = list(wanted), set()
    while pending:
        name = pending.pop()
        if name in stop or name in names or not name:
            continue
        names.add(name)
        pending += graph.made_by[name].input
    return [node for node in graph.model.graph.node if names.intersection(node.output)]


def _from_rows(name: str) -> list[onnx.NodeProto]:
    """Turns rows as they are kept, ``(C, H, W)``, into a map ``(1, C, H, W)``."""
    return [
        helper.make_node("Unsqueeze", [f"{name}.rows", "stage.first_axis"], [f"{name}.batch"]),
        helper.make_node("Cast", [f"{name}.batch"], [name], to=TensorProto.FLOAT),
    ]


def _to_rows(name: str, *, picture: bool, sums: bool, kind: int) -> list[onnx.NodeProto]:
    """Keeps the rows of a strip that are its own, and sums them up for the norm."""
    cut = f"{name}.cut"
    nodes = [
        helper.make_node(
            "Split", [f"{name}.crop"], [f"{name}.first", f"{name}.end"], num_outputs=2
        ),
        helper.make_node("Slice", [name, f"{name}.first", f"{name}.end", "stage.row_axis"], [cut]),
    ]
    if sums:
        # ONNX Runtime takes longer over ReduceSumSquare.
        nodes.append(helper.make_node("Mul", [cut, cut], [f"{name}.squared"]))
        for value, part in ((cut, "sum"), (f"{name}.squared", "squares")):
            nodes.append(
                helper.make_node("ReduceSum", [value, "stage.over"], [f"{name}.{part}"], keepdims=0)
            )
    if picture:
        nodes.append(helper.make_node("Identity", [cut], [f"{name}.kept"]))
        return nodes
    return [
        *nodes,
        helper.make_node("Squeeze", [cut, "stage.first_axis"], [f"{name}.whole"]),
        helper.make_node("Cast", [f"{name}.whole"], [f"{name}.kept"], to=kind),
    ]


def _packed(
    graph: _Graph,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    *,
    crops: bool = False,
) -> str:
    """Returns a model of these nodes as text; its weights are named and not held."""
    constants = []
    if crops:
        constants = [
            helper.make_tensor("stage.first_axis", TensorProto.INT64, [1], [0]),
            helper.make_tensor("stage.row_axis", TensorProto.INT64, [1], [2]),
            helper.make_tensor("stage.over", TensorProto.INT64, [3], [0, 2, 3]),
        ]
    made = helper.make_graph(nodes, "stage", inputs, outputs, constants)
    model = helper.make_model(
        made, ir_version=graph.model.ir_version, opset_imports=graph.model.opset_import
    )
    return base64.b64encode(model.SerializeToString()).decode("ascii")
