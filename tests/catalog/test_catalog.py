import json
import re
from pathlib import Path

import pytest

from impasto import catalog as shipped
from impasto.catalog import find_upscaler, list_styles, list_upscalers, shipped_styles
from impasto.catalog.own import add_model, own_models, remove_model
from impasto.errors import ModelError, OutputError, UsageError
from impasto.runtime.model_file import read_model_file

ROOT = Path(__file__).parents[2]
SCORES = "painted kept repainted follow lattice_2 lattice_4 ghost halo grid photos"
OBJECTIVE = (
    "objective_content objective_style objective_variation objective_of_photo "
    "iterations_from_noise iterations_from_photo objective_photos"
)


def test_rows_become_styles(catalog):
    styles = list_styles()
    assert [style.name for style in styles] == ["negative", "mirror"]
    assert (styles[0].title, styles[0].year) == ("Title of negative", "1900")
    assert styles[1].path == catalog / "mirror.onnx"
    assert (styles[1].recipe, styles[1].scores) == (
        "mirror.toml",
        {"correlation": 0.5, "photos": 15},
    )
    assert len(set(styles)) == 2


def test_rows_may_share_a_file(catalog):
    path = catalog / "catalog.toml"
    path.write_text(path.read_text().replace("negative.onnx", "mirror.onnx"))
    assert {style.path for style in list_styles()} == {catalog / "mirror.onnx"}


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
    assert (styles[2].recipe, styles[2].scores) == ("", {})


def test_without_styles(catalog):
    (catalog / "catalog.toml").write_text("")
    assert list_styles() == ()


@pytest.mark.parametrize("text", ["[[style]]\nname = 'x'", "not toml", "style = 3", "scores"])
def test_damaged_catalogue(catalog, text):
    path = catalog / "catalog.toml"
    if text == "scores":
        text = re.sub(r"scores = .*", "scores = 3", path.read_text())
    path.write_text(text)
    with pytest.raises(ModelError, match="damaged"):
        list_styles()


def test_rows_become_upscalers(upscalers):
    found = list_upscalers()
    assert [(item.name, item.scale) for item in found] == [("photo", 4), ("sharp", 4), ("sharp", 8)]
    assert found[2].path == upscalers / "sharp_x8.onnx"
    assert (found[2].title, found[2].licence) == ("Title of sharp", "Apache-2.0")
    assert (found[2].recipe, found[2].scores) == ("sharp_x8.toml", {"psnr": 30.5})
    assert len(set(found)) == 3
    assert [style.name for style in list_styles()] == ["negative", "mirror"]


def test_an_upscaler_is_found_by_name_and_scale(upscalers):
    for name, scale, file in [
        ("photo", 4, "photo_x4.onnx"),
        ("photo", 2, "photo_x4.onnx"),
        (None, 2, "photo_x4.onnx"),
        (None, 8, "sharp_x8.onnx"),
        ("sharp", 2, "sharp_x4.onnx"),
        ("sharp", 8, "sharp_x8.onnx"),
    ]:
        assert find_upscaler(name, scale).path == upscalers / file
    for name, scale, message in [
        (
            "shrap",
            2,
            r"'shrap' for scale 2 is there: did you mean sharp\? for that scale there are",
        ),
        ("photo", 8, "'photo' for scale 8 is there: for that scale there are sharp; or give a mod"),
    ]:
        with pytest.raises(ModelError, match=message):
            find_upscaler(name, scale)
    with pytest.raises(UsageError, match="scale must be 2, 4 or 8, not 3"):
        find_upscaler("photo", 3)


def test_without_upscalers(catalog):
    assert list_upscalers() == ()
    message = "^no upscaling model for scale 4 is shipped: give a model file$"
    with pytest.raises(ModelError, match=message):
        find_upscaler("photo", 4)
    (catalog / "catalog.toml").write_text("[[upscaler]]\nname = 'x'")
    with pytest.raises(ModelError, match="damaged"):
        find_upscaler("photo", 4)


def test_shipped_upscalers_agree_with_their_files():
    for item in list_upscalers():
        _, metadata = read_model_file(item.path)
        assert (metadata.kind, metadata.scale, metadata.licence) == (
            "upscale",
            item.scale,
            item.licence,
        )
        assert metadata.tiling.allowed
        assert (ROOT / "recipes" / item.recipe).is_file()
        assert json.dumps(item.scores)


def test_shipped_rows_agree_with_their_files():
    styles = shipped_styles()
    assert len({style.name for style in styles}) == len(styles)
    for style in styles:
        _, metadata = read_model_file(style.path)
        assert style.name in [entry.name for entry in metadata.styles]
        assert metadata.licence == style.licence
        assert (ROOT / "recipes" / style.recipe).is_file()
        assert " ".join(style.scores) in (SCORES, f"{SCORES} {OBJECTIVE}")
        assert json.dumps(style.scores)
        assert 0 < style.scores["kept"] < 1
    named = {row.path.name for row in (*styles, *list_upscalers())}
    assert {path.name for path in shipped.CATALOG_FOLDER.glob("*.onnx")} == named


@pytest.fixture
def pair(tmp_path):
    """A model file and its plain weights, which nothing here looks into."""
    model, weights = tmp_path / "given.onnx", tmp_path / "given.safetensors"
    model.write_bytes(b"model")
    weights.write_bytes(b"weights")
    return model, weights


def stored(data_folder):
    """What lies in the data folder, hidden files included."""
    return {path.name: path.read_bytes() for path in data_folder.rglob("*") if path.is_file()}


def test_a_model_and_its_weights_are_taken_in_and_removed(data_folder, pair):
    path = add_model("a.b 墨", *pair)
    assert stored(data_folder) == {"a.b 墨.onnx": b"model", "a.b 墨.safetensors": b"weights"}
    assert own_models() == {"a.b 墨": path}
    remove_model(path)
    assert stored(data_folder) == {}


def test_replacing_a_model_leaves_no_weights_of_the_old_one(data_folder, pair):
    add_model("ink", *pair)
    pair[0].write_bytes(b"other")
    add_model("ink", pair[0])
    assert stored(data_folder) == {"ink.onnx": b"other"}


@pytest.mark.parametrize("fails_at", ["given.onnx", "given.safetensors"])
@pytest.mark.parametrize("before", [{}, {"ink.onnx": b"old", "ink.safetensors": b"old weights"}])
def test_what_fails_half_way_changes_nothing(data_folder, pair, monkeypatch, fails_at, before):
    (data_folder / "styles").mkdir(parents=True)
    for name, data in before.items():
        (data_folder / "styles" / name).write_bytes(data)

    def copy(source, target):
        target.write_bytes(b"half")
        if source.name == fails_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("impasto.catalog.own.shutil.copyfile", copy)
    with pytest.raises(OutputError, match="no space left"):
        add_model("ink", *pair)
    assert stored(data_folder) == before
