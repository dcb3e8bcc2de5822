import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from impasto.export.rewriting import (
    merge_slices,
    unfold_depth_to_space,
    widen_last_convolution,
)


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


@pytest.mark.parametrize("scale", [2, 3])
def test_sub_pixels_are_interleaved_in_two_steps(scale):
    channels = 5 * scale**2
    x = np.random.default_rng(0).random((2, channels, 3, 4), np.float32)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("DepthToSpace", ["x"], ["b"], blocksize=scale, mode="CRD")],
            "sub-pixels",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, "h", "w"])],
            [helper.make_tensor_value_info("b", TensorProto.FLOAT, ["n", 5, "p", "q"])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    unfold_depth_to_space(model.graph)
    onnx.checker.check_model(model, full_check=True)
    assert "DepthToSpace" not in kinds(model)
    (result,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    # Channel c scale^2 + a scale + b goes to row scale y + a and column scale x + b.
    by_hand = x.reshape(2, 5, scale, scale, 3, 4).transpose(0, 1, 4, 2, 5, 3)
    assert np.array_equal(result, by_hand.reshape(2, 5, 3 * scale, 4 * scale))


def convolution(weights, bias=None, **settings):
    constants = {"w": weights} if bias is None else {"w": weights, "bias": bias}
    return helper.make_model(
        helper.make_graph(
            [helper.make_node("Conv", ["x", *constants], ["b"], **settings)],
            "convolution",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, "h", "w"])],
            [helper.make_tensor_value_info("b", TensorProto.FLOAT, ["n", len(weights), "p", "q"])],
            [numpy_helper.from_array(v, k) for k, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


@pytest.mark.parametrize(
    ("side", "pads", "with_bias"),
    [(9, [4, 4, 4, 4], True), (3, [1, 1, 1, 1], False), (5, [0, 0, 0, 0], True)],
)
def test_four_pixels_are_computed_at_once_where_channels_are_few(side, pads, with_bias):
    random = np.random.default_rng(0)
    bias = random.random(3, np.float32) if with_bias else None
    model = convolution(random.random((3, 2, side, side), np.float32), bias, pads=pads)
    x = random.random((2, 2, 11, 14), np.float32)
    (expected,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    widen_last_convolution(model.graph)
    onnx.checker.check_model(model, full_check=True)
    assert kinds(model) == ["Conv", "DepthToSpace"]
    weights = {item.name: item.dims for item in model.graph.initializer}["b.weights"]
    assert list(weights) == [12, 2, side + 1, side + 1]
    (result,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    height, width = expected.shape[2:]
    assert result.shape[2:] == (height + 1, width)
    np.testing.assert_allclose(result[:, :, :height], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("channels", "side", "settings"),
    [
        (5, 3, {}),
        (3, 1, {}),
        (3, 3, {"strides": [2, 2]}),
        (3, 3, {"dilations": [2, 2]}),
        (2, 3, {"group": 2}),
        (3, 3, {"auto_pad": "SAME_UPPER"}),
    ],
)
def test_other_convolutions_stay(channels, side, settings):
    depth = 2 // settings.get("group", 1)
    model = convolution(np.ones((channels, depth, side, side), np.float32), **settings)
    before = model.SerializeToString()
    widen_last_convolution(model.graph)
    assert model.SerializeToString() == before
