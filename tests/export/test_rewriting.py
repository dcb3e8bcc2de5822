import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from impasto.export.rewriting import merge_slices


def graph(nodes, constants, output="b"):
    made = helper.make_graph(
        nodes,
        "slices",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, "h", "w"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 2, "p", "q"])],
        [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def cut(source, result, end, axis, *, start="one", step="one"):
    return helper.make_node("Slice", [source, start, end, axis, step], [result])


CONSTANTS = {"one": [1], "far": [-1], "rows": [2], "columns": [3]}


def run(model):
    x = np.arange(2 * 6 * 7, dtype=np.float32).reshape(1, 2, 6, 7)
    return ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


def kinds(model):
    return [node.op_type for node in model.graph.node]


def test_two_slices_along_two_axes_are_one():
    model = graph([cut("x", "a", "far", "rows"), cut("a", "b", "far", "columns")], CONSTANTS)
    expected = run(model)
    merge_slices(model.graph)
    onnx.checker.check_model(model)
    assert kinds(model) == ["Slice"]
    assert np.array_equal(run(model), expected)
    assert {item.name for item in model.graph.initializer} == {
        f"b.{part}" for part in ("starts", "ends", "axes", "steps")
    }


def test_ends_may_be_computed():
    nodes = [
        helper.make_node("Shape", ["x"], ["height"], start=2, end=3),
        cut("x", "a", "height", "rows"),
        helper.make_node("Shape", ["x"], ["width"], start=3, end=4),
        cut("a", "b", "width", "columns"),
    ]
    model = graph(nodes, CONSTANTS)
    expected = run(model)
    merge_slices(model.graph)
    onnx.checker.check_model(model)
    assert sorted(kinds(model)) == ["Concat", "Shape", "Shape", "Slice"]
    assert np.array_equal(run(model), expected)


@pytest.mark.parametrize(
    ("nodes", "output"),
    [
        ([cut("x", "a", "far", "rows"), cut("a", "b", "far", "rows")], "b"),
        (
            [
                cut("x", "a", "far", "rows"),
                cut("a", "c", "far", "columns"),
                helper.make_node("ReduceSum", ["a"], ["s"]),
                helper.make_node("Add", ["c", "s"], ["b"]),
            ],
            "b",
        ),
    ],
)
def test_others_stay(nodes, output):
    model = graph(nodes, CONSTANTS, output)
    before = kinds(model)
    expected = run(model)
    merge_slices(model.graph)
    assert kinds(model) == before
    assert np.array_equal(run(model), expected)
