import dataclasses
import json

import pytest

from impasto.errors import ModelError, NewerFormatError
from impasto.runtime.metadata import FORMAT_VERSION, ModelMetadata, Tiling


def test_round_trip_and_version_first(metadata):
    stated = dataclasses.replace(metadata, tiling=Tiling(True, 32), scores={"balanced": 0.3})
    text = stated.to_json()
    assert text.startswith('{"format_version": 3, "kind": "style"')
    assert ModelMetadata.from_json(text) == stated
    assert json.loads(text)["tiling"] == {"allowed": True, "halo_px": 32}


def test_a_refine_networks_halo_and_working_size_come_together(metadata):
    stated = dataclasses.replace(metadata, working_px=512, halo_px=12)
    assert ModelMetadata.from_json(stated.to_json()) == stated
    wrong = [("working_px", None), ("working_px", 0), ("working_px", 4097)]
    for key, value in [*wrong, ("halo_px", None), ("halo_px", -1), ("halo_px", 257)]:
        values = json.loads(stated.to_json()) | {key: value}
        with pytest.raises(ModelError, match=key):
            ModelMetadata.from_json(json.dumps(values))


def test_stroke_sizes_of_format_2_count_parameter_sets(metadata):
    values = json.loads(metadata.to_json()) | {"format_version": 2, "stroke_sizes": [1.0, 2.0]}
    values |= {"reference_px": 1024, "tiling": {"allowed": False, "halo_px": None, "align_px": 4}}
    old = ModelMetadata.from_json(json.dumps(values))
    assert (old.stroke_sizes, old.parameter_sets, old.working_px) == ((1.0, 2.0), 2, None)
    assert ModelMetadata.from_json(old.to_json()) == old


def test_unknown_keys_are_ignored(metadata):
    values = json.loads(metadata.to_json()) | {"colour_of_the_sky": "blue"}
    assert ModelMetadata.from_json(json.dumps(values)) == metadata


def test_newer_format_is_named(metadata):
    values = json.loads(metadata.to_json()) | {"format_version": FORMAT_VERSION + 1}
    with pytest.raises(NewerFormatError, match="made by a newer impasto"):
        ModelMetadata.from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", True),
        ("format_version", 0),
        ("kind", "poem"),
        ("scale", 0),
        ("styles", []),
        ("styles", ["name"]),
        ("styles", [{"name": "a", "title": "A"}]),
        ("min_size_px", 2.5),
        ("min_size_px", 1025),
        ("value_range", [0, 255]),
        ("tiling", {"allowed": "no", "halo_px": None}),
        ("tiling", {"allowed": True, "halo_px": -1}),
        ("strength", "mask"),
        ("stroke_sizes", [2.0]),
        ("stroke_sizes", [1.0, 1.0]),
        ("stroke_sizes", "1"),
        ("network", None),
        ("weights_sha256", 3),
    ],
)
def test_damaged_values_are_named(metadata, key, value):
    values = json.loads(metadata.to_json()) | {key: value}
    name = "style" if key == "styles" else key
    with pytest.raises(ModelError, match=name):
        ModelMetadata.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{" * 100_000, '"a'])
def test_text_that_is_not_ours(text):
    with pytest.raises(ModelError):
        ModelMetadata.from_json(text)


@pytest.mark.parametrize("name", ["", "../up", "a\\b", "C:x", "line\nbreak", ".hidden", "x" * 81])
def test_style_names_cannot_leave_a_folder(metadata, name):
    values = json.loads(metadata.to_json())
    values["styles"][0]["name"] = name
    with pytest.raises(ModelError, match="style's name"):
        ModelMetadata.from_json(json.dumps(values))


def test_a_chinese_style_name_is_fine(metadata):
    values = json.loads(metadata.to_json())
    values["styles"][0]["name"] = "星空 2"
    assert ModelMetadata.from_json(json.dumps(values)).styles[0].name == "星空 2"
