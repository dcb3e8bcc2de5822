import os
from pathlib import Path

import pytest

from impasto.errors import ModelError, UnknownStyleError
from impasto.runtime.loading import load_model, model_path


def test_names_paths_and_the_default(catalog, tiny_model):
    assert load_model().style.name == "negative"
    assert load_model("mirror").style.name == "mirror"
    assert load_model(str(tiny_model)).style.name == "negative"
    assert model_path(tiny_model) == tiny_model


def test_a_model_is_loaded_once_until_it_changes(catalog, save_model):
    first = load_model("mirror")
    assert load_model("mirror") is first
    assert load_model(catalog / "mirror.onnx") is first
    assert load_model("mirror", threads=1) is not first
    save_model(catalog / "mirror.onnx", name="renamed")
    os.utime(catalog / "mirror.onnx", ns=(1, 1))
    assert load_model("mirror").style.name == "renamed"


def test_a_file_without_suffix_in_the_current_folder(catalog, tiny_model, monkeypatch):
    monkeypatch.chdir(tiny_model.parent)
    tiny_model.rename("mine")
    assert model_path("mine") == Path("mine")


def test_unknown_missing_folder_and_picture(catalog, photo, tmp_path):
    with pytest.raises(UnknownStyleError, match="did you mean mirror"):
        load_model("miror")
    with pytest.raises(ModelError, match="no such model file"):
        load_model("missing.onnx")
    with pytest.raises(ModelError, match="no such model file"):
        load_model(Path("missing"))
    with pytest.raises(ModelError, match="is a folder"):
        load_model(tmp_path)
    with pytest.raises(ModelError, match=r"a picture, not a model: `impasto train photo\.png`"):
        load_model(str(photo))
