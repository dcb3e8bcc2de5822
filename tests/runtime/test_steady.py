"""Smoothed statistics: the same painting where nothing is kept, and exact averages elsewhere."""

import numpy as np
import pytest
from tiny_models import SPECS, exported

from impasto.runtime.model_file import graph_parts, read_model_file
from impasto.runtime.session import open_session
from impasto.runtime.steady import SteadyModel, steady_graph
from impasto.runtime.stylizer import StyleModel


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: exported(SPECS[name], folder / f"{name}.onnx") for name in ("fast", "johnson")}


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    dark, bright = (rng.integers(low, low + 60, (64, 61, 3)) for low in (0, 190))
    return dark.astype(np.uint8), bright.astype(np.uint8)


def difference(first, second):
    return np.abs(first.astype(int) - second)


@pytest.mark.parametrize("name", ["fast", "johnson"])
def test_the_first_frame_is_painted_as_a_photo(models, pictures, name):
    plain, steady = (
        StyleModel(models[name], threads=1),
        SteadyModel(models[name], kept=0.9, threads=1),
    )
    for rgb in pictures:
        assert difference(plain.paint(rgb), steady.paint(rgb)).max() <= 1
        steady.restart()


def test_later_frames_have_averages_of_all_before(models, pictures):
    dark, bright = pictures
    steady = SteadyModel(models["johnson"], kept=0.75, threads=1)
    own = {}
    for name, rgb in (("dark", dark), ("bright", bright)):
        steady.paint(rgb, stroke_size="native")
        own[name] = steady.averages["style"]
        steady.restart()
    steady.paint(dark, stroke_size="native")
    mixed = steady.paint(bright, stroke_size="native")
    # The first norm's source follows from the frame alone.
    first = next(iter(own["dark"])).removesuffix(".mean")
    for name in (f"{first}.mean", f"{first}.mean_square"):
        expected = 0.75 * own["dark"][name] + 0.25 * own["bright"][name]
        np.testing.assert_allclose(steady.averages["style"][name], expected, rtol=1e-4, atol=1e-5)
    steady.restart()
    assert difference(mixed, steady.paint(bright, stroke_size="native")).mean() > 1


def test_nothing_kept_is_a_photo_each_time(models, pictures):
    plain, steady = (
        StyleModel(models["fast"], threads=1),
        SteadyModel(models["fast"], kept=0.0, threads=1),
    )
    for rgb in pictures:
        assert difference(plain.paint(rgb), steady.paint(rgb)).max() <= 1


def test_what_is_remembered_can_be_put_back(models, pictures):
    first = SteadyModel(models["fast"], kept=0.9, threads=1)
    first.paint(pictures[0])
    second = SteadyModel(models["fast"], kept=0.9, threads=1)
    second.averages = first.averages
    assert np.array_equal(first.paint(pictures[1]), second.paint(pictures[1]))


def test_other_styles_of_the_file_share_the_memory(models, pictures):
    steady = SteadyModel(models["fast"], kept=0.9, threads=1)
    steady.paint(pictures[0])
    other = steady.with_blend({"style1": 1.0})
    assert other.averages.keys() == {"style"}
    other.restart()
    assert steady.averages == {}


def test_a_frame_beyond_the_memory_has_its_own_statistics(models, pictures):
    rgb = np.tile(pictures[0], (8, 6, 1))
    steady = SteadyModel(models["fast"], kept=0.9, threads=1)
    steady.paint(255 - rgb)
    in_strips = steady.paint(rgb, memory=12 << 20)
    assert difference(in_strips, StyleModel(models["fast"], threads=1).paint(rgb)).max() <= 1


def test_a_model_without_norms_is_left_as_it_is(tiny_model, pictures):
    data, _ = read_model_file(tiny_model)
    assert steady_graph(data) == (data, [])
    steady = SteadyModel(tiny_model, kept=0.9, threads=1)
    assert np.array_equal(steady.paint(pictures[0]), 255 - pictures[0])


def test_each_norm_becomes_a_batch_norm_with_two_averages(models):
    data, _ = read_model_file(models["johnson"])
    graph, names = steady_graph(data)
    norms = [name.removesuffix(".mean") for name in names[::2]]
    assert names == [f"{norm}.{what}" for norm in norms for what in ("mean", "mean_square")]
    assert set(names) < graph_parts(graph).inputs.keys()
    assert open_session(graph, 1, "cpu").get_outputs()[0].name == "output"
