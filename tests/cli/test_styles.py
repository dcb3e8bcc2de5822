import json

import numpy as np
import pytest
from onnx import helper

import impasto


@pytest.fixture
def own_model(save_model, tmp_path):
    """A model file of the style `ink`, which no catalogue has."""
    return save_model(tmp_path / "from a friend.onnx", name="ink")


def test_table_and_json(run_cli, catalog):
    code, out, err = run_cli("styles")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "negative  Title of negative, Nobody, 1900",
        "mirror    Title of mirror, Nobody, 1900",
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
    ]


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
    assert list(stored.parent.iterdir()) == [stored]
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
    newer = metadata.to_json().replace('"format_version": 2', '"format_version": 9')
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


def test_json_belongs_to_the_list(run_cli, catalog, own_model):
    code, _, err = run_cli("styles", "--json", "add", own_model)
    assert code == 2
    assert "--json is for the list" in err
