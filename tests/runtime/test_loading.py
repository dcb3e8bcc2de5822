import os
import shlex
from pathlib import Path

import pytest

from impasto.errors import ModelError, UnknownStyleError, UsageError
from impasto.runtime.loading import load_model, load_upscaler, model_path


def test_names_paths_and_the_default(catalog, tiny_model):
    assert load_model().name == "negative"
    assert load_model("mirror").name == "mirror"
    assert load_model(str(tiny_model)).name == "negative"
    assert model_path(tiny_model) == tiny_model


def test_a_model_is_loaded_once_until_it_changes(catalog, save_model):
    first = load_model("mirror")
    assert load_model("mirror") is first
    assert load_model(catalog / "mirror.onnx") is first
    assert load_model("mirror", threads=1) is not first
    assert load_model("mirror", device="cpu") is not first
    save_model(catalog / "mirror.onnx", name="renamed")
    os.utime(catalog / "mirror.onnx", ns=(1, 1))
    assert load_model("mirror").name == "renamed"


def test_a_file_without_suffix_in_the_current_folder(catalog, tiny_model, monkeypatch):
    monkeypatch.chdir(tiny_model.parent)
    tiny_model.rename("mine")
    assert model_path("mine") == Path("mine")


@pytest.mark.parametrize("name", ["mine", "my style.onnx", "C:\\models\\mine.onnx", "照片"])
def test_a_whole_value_that_is_a_file(catalog, tiny_model, monkeypatch, name):
    monkeypatch.chdir(tiny_model.parent)
    tiny_model.rename(name)
    assert load_model(name).name == "negative"


@pytest.mark.parametrize("name", ["missing.onnx", "C:\\models\\x", "sub/mine", "Path"])
def test_a_path_that_is_missing_is_no_unknown_name(catalog, name):
    with pytest.raises(ModelError, match="no such model file") as caught:
        load_model(Path(name) if name == "Path" else name)
    assert not isinstance(caught.value, UnknownStyleError)
    assert name in str(caught.value)


def test_own_styles_by_name(catalog, tiny_model, data_folder):
    (data_folder / "styles").mkdir(parents=True)
    own = tiny_model.rename(data_folder / "styles" / "own.onnx")
    assert model_path("own") == own
    with pytest.raises(
        UnknownStyleError, match="did you mean own\\? known are negative, mirror, own"
    ):
        load_model("ovn")
    own.write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"own\.onnx: not an ONNX model"):
        load_model("own")


def test_unknown_names_folders_and_names_too_long(catalog, tmp_path, save_model):
    with pytest.raises(UnknownStyleError, match="did you mean mirror"):
        load_model("miror")
    with pytest.raises(UnknownStyleError, match="known are negative"):
        load_model("x" * 300)
    with pytest.raises(ModelError, match="cannot read model file"):
        load_model("x" * 300 + ".onnx")
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"is a folder, not a model file$"):
        load_model(folder)
    save_model(folder / "wave.onnx")
    with pytest.raises(ModelError, match=r"the model in it is .*wave\.onnx"):
        load_model(folder)


def test_a_picture_given_as_a_style(catalog, photo):
    quoted = shlex.quote(str(photo.rename(photo.with_name("my photo.png"))))
    with pytest.raises(ModelError) as caught:
        load_model(shlex.split(quoted)[0])
    assert f"a picture, not a model: `impasto train {quoted}` makes it a style" in str(caught.value)


def test_unknown_devices_are_refused(catalog):
    with pytest.raises(UsageError, match=r"there is no device 'warp' here, there are auto.* cpu"):
        load_model("mirror", device="warp")


def test_a_shipped_file_that_is_gone(catalog):
    (catalog / "mirror.onnx").unlink()
    with pytest.raises(ModelError, match=r"no such model file: .*mirror\.onnx"):
        load_model("mirror")


GREYS = {"ink": 10, "mirror": 20, "negative": 30, "oil": 40}


@pytest.fixture
def painted(rgb):
    """Returns the one level of grey that a style paints."""

    def paint(name):
        (level,) = set(load_model(name).paint(rgb).ravel())
        return level

    return paint


def test_the_styles_of_an_own_file(catalog, data_folder, save_gallery, painted):
    path = save_gallery(data_folder / "styles" / "ink.onnx", GREYS)
    assert (painted("ink"), painted("oil")) == (10, 40)
    assert model_path("oil") == path
    assert load_model("oil").name == "oil"
    assert load_model("mirror").metadata.styles[0].name == "mirror"  # the shipped file's
    path.rename(path.with_name("mine.onnx"))
    assert painted("mine") == 10
    path.with_name("mine.onnx").rename(path.with_name("oil.onnx"))
    assert (painted("oil"), painted("ink")) == (40, 10)


