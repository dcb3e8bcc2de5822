import pytest

from impasto import catalog as shipped
from impasto.catalog import find_style, list_styles
from impasto.errors import ModelError, UnknownStyleError
from impasto.runtime.model_file import read_model_file


def test_rows_become_styles(catalog):
    styles = list_styles()
    assert [style.name for style in styles] == ["negative", "mirror"]
    assert (styles[0].title, styles[0].year) == ("Title of negative", "1900")
    assert styles[1].path == catalog / "mirror.onnx"


def test_find(catalog):
    assert find_style(None).name == "negative"
    assert find_style("mirror").name == "mirror"
    with pytest.raises(UnknownStyleError, match="known are negative, mirror"):
        find_style("nothing like it")


def test_own_styles_come_after_the_shipped_ones(catalog, data_folder):
    folder = data_folder / "styles"
    folder.mkdir(parents=True)
    for name in ("墨 水.onnx", "ash.onnx", "mirror.onnx", ".hidden.onnx", "notes.txt"):
        (folder / name).touch()
    styles = list_styles()
    assert [style.name for style in styles] == ["negative", "mirror", "ash", "墨 水"]
    assert [style.origin for style in styles] == ["shipped", "shipped", "own", "own"]
    assert styles[1].path == catalog / "mirror.onnx"
    assert (styles[2].title, styles[2].artist) == ("ash", "")
    assert find_style("墨 水").path == folder / "墨 水.onnx"
    assert find_style(None).name == "negative"
    with pytest.raises(UnknownStyleError, match="known are negative, mirror, ash, 墨 水"):
        find_style("nothing like it")


def test_without_styles(catalog):
    (catalog / "catalog.toml").write_text("")
    assert list_styles() == ()
    for name, message in [(None, "no default style"), ("x", "no style 'x'")]:
        with pytest.raises(UnknownStyleError, match=message):
            find_style(name)


@pytest.mark.parametrize("text", ["[[style]]\nname = 'x'", "not toml", "style = 3"])
def test_damaged_catalogue(catalog, text):
    (catalog / "catalog.toml").write_text(text)
    with pytest.raises(ModelError, match="damaged"):
        list_styles()


def test_shipped_rows_agree_with_their_files():
    styles = list_styles()
    assert len({style.name for style in styles}) == len(styles)
    for style in styles:
        _, metadata = read_model_file(style.path)
        assert metadata.styles[0].name == style.name
        assert metadata.licence == style.licence
    named = {style.path.name for style in styles}
    assert {path.name for path in shipped.CATALOG_FOLDER.glob("*.onnx")} == named
