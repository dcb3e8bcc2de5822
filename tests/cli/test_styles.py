import hashlib
import json

import numpy as np
import pytest
from onnx import helper
from PIL import Image

import impasto
from impasto.images.contact_sheet import Cell, contact_sheet
from impasto.images.reading import read_image


@pytest.fixture
def own_model(save_model, tmp_path):
    """A model file of the style `ink`, which no catalogue has."""
    return save_model(tmp_path / "from a friend.onnx", name="ink")


def test_table_and_json(run_cli, catalog):
    code, out, err = run_cli("styles")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "negative  Title of negative  Nobody  1900",
        "mirror    Title of mirror    Nobody  1900",
    ]
    rows = [json.loads(line) for line in run_cli("styles", "--json")[1].splitlines()]
    assert [row["name"] for row in rows] == ["negative", "mirror"]
    assert rows[0]["path"] == str(catalog / "negative.onnx")
    assert list(rows[0]) == [
        "name",
        "title",
        "artist",
        "year",
        "source",
        "licence",
        "path",
        "origin",
        "recipe",
        "scores",
    ]
    assert rows[0]["recipe"] == "negative.toml"
    assert rows[0]["scores"] == {"correlation": 0.5, "photos": 15}


def test_without_styles(run_cli, catalog):
    (catalog / "catalog.toml").write_text("")
    code, out, err = run_cli("styles")
    assert (code, out) == (0, "")
    assert "no styles are shipped" in err


def test_an_added_style_works_by_name_everywhere(
    run_cli, catalog, own_model, data_folder, photo, rgb
):
    assert run_cli("styles", "add", own_model) == (0, "ink\n", "")
    own_model.unlink()
    stored = data_folder / "styles" / "ink.onnx"
    assert list(stored.parent.iterdir()) == [stored]  # no weights lay beside it
    lines = run_cli("styles")[1].splitlines()
    assert lines[2:] == [f"ink       your own, {stored}"]
    assert json.loads(run_cli("styles", "--json")[1].splitlines()[2])["origin"] == "own"

    code, out, _ = run_cli("stylize", photo, "--style", "ink")
    assert (code, out) == (0, f"{photo.with_name('photo.ink.png')}\n")
    assert impasto.load_model("ink").name == "ink"
    np.testing.assert_array_equal(impasto.stylize(rgb, "ink"), 255 - rgb)
    assert [style.origin for style in impasto.list_styles()] == ["shipped", "shipped", "own"]

    assert run_cli("styles", "remove", "ink") == (0, "ink\n", "")
    assert not stored.exists()
    code, _, err = run_cli("stylize", photo, "--style", "ink")
    assert code == 2
    assert "there is no style 'ink'" in err


def test_an_own_style_is_replaced_only_when_told(run_cli, catalog, save_model, own_model, rgb):
    run_cli("styles", "add", own_model)
    save_model(own_model, name="ink", nodes=[helper.make_node("Identity", ["image"], ["output"])])
    code, out, err = run_cli("styles", "add", own_model)
    assert (code, out) == (2, "")
    assert "--overwrite replaces it" in err
    np.testing.assert_array_equal(impasto.stylize(rgb, "ink"), 255 - rgb)
    assert run_cli("styles", "add", own_model, "--overwrite")[0] == 0
    np.testing.assert_array_equal(impasto.stylize(rgb, "ink"), rgb)


def test_models_that_are_not_taken_in(
    run_cli, catalog, save_model, metadata, photo, tmp_path, data_folder
):
    shipped = save_model(tmp_path / "shipped.onnx", name="mirror")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(shipped.read_bytes()[:-50])
    newer = metadata.to_json().replace('"format_version": 3', '"format_version": 9')
    failing = [helper.make_node("Concat", ["image", "image"], ["output"], axis=2)]
    for given, message in [
        (shipped, "a shipped one has that name"),
        (damaged, "damaged.onnx: "),
        (save_model(tmp_path / "foreign.onnx", meta=False), "not a model made by impasto"),
        (save_model(tmp_path / "newer.onnx", meta=newer), "made by a newer impasto"),
        (save_model(tmp_path / "failing.onnx", name="ink", nodes=failing), "returned"),
        (photo, "that is a picture, not a model"),
        (tmp_path / "missing.onnx", "no such model file"),
        (tmp_path, "is a folder"),
    ]:
        code, out, err = run_cli("styles", "add", given)
        assert (code, out) == (2, ""), given
        assert message in err
        assert err.count("\n") == 1
    assert not data_folder.exists()


