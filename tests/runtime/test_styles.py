import pytest

import impasto
from impasto.errors import ModelError, UnknownStyleError
from impasto.runtime.styles import find_style, held_styles, list_styles


def names():
    return [style.name for style in list_styles()]


def test_find(catalog):
    assert find_style(None).name == "negative"
    assert find_style("mirror").name == "mirror"
    with pytest.raises(UnknownStyleError, match="known are negative, mirror"):
        find_style("nothing like it")


def test_without_styles(catalog):
    (catalog / "catalog.toml").write_text("")
    assert list_styles() == ()
    for name, message in [(None, "no default style"), ("x", "no style 'x'")]:
        with pytest.raises(UnknownStyleError, match=message):
            find_style(name)


def test_what_an_own_file_holds_has_a_name_too(catalog, data_folder, save_gallery):
    greys = {"墨 水": 10, "mirror": 20, "oil": 30, "ash": 40}
    path = save_gallery(data_folder / "styles" / "墨 水.onnx", greys)
    other = save_gallery(data_folder / "styles" / "ash.onnx", {"ash": 50, "oil": 60})
    # By file, each name once: a shipped style's first, then a file's, then what is in a file.
    assert names() == ["negative", "mirror", "ash", "oil", "墨 水"]
    assert find_style("mirror").path == catalog / "mirror.onnx"
    assert find_style("ash").path == find_style("oil").path == other
    other.unlink()
    oil = find_style("oil")
    assert (oil.path, oil.title, oil.origin) == (path, "oil", "own")
    assert impasto.list_styles() == list_styles()
    with pytest.raises(UnknownStyleError, match="known are negative, mirror, 墨 水, oil, ash"):
        find_style("nothing like it")


def test_a_renamed_file_stands_for_its_first_style(catalog, data_folder, save_gallery):
    folder = data_folder / "styles"
    save_gallery(folder / "mine.onnx", {"ink": 10, "oil": 20})
    assert names()[2:] == ["mine", "oil"]
    (folder / "mine.onnx").rename(folder / "oil.onnx")
    assert names()[2:] == ["oil", "ink"]


def test_a_damaged_own_file_is_listed_by_its_name(catalog, data_folder, save_gallery, metadata):
    path = save_gallery(data_folder / "styles" / "ink.onnx", {"ink": 10, "oil": 20})
    (path.with_name("broken.onnx")).write_bytes(path.read_bytes()[:-9])
    (path.with_name("folder.onnx")).mkdir()
    assert names() == ["negative", "mirror", "broken", "folder", "ink", "oil"]
    with pytest.raises(ModelError, match=r"broken\.onnx: not an ONNX model"):
        held_styles(find_style("broken").path)
