"""Blends, strength and stroke sizes, on a graph small enough to compute by hand."""

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import helper

import impasto
from impasto.errors import ModelError, UnknownStyleError, UsageError
from impasto.images.reading import read_image
from impasto.runtime.metadata import METADATA_KEY, ModelMetadata, StyleEntry
from impasto.runtime.stylizer import StyleModel

METADATA = ModelMetadata(
    styles=(StyleEntry("negative", "Negative"), StyleEntry("grey", "Grey")),
    min_size_px=2,
    network={},
    weights_sha256="",
    strength="identity",
)


def save(path, sets, metadata=METADATA):
    """Writes ``output = sum over sets of weight * (slope * image + offset)``."""
    slopes, offsets = np.array(sets, np.float32).T
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["style_weights", "slopes"], ["slope"]),
            helper.make_node("MatMul", ["style_weights", "offsets"], ["offset"]),
            helper.make_node("Mul", ["image", "slope"], ["scaled"]),
            helper.make_node("Add", ["scaled", "offset"], ["output"]),
        ],
        "mixing",
        [
            helper.make_tensor_value_info("image", 1, ["N", 3, "H", "W"]),
            helper.make_tensor_value_info("style_weights", 1, [len(sets)]),
        ],
        [helper.make_tensor_value_info("output", 1, None)],
        [
            helper.make_tensor("slopes", 1, [len(sets)], slopes),
            helper.make_tensor("offsets", 1, [len(sets)], offsets),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.save(model, path)
    return path


# The negative, an even grey, and an identity that loses a tenth.
SETS = [(-1, 1), (0, 0.5), (0.9, 0)]


@pytest.fixture
def model(tmp_path):
    return StyleModel(save(tmp_path / "three.onnx", SETS), threads=1)


@pytest.fixture
def dark():
    return np.random.default_rng(0).integers(0, 40, (9, 12, 3), np.uint8)


def test_the_first_style_is_the_default_and_others_have_names(model, rgb):
    np.testing.assert_array_equal(model.paint(rgb), 255 - rgb)
    assert model.name == "negative"
    grey = model.with_blend({"grey": 1.0})
    assert set(grey.paint(rgb).ravel()) == {128}
    assert grey.name == "grey"
    np.testing.assert_array_equal(model.paint(rgb), 255 - rgb)  # its own style stays
    with pytest.raises(UnknownStyleError, match="no style 'gray': did you mean grey"):
        model.with_blend({"gray": 1.0})


def test_blends_mix_parameters(model):
    rgb = np.full((4, 4, 3), 51, np.uint8)
    mixed = model.with_blend({"negative": 0.75, "grey": 0.25})
    assert set(mixed.paint(rgb).ravel()) == {round(0.75 * 204 + 0.25 * 127.5)}
    assert mixed.name == "negative+grey"


def test_strength_mixes_with_the_identity_and_ends_at_the_photo(model, rgb):
    np.testing.assert_array_equal(model.paint(rgb, strength=0.0), rgb)
    # net(p(s)) = s (1 - x) + (1 - s) 0.9 x, and below a quarter the photo takes over.
    x = rgb / 255
    for strength, share in [(0.05, 0.36), (0.125, 0.75), (0.25, 1), (0.5, 1), (0.9, 1)]:
        painted = strength * (1 - x) + (1 - strength) * 0.9 * x
        expected = 255 * (share * painted + (1 - share) * x)
        assert np.abs(model.paint(rgb, strength=strength) - expected).max() <= 1
    np.testing.assert_array_equal(model.paint(rgb, strength=1.0), 255 - rgb)


def test_strength_goes_beyond_the_painting(model):
    rgb = np.full((4, 4, 3), 102, np.uint8)
    # 1.5 (1 - 0.4) - 0.5 * 0.9 * 0.4
    assert set(model.paint(rgb, strength=1.5).ravel()) == {round(255 * 0.72)}
    grey = model.with_blend({"grey": 1.0}).paint(rgb, strength=1.5)
    assert set(grey.ravel()) == {round(255 * 0.57)}


def test_a_model_with_two_stroke_sizes_paints_with_the_first(tmp_path):
    metadata = dataclasses.replace(METADATA, styles=METADATA.styles[:1], stroke_sizes=(1.0, 2.0))
    path = save(tmp_path / "sizes.onnx", [(0, 0.2), (0, 0.8), (1, 0)], metadata)
    model = StyleModel(path, threads=1)
    rgb = np.zeros((40, 40, 3), np.uint8)
    for size in (0.5, 1, 1.5, 2, 4):
        assert set(model.paint(rgb, stroke_size=size).ravel()) == {51}


@pytest.mark.parametrize("stroke_size", [1, 2, 4])
@pytest.mark.parametrize("dimmed", [False, True])
def test_strength_goes_one_way_at_every_stroke_size(model, rgb, dark, dimmed, stroke_size):
    photo = (dark if dimmed else rgb).repeat(5, axis=0).repeat(5, axis=1)
    steps = np.linspace(0, 1, 6)
    results = [model.paint(photo, strength=s, stroke_size=stroke_size) for s in steps]
    distances = [np.abs(result.astype(int) - photo).mean() for result in results]
    assert distances == sorted(distances)
    assert distances[0] == 0


def test_a_graph_that_does_not_fit_its_metadata_is_refused(tmp_path):
    path = save(tmp_path / "two.onnx", SETS[:2])
    with pytest.raises(ModelError, match="mixes 2 parameter sets, its metadata states 3"):
        StyleModel(path)


def test_names_and_blends_on_the_command_line(tmp_path, monkeypatch, run_cli, rgb, photo):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "three.onnx", SETS)
    run = ["stylize", photo, "-m", path]
    code, _, err = run_cli(*run, "--style", "negative:3,grey:1", "-o", "mixed.png")
    assert (code, err) == (0, "")
    expected = 0.75 * (255 - rgb.astype(float)) + 0.25 * 127.5
    assert np.abs(read_image("mixed.png").rgb - expected).max() <= 1
    code, _, err = run_cli(*run, "--style", "grey:x")
    assert code == 2
    assert "is no blend" in err
    assert run_cli(*run, "--stroke-size", "2", "-o", "two.png")[0] == 0


def test_styles_of_different_files_do_not_blend(catalog):
    with pytest.raises(UsageError, match="negative, mirror lie in different model files"):
        impasto.load_model("negative,mirror")
