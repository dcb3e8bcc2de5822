import onnx
import pytest
from onnx import TensorProto, helper

from impasto.errors import ModelError, NewerFormatError
from impasto.runtime import model_file
from impasto.runtime.metadata import METADATA_KEY
from impasto.runtime.model_file import read_model_bytes, read_model_file

EMPTY_GRAPH = helper.make_graph([], "g", [], [])


def outside_tensor(*, located=True):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2])
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    if located:
        tensor.data_location = TensorProto.EXTERNAL
    return tensor


def graph_of(tensor):
    return helper.make_graph([], "g", [], [], [tensor])


def in_sparse(tensor):
    sparse = onnx.SparseTensorProto(dims=[2], values=tensor)
    return helper.make_graph([], "g", [], [], sparse_initializer=[sparse])


def in_attribute(tensor):
    return helper.make_graph([helper.make_node("Constant", [], ["x"], value=tensor)], "g", [], [])


def in_subgraph(tensor):
    node = helper.make_node(
        "If", ["c"], ["x"], then_branch=graph_of(tensor), else_branch=EMPTY_GRAPH
    )
    return helper.make_graph([node], "g", [], [])


def in_deep_subgraph(tensor):
    graph = graph_of(tensor)
    for _ in range(20):
        node = helper.make_node("If", ["c"], ["x"], then_branch=graph, else_branch=EMPTY_GRAPH)
        graph = helper.make_graph([node], "g", [], [])
    return graph


def with_metadata(model, metadata):
    helper.set_model_props(model, {"other": "x", METADATA_KEY: metadata.to_json()})
    return model


def test_reads_bytes_and_metadata(tiny_model, metadata):
    data, read = read_model_file(tiny_model)
    assert data == tiny_model.read_bytes()
    assert read == metadata


@pytest.mark.parametrize(
    "place", [graph_of, in_sparse, in_attribute, in_subgraph, in_deep_subgraph]
)
@pytest.mark.parametrize("located", [True, False])
def test_external_data_is_refused_wherever_it_hides(place, located, metadata):
    model = with_metadata(helper.make_model(place(outside_tensor(located=located))), metadata)
    with pytest.raises(ModelError, match="external data"):
        read_model_bytes(model.SerializeToString())


def test_external_data_in_functions_and_training_info_is_refused(metadata):
    constant = helper.make_node("Constant", [], ["y"], value=outside_tensor())
    function = helper.make_function("d", "f", [], ["y"], [constant], [helper.make_opsetid("", 17)])
    model = helper.make_model(EMPTY_GRAPH, functions=[function])
    with pytest.raises(ModelError, match="external data"):
        read_model_bytes(with_metadata(model, metadata).SerializeToString())
    model = helper.make_model(EMPTY_GRAPH)
    model.training_info.add().algorithm.CopyFrom(graph_of(outside_tensor()))
    with pytest.raises(ModelError, match="external data"):
        read_model_bytes(with_metadata(model, metadata).SerializeToString())


def test_saved_with_external_data(tmp_path, metadata):
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4], bytes(16), raw=True)
    model = with_metadata(helper.make_model(graph_of(weights)), metadata)
    assert read_model_bytes(model.SerializeToString()) == metadata
    path = tmp_path / "big.onnx"
    onnx.save(model, path, save_as_external_data=True, size_threshold=0)
    with pytest.raises(ModelError, match=r"big\.onnx: keeps tensors in other files"):
        read_model_file(path)


def test_not_ours_and_newer(save_model, metadata, tmp_path):
    path = save_model(tmp_path / "other.onnx", meta=False)
    with pytest.raises(ModelError, match=r"other\.onnx: not a model made by impasto"):
        read_model_file(path)
    newer = metadata.to_json().replace('"format_version": 3', '"format_version": 4')
    path = save_model(tmp_path / "newer.onnx", meta=newer)
    with pytest.raises(NewerFormatError, match=r"newer\.onnx: made by a newer impasto"):
        read_model_file(path)


def test_missing_empty_text_and_folder(tmp_path):
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "text.onnx").write_text("hello, this is no model at all")
    for name, reason in [
        ("missing.onnx", "no such model file"),
        ("empty.onnx", "not a model made by impasto"),
        ("text.onnx", "not an ONNX model"),
        (".", "cannot read model file"),
    ]:
        with pytest.raises(ModelError, match=reason):
            read_model_file(tmp_path / name)


def test_size_limit(tiny_model, monkeypatch):
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", len(tiny_model.read_bytes()) - 1)
    with pytest.raises(ModelError, match="larger than"):
        read_model_file(tiny_model)


def test_every_truncation_is_a_clean_error(tiny_model, metadata):
    data = tiny_model.read_bytes()
    for end in range(len(data)):
        try:
            assert read_model_bytes(data[:end]) == metadata
        except ModelError:
            continue


@pytest.mark.parametrize(
    "data", [b"\x0b\x0c", b"\xff" * 11, b"\x00\x00", b"\x72\x05abc", b"\x38\x01"]
)
def test_malformed_bytes(data):
    with pytest.raises(ModelError, match="not an ONNX model"):
        read_model_bytes(data)
