"""Models that paint pictures whole: those of older formats, and the presets' networks."""

import re
from pathlib import Path

import numpy as np
import pytest
from tiny_models import SPECS, exported, older_gallery

import impasto
from impasto.errors import ImageTooLargeError
from impasto.images.reading import read_image
from impasto.images.resize import resized_to, shrink
from impasto.networks import NetworkSpec
from impasto.runtime import cores, stylizer
from impasto.runtime.cores import available_bytes
from impasto.runtime.metadata import ModelMetadata
from impasto.runtime.model_file import read_model_bytes
from impasto.runtime.stylizer import StyleModel, pixel_bytes

EXAMPLES = Path(__file__).parents[2] / "examples" / "photos"


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module", params=["gallery", "johnson"])
def path(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    if request.param == "gallery":
        return older_gallery(path)
    spec = SPECS[request.param]
    return exported(spec, path, network=spec.to_dict())


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_older_formats_paint_as_before(path, tmp_path, version):
    stated = b'"format_version": %d'
    data = re.sub(stated.replace(b"%d", rb"\d"), stated % version, path.read_bytes())
    old = tmp_path / "old.onnx"
    old.write_bytes(data)
    assert read_model_bytes(data).format_version == version
    rgb = picture(70, 90)
    expected = StyleModel(path, threads=1).paint(rgb)
    np.testing.assert_array_equal(StyleModel(old, threads=1).paint(rgb), expected)


def test_what_format_2_stated_is_read():
    text = (
        '{"format_version": 2, "kind": "style", "scale": 1, "styles": [{"name": "a", "title": "A",'
        ' "style_image_sha256": ""}], "min_size_px": 8, "value_range": [0.0, 1.0], "tiling": '
        '{"allowed": true, "halo_px": 32, "align_px": 4}, "stroke_sizes": [1.0, 2.0], '
        '"reference_px": 1024, "strength": "identity", "network": {}, "weights_sha256": "", '
        '"recipe": {}, "licence": "Apache-2.0", "scores": {}}'
    )
    metadata = ModelMetadata.from_json(text)
    assert (metadata.format_version, metadata.parameter_sets) == (2, 3)
    assert (metadata.working_px, metadata.halo_px) == (None, None)


def test_the_shipped_gallery_is_painted():
    photo = shrink(read_image(EXAMPLES / "astronaut.jpg"), 300).rgb
    model = impasto.load_model("great_wave", threads=1)
    painted = model.paint(photo)
    assert painted.shape == photo.shape
    assert np.abs(painted.astype(int) - photo).mean() > 10
    np.testing.assert_array_equal(model.paint(photo, strength=0), photo)


def test_strokes_are_those_of_a_smaller_or_larger_picture(path):
    model, rgb = StyleModel(path, threads=1), picture(60, 80)
    for stroke_size, size in [(2, (30, 40)), (0.5, (120, 160)), (3, (20, 27))]:
        small = model.paint(resized_to(rgb, *size))
        expected = resized_to(small, 60, 80)
        np.testing.assert_array_equal(model.paint(rgb, stroke_size=stroke_size), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 4), (31, 40)])
@pytest.mark.parametrize("stroke_size", [0.5, 1, 4])
def test_any_size_comes_back(path, size, stroke_size):
    rgb = picture(*size)
    assert StyleModel(path, threads=1).paint(rgb, stroke_size=stroke_size).shape == rgb.shape


def test_a_picture_that_does_not_fit_the_memory_is_told_the_size_that_does(path):
    model, rgb = StyleModel(path, threads=1), picture(300, 400)
    limit = 10 << 20
    with pytest.raises(ImageTooLargeError, match=r"one of 400x300 takes about") as told:
        model.paint(rgb, memory=limit)
    line = str(told.value)
    assert "\n" not in line
    longer = int(re.search(r"\(--max-size (\d+)\)", line)[1])
    fitting = resized_to(rgb, round(300 * longer / 400), longer)
    assert model.paint(fitting, memory=limit).shape[1] == longer
    larger = resized_to(rgb, round(300 * (longer + 4) / 400), longer + 4)
    with pytest.raises(ImageTooLargeError):
        model.paint(larger, memory=limit)
    assert model.paint(rgb, memory=limit, stroke_size=4).shape == rgb.shape


def test_without_a_limit_all_memory_counts(path, monkeypatch):
    model, rgb = StyleModel(path, threads=1), picture(300, 400)
    monkeypatch.setattr(stylizer, "available_bytes", lambda: 10 << 20)
    with pytest.raises(ImageTooLargeError, match="MiB of 10: make it smaller"):
        model.paint(rgb)
    monkeypatch.setattr(stylizer, "available_bytes", lambda: None)
    assert model.paint(rgb).shape == rgb.shape


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(cores, "_CONTAINER_LIMIT", limit)
    machine = available_bytes()
    if machine is None:
        pytest.skip("this system does not tell its memory")
    assert machine > 1 << 28
    for text, expected in [("max\n", machine), ("1048576\n", 1 << 20)]:
        limit.write_text(text)
        assert available_bytes() == expected


def test_bytes_per_pixel_are_above_what_was_measured():
    gallery = {"architecture": "fast", "width": 48, "half_width": 24, "ending": "half"}
    measured = [
        (NetworkSpec(width=4).to_dict(), 184),
        (NetworkSpec(width=32).to_dict(), 786),
        (NetworkSpec(width=64).to_dict(), 1133),
        (gallery, 104),
    ]
    for spec, found in measured:
        assert 1.1 * found < pixel_bytes(spec) < 3 * found
    assert pixel_bytes(gallery | {"ending": "full"}) == 128 + 24 * 24
    for unknown in ({}, {"width": "wide"}, {"width": -1}, {"width": 10**9}):
        assert pixel_bytes(unknown) == 128 + 24 * 64