def test_a_data_folder_that_cannot_be_written(run_cli, catalog, own_model, data_folder):
    data_folder.write_text("a file")
    code, out, err = run_cli("styles", "add", own_model)
    assert (code, out) == (1, "")
    assert err.startswith("impasto: cannot write ")
    assert err.count("\n") == 1
    assert len(run_cli("styles")[1].splitlines()) == 2


def test_a_damaged_own_style_leaves_the_others_alone(run_cli, catalog, data_folder, photo):
    (data_folder / "styles").mkdir(parents=True)
    (data_folder / "styles" / "broken.onnx").write_bytes(b"\0" * 100)
    (data_folder / "styles" / "mirror.onnx").write_bytes(b"a shipped style's name")
    (data_folder / "styles" / "notes.txt").touch()
    (data_folder / "styles" / ".impasto-123.onnx").touch()
    assert len(run_cli("styles")[1].splitlines()) == 3
    assert run_cli("stylize", photo, "--style", "mirror")[0] == 0
    code, _, err = run_cli("stylize", photo, "--style", "broken")
    assert code == 2
    assert "broken.onnx: not an ONNX model, or a damaged one" in err
    assert run_cli("styles", "remove", "broken")[0] == 0


def test_what_cannot_be_removed(run_cli, catalog, own_model, data_folder):
    for name, message in [
        ("mirror", "is shipped with impasto and stays"),
        ("nothing", "there is no own style 'nothing': you have none of your own"),
    ]:
        code, out, err = run_cli("styles", "remove", name)
        assert (code, out) == (2, "")
        assert message in err
    run_cli("styles", "add", own_model)
    assert "your own are ink" in run_cli("styles", "remove", "nothing")[2]
    (data_folder / "styles" / "folder.onnx").mkdir()
    code, _, err = run_cli("styles", "remove", "folder")
    assert code == 1
    assert "cannot remove" in err


def test_options_belong_to_the_list_or_to_a_sheet(run_cli, catalog, own_model, photo):
    for given, message in [
        (["--json", "add", own_model], "--json is for the list"),
        (["--overwrite", "add", own_model], "--overwrite is for the list"),
        (["--sheet", photo, "remove", "ink"], "not for `styles remove`"),
        (["--overwrite"], "--overwrite is for a sheet: give --sheet PHOTO"),
        (["--json", "-o", "x.png"], "-o is for a sheet"),
        (["--json", "--sheet", photo], "--sheet and --json contradict each other"),
        (["--sheet", ""], "a file name is empty"),
        (["--sheet", "-"], "--sheet takes a photo's file"),
    ]:
        code, out, err = run_cli("styles", *given)
        assert (code, out) == (2, ""), given
        assert message in err


# --- model files of several styles ------------------------------------------------------------


GREYS = {"ink": 10, "mirror": 20, "oil": 30}


@pytest.fixture
def several(save_gallery, tmp_path):
    """A model file of three styles with its plain weights beside it."""
    weights = tmp_path / "several.safetensors"
    weights.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    return save_gallery(tmp_path / "several.onnx", GREYS, weights_sha256=sha256)


