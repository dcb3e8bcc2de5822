import dataclasses
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
from PIL import Image

from impasto.evaluation import lattice, measure_style
from impasto.evaluation.controls import CONTROLS, failed_measures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork, StyleTarget, save_style_targets
from impasto.runtime.metadata import StyleEntry

LINE = ("evaluate", "style", "model.onnx", "--photos", "photos", "--painting", "wave.png")
MEASURES = [
    *("painted", "kept", "repainted", "follow", "faces"),
    *("balanced_1", "balanced_2", "balanced_4"),
    *("correlation_1", "correlation_2", "correlation_4", "lattice_2", "lattice_4"),
]
TOGETHER = ["ghost", "halo", "grid", "grid_period_px"]


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture
def place(tmp_path, monkeypatch, vgg, metadata, save_model):
    """A working folder: two photos, a painting, a model that paints negatives; all small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("impasto.losses.LossNetwork", lambda: vgg, raising=False)
    for module, sizes in {"features": (96, 72), "measures": (96,), "controls": (96, 72)}.items():
        for name, size_px in zip(("PHOTO_PX", "PAINTING_PX"), sizes, strict=False):
            monkeypatch.setattr(f"impasto.evaluation.{module}.{name}", size_px)
    tiny_runs.write_painting(tmp_path / "wave.png", 72, 72)
    tiny_runs.write_photos(tmp_path / "photos", 2)
    digest = hashlib.sha256((tmp_path / "wave.png").read_bytes()).hexdigest()
    style = StyleEntry("wave", "Wave", digest)
    save_model(tmp_path / "model.onnx", meta=dataclasses.replace(metadata, styles=(style,)))
    return tmp_path


def evaluate(run_cli, *arguments):
    """Runs the command with --json; returns its object."""
    code, out, err = run_cli(*LINE, "--json", *arguments)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_json_holds_what_the_functions_give(run_cli, place, vgg):
    result = evaluate(run_cli)
    about = {key: result[key] for key in ("model", "style", "painting", "failed")}
    assert about == {"model": "model.onnx", "style": "wave", "painting": "wave.png", "failed": {}}
    names = ["photo0.png", "photo1.png"]
    assert [photo["name"] for photo in result["photos"]] == names
    photos = [read_image(Path("photos", name)).rgb for name in names]
    painting = read_image("wave.png").rgb
    found = measure_style(
        photos, [255 - photo for photo in photos], painting, names=names, loss_network=vgg
    )
    for photo in result["photos"]:
        assert list(photo) == ["name", *MEASURES]
        expected = found.photos[photo.pop("name")].to_dict()
        assert photo == pytest.approx(expected, nan_ok=True)
    assert list(result["mean"]) == [*MEASURES, *TOGETHER, "fails"]
    assert result["mean"].pop("fails") == failed_measures(found)
    assert result["mean"] == pytest.approx(found.to_dict())
    assert list(result["controls"]) == list(CONTROLS)
    itself = result["controls"]["the photo"]
    assert (itself["painted"], itself["kept"]) == pytest.approx((1, 1))
    assert {"painted", "repainted"} <= set(itself["fails"])
    pasted = [CONTROLS["detail pasted on"](photo, painting) for photo in photos]
    expected = measure_style(photos, pasted, painting, loss_network=vgg).to_dict()
    del result["controls"]["detail pasted on"]["fails"]
    assert result["controls"]["detail pasted on"] == pytest.approx(expected)


def test_the_tables(run_cli, place):
    result = evaluate(run_cli)
    code, out, err = run_cli(*LINE)
    assert (code, err) == (0, "")
    title, empty, head, _, *rows = out.splitlines()
    assert title == "wave, as `impasto stylize` writes it"
    assert empty == ""
    blank = rows.index("")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows[:blank])]
    assert cells[0] == [
        *("photo", "painted", "kept", "repainted", "follow", "faces", "lattice 2", "lattice 4"),
    ]
    assert [row[0] for row in cells[1:]] == ["photo0.png", "photo1.png"]
    first = result["photos"][0]
    assert cells[1][1] == f"{first['painted']:.3f}"
    assert cells[1][5] == "-"
    assert cells[1][7] == f"{first['lattice_4']:.3f}"
    head, _, *means = rows[blank + 1 :]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *means)]
    assert [row[0] for row in cells] == ["mean", "wave", *CONTROLS]
    assert cells[0][1:] == [
        *("painted", "at 512, 256, 128 px", "kept", "at 512, 256, 128", "repainted", "follow"),
        *("faces", "ghost", "halo", "grid", "period", "lattice 2", "lattice 4", "fails"),
    ]
    mean = result["mean"]
    scales = " ".join(f"{mean[f'balanced_{scale}']:.3f}" for scale in (1, 2, 4))
    assert cells[1][1:3] == [f"{mean['painted']:.3f}", scales]
    assert cells[1][8] == f"{mean['ghost']:.3f}"
    assert cells[1][-1] == ", ".join(mean["fails"]).replace("_", " ")
    for width in ({len(line) for line in (head, *means)}, {len(line) for line in rows[:blank]}):
        assert len(width) == 1


def test_results_are_those_that_stylize_writes(run_cli, place):
    plain = evaluate(run_cli)["photos"][0]
    rgb = np.asarray(Image.open("photos/photo0.png"))
    Image.fromarray(rgb).save("photos/photo0.jpg", quality=100, subsampling=0)
    Path("photos/photo0.png").unlink()
    saved = evaluate(run_cli)["photos"][0]
    assert saved["name"] == "photo0.jpg"
    file = io.BytesIO()
    negative = 255 - np.asarray(Image.open("photos/photo0.jpg"))
    Image.fromarray(negative).save(file, "JPEG", quality=95, subsampling=0)
    assert saved["lattice_4"] == pytest.approx(lattice(np.asarray(Image.open(file)), 4), rel=0.02)
    assert saved["kept"] == pytest.approx(plain["kept"], abs=0.05)


def test_faces_are_those_of_the_file(run_cli, place):
    Path("faces.csv").write_text("photo,x0,y0,x1,y1\nphoto1.png,2,2,20,20\n")
    result = evaluate(run_cli, "--faces", "faces.csv")
    first, second = (photo["faces"] for photo in result["photos"])
    assert first is None
    assert result["mean"]["faces"] == second
    assert second < 1
    assert result["controls"]["the photo"]["faces"] == pytest.approx(1)
    Path("faces.csv").write_text("photo,x0,y0,x1,y1\nphoto1.png,2,2,900,20\n")
    code, out, err = run_cli(*LINE, "--faces", "faces.csv", "--json")
    assert (code, out) == (2, "")
    assert err.startswith("impasto: photo1.png: the faces reach to 900,20 px, and the photo has ")


def test_one_style_of_several(run_cli, place, save_gallery):
    save_gallery(place / "model.onnx", {"dark": 20, "wave": 200})
    assert evaluate(run_cli)["style"] == "dark"
    second = evaluate(run_cli, "--style", "wave")
    assert second["style"] == "wave"
    # One even grey: nothing is left of the photo, and nothing is repainted.
    assert second["mean"]["kept"] < 0.5
    assert second["mean"]["repainted"] == 0


def test_bad_photos_are_named_and_the_rest_goes_on(run_cli, place):
    plain = evaluate(run_cli)
    Path("photos/text.jpg").write_text("not a picture")
    Image.new("RGB", (12, 80)).save("photos/narrow.png")
    code, out, err = run_cli(*LINE, "--json")
    assert code == 1
    result = json.loads(out)
    assert result["photos"] == plain["photos"]
    assert result["mean"] == plain["mean"]
    assert list(result["failed"]) == ["narrow.png", "text.jpg"]
    narrow, text = err.splitlines()
    assert narrow == (
        f"impasto: {Path('photos', 'narrow.png')}: a photo is too narrow to be measured: at the "
        "smallest size it has 14x96 px, and both sides must be at least 16 px"
    )
    assert "text.jpg is not a picture, or a damaged one" in text


def test_no_photo_can_be_measured(run_cli, place):
    for path in Path("photos").iterdir():
        path.write_text("not a picture")
    code, out, err = run_cli(*LINE)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2


def test_another_painting_is_noted(run_cli, place):
    tiny_runs.write_painting(place / "other.png", 80, 80)
    line = (*LINE[:-1], "other.png")
    code, _, err = run_cli(*line)
    assert (code, err) == (0, "other.png is not the very file that wave was trained on\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.onnx"], "no such model file: none.onnx"),
        (["none"], "there is no style 'none': known are ..."),
        (["wave.png"], "wave.png: that is a picture, not a model: ..."),
        (["model.onnx", "--style", "none"], "...'none'..."),
        (["nearest.onnx"], "nearest.onnx: the model is of kind upscale, not style"),
        (["model.onnx", "--photos", "none"], "no such folder: none"),
        (["model.onnx", "--photos", "wave.png"], "--photos takes a folder, and wave.png is a file"),
        (["model.onnx", "--painting", "none.png"], "no such file: none.png"),
        (
            ["model.onnx", "--painting", "x.targets.safetensors"],
            "x.targets.safetensors holds style targets: the measures need the painting itself",
        ),
        (["model.onnx", "--painting", "low.png"], "the painting is too narrow to be measured: ..."),
        (["model.onnx", "--faces", "f.csv"], "f.csv is not a readable CSV file of boxes"),
        (["model.onnx", "--size", "300"], "--size is for --baseline: give that too"),
        (["model.onnx", "--iterations", "9"], "--iterations is for --baseline: give that too"),
        (["model.onnx", "--device", "cpu"], "--device is for --baseline: give that too"),
        (["model.onnx", "--threads", "0"], "--threads must lie between 1 and 1024, not 0"),
    ],
)
def test_mistakes(run_cli, place, tiny_upscaler, arguments, message):
    Image.new("RGB", (200, 10)).save("low.png")
    save_style_targets({"wave": StyleTarget("ab" * 32, {})}, Path("x.targets.safetensors"))
    given = ["--photos", "photos", "--painting", "wave.png"]
    for flag in ("--photos", "--painting"):
        if flag in arguments:
            del given[given.index(flag) : given.index(flag) + 2]
    code, out, err = run_cli("evaluate", "style", *arguments, *given)
    assert (code, out) == (2, "")
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(f"impasto: {pattern}\n", err), err


def test_a_blend_is_refused(run_cli, place, save_gallery, monkeypatch):
    from impasto.runtime.loading import load_model

    save_gallery(place / "two.onnx", {"a": 1, "b": 2})
    blend = load_model(place / "two.onnx").with_blend({"a": 0.5, "b": 0.5})
    monkeypatch.setattr("impasto.runtime.loading.load_model", lambda *_, **__: blend)
    line = ("evaluate", "style", "two.onnx", "--photos", "photos", "--painting", "wave.png")
    assert run_cli(*line)[2] == "impasto: two.onnx is a blend: name one style\n"


def test_the_group_names_it(run_cli):
    assert "\nimpasto evaluate style  Measure a style: " in run_cli("evaluate")[1]
