"""Painting in strips: the same picture as in one piece, whatever the size of the strips."""

import dataclasses
import json
import re
import shutil
import tempfile
from collections import namedtuple

import numpy as np
import pytest
from tiny_models import SPECS, exported

from impasto.errors import ModelError, OutputError, UsageError
from impasto.images.rows import HELD_BYTES
from impasto.networks import NetworkSpec, build_network
from impasto.runtime import strips
from impasto.runtime.budget import Budget
from impasto.runtime.model_file import graph_parts, read_model_file
from impasto.runtime.stages import PARAMETERS, read_stages, stage_model
from impasto.runtime.strips import StripNetwork, working_bytes
from impasto.runtime.stylizer import StyleModel


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: exported(spec, folder / f"{name}.onnx") for name, spec in SPECS.items()}


@pytest.fixture(scope="module")
def uneven():
    """A picture that is dark above and bright below, so that its parts differ in statistics."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 150)[:, None, None]
    return (ramp + rng.integers(0, 55, (150, 61, 3))).astype(np.uint8)


def in_one_piece(path, rgb):
    return StyleModel(path, threads=1).paint(rgb, stroke_size="native", memory=1 << 40)


def in_strips(path, rgb, rows, weights=None, at_once=1):
    data, metadata = read_model_file(path)
    plan = read_stages(data)
    if metadata.parameter_sets > 1:
        weights = np.eye(metadata.parameter_sets, dtype=np.float32)[0]
    result = np.full(rgb.shape, -1.0, np.float32)

    def keep(first, part):
        result[first : first + len(part)] = part

    StripNetwork(data, plan, threads=at_once).run(
        rgb,
        keep,
        style_weights=weights,
        strip_rows=rows * plan.align_px,
        at_once=at_once,
    )
    return np.rint(result.clip(0, 1) * 255).astype(int)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_strips_give_the_picture_of_the_whole(models, uneven, name, rows):
    difference = np.abs(in_strips(models[name], uneven, rows) - in_one_piece(models[name], uneven))
    assert difference.max() <= 1


@pytest.mark.parametrize("name", SPECS)
def test_several_strips_at_once_give_the_same(models, uneven, name):
    one = in_strips(models[name], uneven, 3)
    assert np.array_equal(in_strips(models[name], uneven, 3, at_once=3), one)


def test_threads_have_strips_of_their_own_unless_these_would_be_mere_halo(models, monkeypatch):
    data, _ = read_model_file(models["fast"])
    plan = read_stages(data)
    asked = []
    monkeypatch.setattr(StripNetwork, "run", lambda *_, **k: asked.append(k))
    rgb = np.zeros((4000, 1000, 3), np.uint8)
    for memory in (1 << 30, 16 << 20):
        network = StripNetwork(data, plan, threads=4)
        network.paint(rgb, None, Budget(memory), np.empty(0, np.float32))
        assert asked[-1]["strip_rows"] == network.strip_rows(
            1000, max(memory - HELD_BYTES * 4_000_000, memory // 4) // asked[-1]["at_once"]
        )
    assert [k["at_once"] for k in asked] == [4, 1]


@pytest.mark.parametrize("height", [64, 65, 66, 67, 71])
@pytest.mark.parametrize("name", ["fast", "johnson"])
def test_any_height_will_do(models, uneven, name, height):
    rgb = uneven[:height]
    assert np.abs(in_strips(models[name], rgb, 2) - in_one_piece(models[name], rgb)).max() <= 1


def test_weights_in_16_bits_are_no_matter(models, uneven, tmp_path):
    path = exported(SPECS["fast"], tmp_path / "half.onnx", float16=True)
    assert read_model_file(path)[0].count(b".float16") > 0
    whole = in_one_piece(path, uneven)
    assert np.abs(in_strips(path, uneven, 3) - whole).max() <= 1
    assert 0 < np.abs(in_one_piece(models["fast"], uneven).astype(int) - whole).mean() < 1


def test_parts_alone_would_differ(models, uneven):
    whole = in_one_piece(models["fast"], uneven)
    halves = [in_one_piece(models["fast"], uneven[part]) for part in (slice(0, 76), slice(76, 150))]
    assert np.abs(np.concatenate(halves).astype(int) - whole).mean() > 5


@pytest.mark.parametrize("name", SPECS)
def test_a_model_holds_its_weights_once(models, name):
    data, metadata = read_model_file(models[name])
    plan = read_stages(data)
    assert plan.stages[0].name == PARAMETERS
    norms = sum(len(stage.norms) for stage in plan.stages)
    assert norms == len(plan.stages) - 2  # the parameters and the first stage apply none
    assert all(about.bits == 16 for stage in plan.stages for about in stage.leaves)
    weights = sum(p.numel() for p in build_network(SPECS[name]).parameters()) * 4
    assert sum(len(stage.graph) for stage in plan.stages) < weights + 60_000
    assert plan.halo_px % plan.align_px == 0
    assert metadata.kind == "style"


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec(width=4, residual_blocks=1, norm="batch"),
        NetworkSpec(width=4, residual_blocks=1, padding="reflection_start"),
    ],
)
def test_other_networks_have_no_stages(spec, tmp_path):
    path = exported(spec, tmp_path / "m.onnx")
    data, _ = read_model_file(path)
    assert read_stages(data) is None
    rgb = np.random.default_rng(0).integers(0, 256, (90, 64, 3), dtype=np.uint8)
    small, large = (
        StyleModel(path, threads=1).paint(rgb, stroke_size="native", memory=m)
        for m in (1 << 20, 1 << 40)
    )
    assert np.array_equal(small, large)


def test_a_picture_beyond_the_memory_is_painted_in_strips(models, uneven, monkeypatch):
    rgb = np.tile(uneven, (4, 3, 1))
    path = models["fast"]
    counted = []
    run = strips._run_strip
    monkeypatch.setattr(strips, "_run_strip", lambda *a: counted.append(1) or run(*a))
    model = StyleModel(path, threads=1)
    shares = []
    painted = model.paint(rgb, stroke_size="native", memory=6 << 20, progress=shares.append)
    stages = len(read_stages(read_model_file(path)[0]).stages) - 1
    assert len(counted) >= 2 * stages
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    counted.clear()
    whole = model.paint(rgb, stroke_size="native")
    assert not counted
    assert np.abs(painted.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("setting", [{"strength": 0.5}, {"keep_colors": True}])
def test_the_dials_work_on_strips(models, uneven, setting):
    rgb = np.tile(uneven, (4, 3, 1))
    model = StyleModel(models["fast"], threads=1)
    small, large = (
        model.paint(rgb, stroke_size="native", memory=m, **setting) for m in (6 << 20, 1 << 40)
    )
    assert np.abs(small.astype(int) - large).max() <= 1


def test_too_little_memory_names_the_least(models, uneven):
    data, _ = read_model_file(models["fast"])
    network = StripNetwork(data, read_stages(data), threads=1)
    model = StyleModel(models["fast"], threads=1)
    for shape in ((600, 999), (40, 3000), (20, 9000), (1200, 61)):
        rgb = np.zeros((*shape, 3), np.uint8)
        message = f"a picture of {shape[1]}x{shape[0]} needs at least"
        with pytest.raises(UsageError, match=message) as told:
            model.paint(rgb, stroke_size="native", memory=100_000)
        least = int(re.search(r"(\d+) MiB", str(told.value))[1])
        assert model.paint(rgb, stroke_size="native", memory=least << 20).shape == rgb.shape
        with pytest.raises(UsageError, match=f"needs at least {least} MiB"):
            model.paint(rgb, stroke_size="native", memory=(least - 1) << 20)
    plan = read_stages(data)
    assert network.strip_rows(1000, network.least_bytes(1000)) == plan.align_px
    rows = network.strip_rows(1000, 64 << 20)
    assert rows % plan.align_px == 0
    one = working_bytes(plan, 1000, 1000) / 1000 * strips._COPIES_IN_STRIPS / strips._COPIES_WHOLE
    assert one * (rows + 2 * plan.halo_px) <= 64 << 20
    assert one * (rows + 2 * plan.halo_px + plan.align_px) > 64 << 20


def test_too_little_temporary_space_is_told_before_the_work(models, uneven, monkeypatch):
    data, _ = read_model_file(models["fast"])
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 100))
    network = StripNetwork(data, read_stages(data), threads=1)
    with pytest.raises(OutputError, match=r"a picture of 61x150 needs 1 MiB more temporary"):
        paint(network, uneven)


def test_a_disk_that_fills_up_is_told_in_one_line(models, uneven, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(strips.tempfile, "TemporaryFile", full)
    data, _ = read_model_file(models["fast"])
    network = StripNetwork(data, read_stages(data), threads=1)
    with pytest.raises(OutputError, match=r"cannot write temporary files in .*: No space left"):
        paint(network, uneven)


def test_temporary_files_are_gone_afterwards(models, uneven, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    in_strips(models["johnson"], uneven, 3)
    assert list(tmp_path.iterdir()) == []


def paint(network, rgb):
    result = np.empty(rgb.shape, np.float32)
    network.paint(rgb, np.ones(2, np.float32), Budget(4 << 20), result)


def damaged(data, change):
    values = json.loads(read_stages(data).to_json())
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("stages"),
        lambda v: v.update(halo_px=5),
        lambda v: v.update(align_px=0),
        lambda v: v["stages"].pop(0),
        lambda v: v["stages"][1]["leaves"][0].update(step_px=-4),
        lambda v: v["stages"][1]["leaves"][0].update(bits=8),
        lambda v: v["stages"][2]["norms"][0].update(epsilon=0),
        lambda v: v["stages"][2].update(graph=7),
    ],
)
def test_damaged_stages_are_refused(models, monkeypatch, change):
    data, _ = read_model_file(models["fast"])
    text = damaged(data, change)
    monkeypatch.setattr("impasto.runtime.stages.read_entry", lambda *_: text)
    with pytest.raises(ModelError, match="the model's stages are damaged"):
        read_stages(data)


def test_a_stage_cannot_lead_out_of_the_file(models):
    import base64

    import onnx

    data, _ = read_model_file(models["fast"])
    stage = read_stages(data).stages[1]
    graph = onnx.load_from_string(base64.b64decode(stage.graph))
    tensor = graph.graph.initializer.add(name="secret", data_type=1, dims=[1])
    tensor.external_data.add(key="location", value="secret.bin")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensors = graph_parts(data).tensors
    outside = base64.b64encode(graph.SerializeToString()).decode()
    with pytest.raises(ModelError, match="external data"):
        stage_model(tensors, dataclasses.replace(stage, graph=outside))
    with pytest.raises(ModelError, match="stage 0 of the model is damaged"):
        stage_model(tensors, dataclasses.replace(stage, graph="not base64!"))