def test_a_file_of_several_styles_is_taken_in_whole(run_cli, catalog, several, data_folder, photo):
    assert run_cli("styles", "add", several) == (0, "ink\n", "")
    folder = data_folder / "styles"
    assert {path.name for path in folder.iterdir()} == {"ink.onnx", "ink.safetensors"}
    assert (folder / "ink.safetensors").read_bytes() == b"weights"
    path = folder / "ink.onnx"
    assert run_cli("styles")[1].splitlines()[2:] == [
        f"ink       your own, {path}",
        f"oil       your own, {path}",
    ]
    for name, grey in [("oil", 30), ("ink:0.5,mirror:0.5", 15)]:
        code, out, _ = run_cli("stylize", photo, "--style", name)
        assert code == 0
        assert set(read_image(out.strip()).rgb.ravel()) == {grey}

    code, _, err = run_cli("styles", "remove", "oil")
    assert code == 2
    assert "the style 'oil' lies in the file of 'ink': remove that one" in err
    assert run_cli("styles", "remove", "ink") == (0, "ink\n", "")
    assert list(folder.iterdir()) == []


def test_weights_of_another_model_stay_where_they_are(run_cli, catalog, several, data_folder):
    run_cli("styles", "add", several)
    several.with_suffix(".safetensors").write_bytes(b"other weights")
    code, out, err = run_cli("styles", "add", several, "--overwrite")
    assert (code, out) == (0, "ink\n")
    assert "several.safetensors does not hold the weights of " in err
    assert [path.name for path in (data_folder / "styles").iterdir()] == ["ink.onnx"]


def test_only_the_first_style_must_have_a_name_of_its_own(run_cli, catalog, save_gallery, tmp_path):
    given = save_gallery(tmp_path / "given.onnx", {"mirror": 20, "ink": 10})
    code, out, err = run_cli("styles", "add", given)
    assert (code, out) == (2, "")
    assert "holds the style 'mirror', and a shipped one has that name" in err


# --- sheets -----------------------------------------------------------------------------------


@pytest.fixture
def cells():
    """Returns the places of a sheet in order, each as the level in the middle of its picture.

    `photo` is 40x31, so that a column is as wide as its captions.
    """

    def levels(path):
        rgb = read_image(path).rgb
        corners = [
            (top, left)
            for top in range(36, rgb.shape[0] - 36, 31 + 50 + 24)
            for left in range(36, rgb.shape[1] - 36, 140 + 24)
        ]
        return [tuple(map(int, rgb[top + 15, left + 20])) for top, left in corners]

    return levels


def test_a_sheet_shows_the_photo_and_every_style(
    run_cli, catalog, several, photo, rgb, cells, monkeypatch
):
    run_cli("styles", "add", several)
    loads = []
    init = impasto.runtime.session.ModelSession.__init__
    monkeypatch.setattr(
        "impasto.runtime.session.ModelSession.__init__",
        lambda self, *args, **settings: (loads.append(1), init(self, *args, **settings))[1],
    )
    target = photo.with_name("photo.styles.png")
    assert run_cli("styles", "--sheet", photo) == (0, f"{target}\n", "")
    assert len(loads) == 3  # negative, mirror, and once for both own styles
    middle = rgb[15, 20]
    grounds = [tuple(map(int, middle)), *[tuple(map(int, 255 - middle))] * 2, (10,) * 3, (30,) * 3]
    assert cells(target)[:5] == grounds
    assert not [name for name in photo.parent.iterdir() if name.name.startswith(".impasto")]


