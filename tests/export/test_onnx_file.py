import base64
import dataclasses
import errno
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import tiny_models
import torch
from torch import nn

from impasto.errors import ExportError, OutputError
from impasto.export import export_network, load_weights, onnx_file, save_weights
from impasto.networks import NetworkSpec, spec_from_dict
from impasto.runtime.metadata import REFINE_KEY, ModelMetadata, StyleEntry
from impasto.runtime.model_file import read_model_file
from impasto.runtime.stylizer import StyleModel

# Every norm, upsampling and padding once: an export takes seconds.
SPECS = {
    "shipped": NetworkSpec(width=2, residual_blocks=1),
    "subpixel": NetworkSpec(
        width=2,
        residual_blocks=1,
        norm="batch",
        upsampling="subpixel",
        padding="replicate",
        output="tanh_0_255",
    ),
    "paper": NetworkSpec(
        width=2,
        residual_blocks=2,
        norm="batch",
        upsampling="transposed",
        padding="reflection_start",
    ),
    "bilinear": NetworkSpec(width=2, residual_blocks=1, upsampling="bilinear", padding="zero"),
}
TWO_PARTS = tiny_models.SPECS["draft_refine"]


def make_metadata(spec):
    return ModelMetadata(
        styles=(StyleEntry("wave", "Wave", "ab" * 32),),
        min_size_px=spec.min_size_px,
        network=spec.to_dict(),
        weights_sha256="cd" * 32,
        recipe={"steps_done": 3},
    )


