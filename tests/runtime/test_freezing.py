import dataclasses

import numpy as np
import onnx
import pytest
from tiny_models import SPECS, exported

from impasto.errors import ModelError, UsageError
from impasto.networks import FastSpec
from impasto.runtime.metadata import StyleEntry
from impasto.runtime.model_file import read_model_bytes, read_model_file
from impasto.runtime.stylizer import StyleModel


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: exported(SPECS[name], folder / f"{name}.onnx") for name in ("fast", "johnson")}


@pytest.fixture
def rgb():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 150)[:, None, None]
    return (ramp + rng.integers(0, 55, (150, 121, 3))).astype(np.uint8)


@pytest.fixture(params=["fast", "johnson"])
def pair(request, models, rgb, tmp_path):
    model = StyleModel(models[request.param], threads=1)
    path = tmp_path / "frozen.onnx"
    path.write_bytes(model.frozen(rgb))
    return model, StyleModel(path, threads=1), path


def test_the_picture_itself_is_painted_as_before(pair, rgb):
    model, frozen, _ = pair
    assert np.abs(frozen.paint(rgb).astype(int) - model.paint(rgb)).max() <= 1


def test_a_part_is_painted_as_in_the_whole(pair, rgb):
    model, frozen, path = pair
    halo = read_model_file(path)[1].tiling.halo_px
    assert halo < 60
    whole, part = frozen.paint(rgb).astype(int), frozen.paint(rgb[:80]).astype(int)
    assert np.abs(part[: 80 - halo] - whole[: 80 - halo]).max() <= 1
    free = model.paint(rgb[:80]).astype(int)
    assert np.abs(free[: 80 - halo] - whole[: 80 - halo]).mean() > 2


def test_the_file_holds_one_style_and_no_norm(pair):
    model, frozen, path = pair
    onnx.checker.check_model(path)
    graph = onnx.load(path).graph
    assert [value.name for value in graph.input] == ["image"]
    assert "InstanceNormalization" not in {node.op_type for node in graph.node}
    used = {name for node in graph.node for name in node.input}
    assert {item.name for item in graph.initializer} <= used
    assert frozen.metadata.styles[0].name == model.name
    assert frozen.metadata.strength == "fade"
    assert frozen.metadata.tiling.allowed
    assert path.stat().st_size < 1.2 * len(model._data)


def test_it_may_be_run_in_tiles(pair, rgb):
    _, frozen, _ = pair
    large = np.tile(rgb, (2, 3, 1))
    shares = []
    tiles = frozen.paint(large, memory=64 << 20, progress=shares.append).astype(int)
    assert len(shares) > 4
    assert np.abs(tiles - frozen.paint(large, memory=1 << 40)).max() <= 1


@pytest.fixture(scope="module")
def two_sizes(tmp_path_factory):
    """As the gallery: two stroke sizes and an identity, sized for pictures of 64 px."""
    return exported(
        FastSpec(width=8, half_width=4, residual_blocks=2, parameter_sets=3),
        tmp_path_factory.mktemp("sizes") / "sizes.onnx",
        styles=(StyleEntry("one", "One"),),
        stroke_sizes=(1.0, 2.0),
        strength="identity",
        reference_px=64,
    )


# Of a picture of 150 px, strokes of "auto" are 150/64 = 2.34 times as large; parameter sets give
# 2 * 2 - 2.34 = 1.66 of that, and 150 * 1.66 / 2.34 = 106 px the rest. Of 3, they give
# max(3 * 64 / 150, 2 * 2 - 3) = 1.28, and 150 * 1.28 / 3 = 64.
@pytest.mark.parametrize(
    ("height", "stroke_size", "reference_px"),
    [
        (150, "auto", 106),
        (100, "auto", 100),
        (64, "auto", 64),
        (40, "auto", 64),
        (150, "native", None),
        (150, 1.5, None),
        (150, 2, None),
        (150, 3, 64),
        (150, 0.6, 250),
    ],
)
def test_any_size_and_stroke_size_is_painted_as_before(
    two_sizes, rgb, tmp_path, height, stroke_size, reference_px
):
    model = StyleModel(two_sizes, threads=1)
    photo = rgb[:height, :61]
    path = tmp_path / "frozen.onnx"
    path.write_bytes(model.frozen(photo, stroke_size=stroke_size))
    frozen = StyleModel(path, threads=1)
    assert frozen.metadata.reference_px == reference_px
    expected = model.paint(photo, stroke_size=stroke_size)
    assert np.abs(frozen.paint(photo).astype(int) - expected).max() <= 1
    other = model.paint(photo, stroke_size=1 if stroke_size == 2 else 2)
    assert np.abs(other.astype(int) - expected).mean() > 2


def test_strokes_that_no_model_can_state(two_sizes):
    photo = np.zeros((9, 900, 3), np.uint8)
    with pytest.raises(UsageError, match=r"painted 9,000 px long.* up to 8,192: take a smaller"):
        StyleModel(two_sizes, threads=1).frozen(photo, stroke_size=0.1)


def test_a_blend_is_frozen_as_one_style(models, rgb, tmp_path):
    model = StyleModel(models["fast"], threads=1).with_blend({"style0": 0.25, "style1": 0.75})
    path = tmp_path / "blend.onnx"
    path.write_bytes(model.frozen(rgb))
    frozen = StyleModel(path, threads=1)
    assert frozen.name == "style0_style1"
    assert np.abs(frozen.paint(rgb).astype(int) - model.paint(rgb)).max() <= 1


def test_a_frozen_model_cannot_be_frozen_again(pair, rgb):
    _, frozen, _ = pair
    with pytest.raises(ModelError, match="has no norms to freeze, or was exported by an older"):
        frozen.frozen(rgb)


def test_the_metadata_stays_readable(pair):
    model, _, path = pair
    metadata = read_model_bytes(path.read_bytes())
    assert dataclasses.replace(metadata, styles=(), tiling=model.metadata.tiling) == (
        dataclasses.replace(
            model.metadata, styles=(), stroke_sizes=(1.0,), strength="fade", scores={}
        )
    )