def test_a_blend_lies_in_the_file_that_holds_all_of_it(catalog, data_folder, save_gallery, painted):
    path = save_gallery(data_folder / "styles" / "ink.onnx", GREYS)
    assert painted("ink:0.5,mirror:0.5") == 15
    assert painted("mirror:1,oil:1,negative:2") == 30
    assert model_path("mirror,ink") == path
    # Another file that is there does not take part unless one of the names is found in it.
    with pytest.raises(UsageError, match="negative, mirror lie in different model files"):
        load_model("negative,mirror")


def test_a_blend_that_no_file_holds(catalog, data_folder, save_gallery):
    save_gallery(data_folder / "styles" / "ink.onnx", {"ink": 10, "oil": 40})
    with pytest.raises(UsageError, match=r"mirror, ink lie in different .*only styles of one file"):
        load_model("mirror,ink")
    with pytest.raises(UnknownStyleError, match="there is no style 'inc': did you mean ink"):
        load_model("oil:0.2,inc:0.8")
    (data_folder / "styles" / "broken.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"broken\.onnx: not an ONNX model"):
        load_model("broken,ink")


def test_shipped_styles_that_share_a_file(catalog, save_gallery, painted):
    rows = catalog / "catalog.toml"
    rows.write_text(rows.read_text().replace("negative.onnx", "mirror.onnx"))
    save_gallery(catalog / "mirror.onnx", {"mirror": 20, "negative": 30})
    assert (painted(None), painted("negative"), painted("mirror")) == (30, 30, 20)
    assert painted("negative:0.5,mirror:0.5") == 25
    assert load_model("negative")._session is load_model("mirror")._session


def test_upscalers_by_name_by_file_and_the_default(upscalers, tiny_upscaler, rgb):
    assert load_upscaler().name == "photo_x4.onnx"
    assert load_upscaler("sharp", scale=8).name == "sharp_x8.onnx"
    assert load_upscaler(str(tiny_upscaler)).name == "nearest.onnx"
    assert load_upscaler(tiny_upscaler, scale=4).upscale(rgb).shape == (124, 160, 3)
    assert load_upscaler(tiny_upscaler).upscale(rgb).shape == (62, 80, 3)


def test_an_upscaler_is_loaded_once(upscalers, save_upscaler):
    first = load_upscaler("photo", scale=4)
    assert load_upscaler(upscalers / "photo_x4.onnx", scale=4) is first
    assert load_upscaler("photo", scale=2)._session is first._session
    assert load_upscaler("photo", scale=4, threads=1) is not first
    save_upscaler(upscalers / "photo_x4.onnx", see_px=2)
    assert load_upscaler("photo", scale=4) is not first


def test_styles_and_upscalers_are_not_taken_for_one_another(upscalers, tiny_model, tiny_upscaler):
    load_upscaler(tiny_upscaler)
    with pytest.raises(ModelError, match="is of kind upscale, not style"):
        load_model(tiny_upscaler)
    load_model(tiny_model)
    with pytest.raises(ModelError, match="is of kind style, not upscale"):
        load_upscaler(tiny_model)


def test_upscalers_that_cannot_be_had(upscalers, tiny_upscaler, photo, tmp_path):
    for given, scale, kind, message in [
        ("photo", 8, ModelError, "no upscaling model 'photo' for scale 8 is there"),
        ("phto", 2, ModelError, "did you mean photo"),
        ("none.onnx", 2, ModelError, "^no such model file: none.onnx"),
        (tmp_path / "none.onnx", 2, ModelError, "^no such model file"),
        (photo, 2, ModelError, "is a picture, not a model: give a model file, or a name such as"),
        (str(photo), 2, ModelError, "is a picture, not a model: give a model file, or a name such"),
        (upscalers, 2, ModelError, "is a folder, not a model file$"),
        (tiny_upscaler, 8, UsageError, "scale and model disagree: nearest.onnx enlarges by 2 or 4"),
        ("photo", 3, UsageError, "scale must be 2, 4 or 8, not 3"),
    ]:
        with pytest.raises(kind, match=message):
            load_upscaler(given, scale=scale)
    (upscalers / "photo_x4.onnx").unlink()
    with pytest.raises(ModelError, match=r"no such model file: .*photo_x4\.onnx"):
        load_upscaler("photo")