def trained(spec):
    """A network whose weights and running statistics are not those of a fresh one."""
    torch.manual_seed(2)
    network = spec.build()
    for _ in range(3):
        network(torch.rand(2, 3, 48, 48))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Exports by name, each made once: network, path and stated difference."""
    made = {}

    def export(name):
        if name not in made:
            spec = SPECS[name]
            network = trained(spec)
            path = tmp_path_factory.mktemp(name) / "wave.onnx"
            made[name] = (network, path, export_network(network, make_metadata(spec), path))
        return made[name]

    return export


@pytest.fixture(params=SPECS)
def each(request, exported):
    return exported(request.param)


def test_onnx_equals_pytorch_at_any_size_and_batch(each):
    network, path, difference = each
    assert difference < 1e-4
    session = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    smallest = network.spec.min_size_px
    for batch, height, width in (
        (1, smallest, smallest),
        (1, smallest + 1, smallest + 6),
        (3, smallest + 30, smallest + 17),
        (1, 128, 45),
        (2, 53, 64),
    ):
        images = torch.rand(batch, 3, height, width)
        with torch.no_grad():
            expected = network.eval()(images).numpy()
        (output,) = session.run(["output"], {"image": images.numpy()})
        assert output.shape == (batch, 3, height, width)
        assert np.abs(output - expected).max() < 1e-4


@pytest.fixture(scope="module")
def two_parts(tmp_path_factory):
    """A draft and refine network, exported in 16 bits: network, path, its parts by name."""
    spec = TWO_PARTS
    torch.manual_seed(4)
    network = spec.build()
    for part in (network.draft, network.refine):
        nn.init.normal_(part.style_parameters.table, 1, 0.3)
    network.refine.last.weight.data *= 5
    network.half().float()
    path = tmp_path_factory.mktemp("two") / "two.onnx"
    styles = tuple(StyleEntry(f"style{n}", f"Style {n}") for n in range(3))
    stated = {"styles": styles, "working_px": 512, "halo_px": spec.halo_px}
    metadata = dataclasses.replace(make_metadata(spec), **stated)
    assert export_network(network, metadata, path, float16=True) < 1e-3
    draft = onnx.load(path)
    props = {prop.key: prop.value for prop in draft.metadata_props}
    refine = onnx.load_from_string(base64.b64decode(props[REFINE_KEY], validate=True))
    return network.eval(), path, {"draft": draft, "refine": refine}


def test_both_parts_equal_pytorch_at_any_size(two_parts):
    network, _, parts = two_parts
    halo = TWO_PARTS.halo_px
    mixtures = [torch.tensor(shares) for shares in ([0.5, 0.7, -0.2], [0.0, 1.0, 0.0])]
    sessions = {
        name: ort.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
        for name, part in parts.items()
    }
    for height, width in ((24, 24), (25, 40), (61, 98)):
        photo = torch.rand(2, 3, height, width)
        found = []
        for shares in mixtures:
            feeds = {"image": photo.numpy(), "style_weights": shares.numpy()}
            (draft,) = sessions["draft"].run(["output"], feeds)
            with torch.no_grad():
                expected = network.draft(photo, shares).numpy()
            assert draft.shape == (2, 3, height, width)
            assert np.abs(draft - expected).max() < 1e-3
            found.append(draft)
        assert np.abs(found[0] - found[1]).max() > 0.01
    for height, width in ((2, 2), (40, 64), (66, 30)):
        photo, draft = torch.rand(2, 1, 3, height + 2 * halo, width + 2 * halo)
        pictures = {"photo": photo.numpy(), "draft": draft.numpy()}
        for shares in mixtures:
            feeds = pictures | {"style_weights": shares.numpy()}
            (result,) = sessions["refine"].run(["output"], feeds)
            with torch.no_grad():
                expected = network.refine(photo, draft, shares).numpy()
            assert result.shape == (1, 3, height, width)
            assert np.abs(result - expected).max() < 1e-3


def test_both_graphs_are_plain(two_parts):
    for part in two_parts[2].values():
        assert {opset.domain for opset in part.opset_import} <= {"", "ai.onnx"}
        kinds = Counter(node.op_type for node in part.graph.node)
        assert (kinds["MatMul"], kinds["Split"], kinds["DepthToSpace"]) == (1, 1, 0)
        assert b"site-packages" not in part.SerializeToString()


@pytest.mark.parametrize("stated", [{}, {"working_px": 512}, {"working_px": 512, "halo_px": 2}])
def test_metadata_of_another_network_is_refused(two_parts, stated, tmp_path):
    network, *_ = two_parts
    metadata = dataclasses.replace(make_metadata(network.spec), **stated)
    with pytest.raises(ExportError, match="which the network has not"):
        export_network(network, metadata, tmp_path / "two.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_file_says_what_it_needs(each):
    network, path, _ = each
    data, metadata = read_model_file(path)
    assert data == path.read_bytes()
    assert metadata == make_metadata(network.spec)
    assert spec_from_dict(metadata.network) == network.spec
    assert [file.name for file in path.parent.iterdir()] == ["wave.onnx"]


def test_the_graph_is_plain_and_knows_no_machine(each):
    _, path, _ = each
    model = onnx.load(path)
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx"}
    assert len(model.functions) == 0
    assert [prop.key for prop in model.metadata_props] == ["impasto"]
    data = path.read_bytes()
    for trace in (b"site-packages", b".py", str(Path.cwd()).encode(), sys.prefix.encode()):
        assert trace not in data
    sizes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.input}
    n, channels, height, width = sizes["image"]
    assert channels.dim_value == 3
    assert all(dim.dim_param for dim in (n, height, width))


def test_the_runtime_paints_with_the_file(exported):
    network, path, _ = exported("shipped")
    photo = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    painted = StyleModel(path).paint(photo)
    images = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network.eval()(images)[0].clamp(0, 1).mul(255).permute(1, 2, 0).numpy()
    assert painted.shape == photo.shape
    assert np.abs(painted - expected).max() <= 0.51


def test_plain_weights_lead_to_the_same_file(exported, tmp_path):
    network, path, _ = exported("shipped")
    save_weights(network, tmp_path / "wave.safetensors")
    rebuilt = load_weights(tmp_path / "wave.safetensors")
    again = tmp_path / "wave.onnx"
    export_network(rebuilt, make_metadata(rebuilt.spec), again)
    images = {"image": np.random.default_rng(1).random((1, 3, 33, 40), dtype=np.float32)}
    first, second = (ort.InferenceSession(str(p)).run(None, images)[0] for p in (path, again))
    assert np.array_equal(first, second)


@pytest.fixture
def ready(exported, monkeypatch):
    """A network whose tracing is replaced by the graph that was made of it before."""
    network, path, _ = exported("shipped")
    model = onnx.load(path)
    del model.metadata_props[:]
    monkeypatch.setattr(onnx_file, "_to_onnx", lambda _: model)
    fresh = network.spec.build()
    fresh.load_state_dict(network.state_dict())
    return fresh


def test_a_graph_that_differs_is_refused(ready, tmp_path):
    ready.layers[-1].bias.data += 0.1
    with pytest.raises(ExportError) as caught:
        export_network(ready, make_metadata(ready.spec), tmp_path / "wave.onnx")
    assert "wave.onnx was not written" in str(caught.value)
    assert "allowed is 0.001" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_difference_at_one_odd_size_is_found(ready, tmp_path, monkeypatch):
    forward = type(ready).forward

    def odd(self, images):
        result = forward(self, images)
        return result + 0.01 if images.shape[-1] % 2 else result

    monkeypatch.setattr(type(ready), "forward", odd)
    with pytest.raises(ExportError, match=r"differ by 0\.01"):
        export_network(ready, make_metadata(ready.spec), tmp_path / "wave.onnx")
    assert list(tmp_path.iterdir()) == []


def test_another_output_size_is_refused(ready, tmp_path, monkeypatch):
    forward = type(ready).forward
    monkeypatch.setattr(type(ready), "forward", lambda self, x: forward(self, x)[..., 1:])
    with pytest.raises(ExportError, match="nothing was written"):
        export_network(ready, make_metadata(ready.spec), tmp_path / "wave.onnx")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_no_numbers_are_refused(ready, tmp_path):
    ready.layers[-1].bias.data[1] = float("nan")
    with pytest.raises(ExportError, match="nan"):
        export_network(ready, make_metadata(ready.spec), tmp_path / "wave.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(ready, tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="no space left on the disk"):
        export_network(ready, make_metadata(ready.spec), tmp_path / "wave.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_is_replaced(ready, tmp_path):
    path = tmp_path / "wave.onnx"
    path.write_text("old")
    assert export_network(ready, make_metadata(ready.spec), path) < 1e-4
    assert read_model_file(path)[1] == make_metadata(ready.spec)
