"""Blends, strength and stroke sizes, on a graph small enough to compute by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import impasto
from impasto.errors import ModelError, UnknownStyleError, UsageError
from impasto.images.reading import read_image
from impasto.images.resize import resample
from impasto.runtime.metadata import METADATA_KEY, ModelMetadata, StyleEntry
from impasto.runtime.mixing import stroke_factor
from impasto.runtime.stylizer import StyleModel

EXAMPLES = Path(__file__).parents[2] / "examples" / "photos"

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


def test_strength_adds_back_what_the_identity_loses(model, rgb):
    np.testing.assert_array_equal(model.paint(rgb, strength=0.0), rgb)
    # net(p(s)) + (1 - s) (x - net(p(0))) = s (1 - x) + (1 - s) 0.9 x + (1 - s) 0.1 x
    x = rgb / 255
    for strength in (0.25, 0.5, 0.9):
        expected = np.rint(255 * (strength * (1 - x) + (1 - strength) * x))
        painted = model.paint(rgb, strength=strength).astype(int)
        assert np.abs(painted - expected).max() <= 1
    np.testing.assert_array_equal(model.paint(rgb, strength=1.0), 255 - rgb)


def test_a_model_with_two_stroke_sizes_blends_between_them(tmp_path):
    metadata = dataclasses.replace(METADATA, styles=METADATA.styles[:1], stroke_sizes=(1.0, 2.0))
    path = save(tmp_path / "sizes.onnx", [(0, 0.2), (0, 0.8), (1, 0)], metadata)
    model = StyleModel(path, threads=1)
    rgb = np.zeros((40, 40, 3), np.uint8)
    for size, level in [(1, 51), (1.5, 128), (2, 204), ("auto", 51), ("native", 51)]:
        assert set(model.paint(rgb, stroke_size=size).ravel()) == {level}
    # Beyond 2 pixels are resampled, below 1 too.
    assert set(model.paint(rgb, stroke_size=4).ravel()) == {204}
    assert set(model.paint(rgb, stroke_size=0.5).ravel()) == {51}


def seen_sizes(model, monkeypatch):
    sizes = []
    run = model._session.run
    monkeypatch.setattr(
        model._session, "run", lambda x, w: (sizes.append(x.shape[2:]), run(x, w))[1]
    )
    return sizes


def test_auto_paints_every_picture_as_if_it_had_the_reference_size(tmp_path, monkeypatch):
    metadata = dataclasses.replace(METADATA, reference_px=64)
    model = StyleModel(save(tmp_path / "m.onnx", SETS, metadata), threads=1)
    sizes = seen_sizes(model, monkeypatch)
    for shape in [(64, 48), (32, 16), (128, 192)]:
        assert model.paint(np.zeros((*shape, 3), np.uint8)).shape == (*shape, 3)
    model.paint(np.zeros((128, 192, 3), np.uint8), stroke_size="native")
    model.paint(np.zeros((64, 48, 3), np.uint8), stroke_size=2)
    assert sizes == [(64, 48), (64, 32), (43, 64), (128, 192), (32, 24)]


def test_every_large_picture_is_painted_with_the_sets_of_the_reference_size(tmp_path):
    metadata = dataclasses.replace(
        METADATA, styles=METADATA.styles[:1], stroke_sizes=(1.0, 2.0), reference_px=64
    )
    path = save(tmp_path / "sizes.onnx", [(0, 0.2), (0, 0.8), (1, 0)], metadata)
    model = StyleModel(path, threads=1)
    for side, level in [(40, 51), (64, 51), (96, 128), (128, 204), (160, 128), (192, 51)]:
        assert set(model.paint(np.zeros((side, side, 3), np.uint8)).ravel()) == {level}
    large = np.zeros((256, 200, 3), np.uint8)
    for size, level in [("native", 51), (2, 204), (4, 51), (6, 128), (8, 204)]:
        assert set(model.paint(large, stroke_size=size).ravel()) == {level}


@pytest.mark.parametrize("kind", ["identity", "fade"])
def test_the_photos_share_stays_sharp_where_a_smaller_picture_is_painted(tmp_path, kind):
    metadata = dataclasses.replace(METADATA, strength=kind, styles=METADATA.styles[1:])
    sets = SETS[1:] if kind == "identity" else SETS[1:2]
    model = StyleModel(save(tmp_path / "m.onnx", sets, metadata), threads=1)
    noise = np.random.default_rng(1).integers(0, 256, (64, 80, 3), np.uint8)
    for strength in (0.1, 0.5, 0.9):
        painted = model.paint(noise, stroke_size=4, strength=strength)
        expected = (1 - strength) * noise + strength * 127.5
        np.testing.assert_allclose(painted, expected, atol=1)


@pytest.mark.parametrize("stroke_size", [1, 2, 4])
@pytest.mark.parametrize("dimmed", [False, True])
def test_strength_goes_one_way_at_every_stroke_size(model, rgb, dark, dimmed, stroke_size):
    photo = dark if dimmed else rgb
    steps = np.linspace(0, 1, 6)
    results = [model.paint(photo, strength=s, stroke_size=stroke_size) for s in steps]
    distances = [np.abs(result.astype(int) - photo).mean() for result in results]
    assert distances == sorted(distances)
    assert distances[0] == 0


def test_strokes_beyond_the_trained_sizes_are_those_of_half_the_picture_but_crisp():
    model = impasto.load_model("great_wave", threads=1)
    photo = resample(read_image(EXAMPLES / "astronaut.jpg").rgb, 0.5)
    painted = model.paint(photo, stroke_size=4)
    small = model.paint(resample(photo, 0.5), stroke_size=2)
    difference = np.abs(resample(painted, 0.5).astype(int) - small).mean()
    assert difference <= 6
    assert sharpness(painted) > 1.2 * sharpness(resample(small, 2))


def sharpness(rgb):
    return np.square(np.diff(rgb.astype(float), axis=1)).mean()


@pytest.mark.parametrize("size", [0.0, -1, 11, float("nan"), "large"])
def test_stroke_sizes_out_of_range_are_refused(model, rgb, size):
    with pytest.raises(UsageError, match=r"auto, native or a number from 0\.1 to 10"):
        model.paint(rgb, stroke_size=size)


def test_words_for_stroke_sizes():
    assert stroke_factor("auto", 4096, 1024) == 4
    assert stroke_factor("auto", 4096, None) == stroke_factor("native", 4096, 1024) == 1
    assert stroke_factor(2, 4096, 1024) == 2


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
    code, _, err = run_cli(*run, "--stroke-size", "huge")
    assert code == 2
    assert "--stroke-size must be auto, native or a number from 0.1 to 10, not 'huge'" in err
    assert run_cli(*run, "--stroke-size", "2", "-o", "two.png")[0] == 0


def test_styles_of_different_files_do_not_blend(catalog):
    with pytest.raises(UsageError, match="negative, mirror lie in different model files"):
        impasto.load_model("negative,mirror")