def test_where_a_sheet_goes(run_cli, catalog, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.open(photo).save("a.b.webp")
    assert run_cli("styles", "--sheet", "a.b.webp")[1] == "a.b.styles.jpg\n"
    before = (tmp_path / "a.b.styles.jpg").read_bytes()
    Image.new("RGB", (40, 31)).save("a.b.webp")
    code, out, err = run_cli("styles", "--sheet", "a.b.webp")
    assert (code, out) == (2, "")
    assert "a.b.styles.jpg is already there: --overwrite replaces it" in err
    assert (tmp_path / "a.b.styles.jpg").read_bytes() == before
    assert run_cli("styles", "--sheet", "a.b.webp", "--overwrite")[0] == 0
    assert (tmp_path / "a.b.styles.jpg").read_bytes() != before
    assert run_cli("styles", "--sheet", photo, "-o", "sheet.webp")[1] == "sheet.webp\n"
    assert Image.open("sheet.webp").format == "WEBP"
    assert run_cli("styles", "--sheet", photo, "-o", "new/")[0] == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["photo.styles.png"]


def test_a_sheet_that_cannot_be_written_is_told_before_the_work(
    run_cli, catalog, photo, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setattr("impasto.runtime.stylizer.StyleModel.paint_with", None)
    target = tmp_path / "file" / "sheet.png"
    code, out, err = run_cli("styles", "--sheet", photo, "-o", target)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"cannot write {target}: {tmp_path / 'file'} is not a folder" in err


def test_a_sheet_of_a_large_photo_has_small_pictures(run_cli, catalog, tmp_path):
    photo = tmp_path / "large.jpg"
    Image.new("RGB", (900, 1800), "red").save(photo)
    run_cli("styles", "--sheet", photo, "-o", tmp_path / "sheet.png")
    rgb = read_image(tmp_path / "sheet.png").rgb
    red = (rgb[..., 0] > 200) & (rgb[..., 1] < 50)
    rows, columns = np.nonzero(red)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (320, 160)
    cyan = (rgb[..., 0] < 50) & (rgb[..., 1] > 200)
    assert cyan.sum() == 2 * red.sum()


def test_transparent_photos_lie_on_the_paper(run_cli, catalog, tmp_path, cells):
    photo = tmp_path / "clear.png"
    Image.new("RGBA", (40, 31), (9, 9, 9, 0)).save(photo)
    run_cli("styles", "--sheet", photo)
    first, second, *_ = cells(tmp_path / "clear.styles.png")
    assert first == (250, 248, 244)
    assert second == tuple(255 - level for level in first)


def test_a_damaged_model_is_left_out_of_a_sheet(run_cli, catalog, photo, data_folder, cells):
    (data_folder / "styles").mkdir(parents=True)
    (data_folder / "styles" / "broken.onnx").write_bytes(b"damaged")
    target = photo.with_name("photo.styles.png")
    code, out, err = run_cli("styles", "--sheet", photo)
    assert (code, out) == (1, f"{target}\n")
    assert "left out: " in err
    assert "broken.onnx: not an ONNX model" in err
    assert err.count("\n") == 1
    assert len(set(cells(target)[:3])) == 2  # the photo and twice its negative

    target.unlink()
    for name in ("negative", "mirror"):
        (catalog / f"{name}.onnx").write_bytes(b"damaged")
    code, out, err = run_cli("styles", "--sheet", photo)
    assert (code, out) == (2, "")
    assert "none of the styles can be used" in err
    (catalog / "catalog.toml").write_text("")
    (data_folder / "styles" / "broken.onnx").unlink()
    assert "there are no styles to paint a sheet in" in run_cli("styles", "--sheet", photo)[2]
    assert not target.exists()


def test_captions_of_any_name(rgb):
    plain = contact_sheet([Cell(rgb, "")])
    for name in ("great_wave", "墨 水", "é — 🎨", "a\nb\tc", "\udc80", "x" * 250):
        sheet = contact_sheet([Cell(rgb, name, "Nobody, 1900")])
        assert sheet.shape == plain.shape
        changed = np.nonzero((sheet != plain).any(axis=2))
        assert changed[0].min() >= 36 + 31  # below the picture, within its column
        assert changed[1].max() < 36 + 140


@pytest.mark.parametrize(
    ("shape", "count", "grid"),
    [
        ((213, 320), 14, (3, 5)),
        ((320, 213), 14, (2, 7)),
        ((213, 320), 3, (1, 3)),
        ((213, 320), 1, (1, 1)),
    ],
)
def test_grids_of_a_good_shape(shape, count, grid):
    picture = np.zeros((*shape, 3), np.uint8)
    sheet = contact_sheet([Cell(picture, "x")] * count)
    height, width = sheet.shape[:2]
    rows, columns = grid
    assert height == 72 - 24 + rows * (shape[0] + 74)
    assert width == 72 - 24 + columns * (shape[1] + 24)
    assert (sheet == 0).all(axis=2).sum() == count * shape[0] * shape[1]
