import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.data.degradation import degrade, jpeg
from impasto.evaluation.superres import resampling_methods, score_superres
from impasto.losses import LossNetwork

METHODS = ["nearest", "bicubic", "lanczos"]
SCORES = ["psnr", "ssim", "feature_relu2_2", "feature_relu3_3"]


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture
def one_vgg(vgg, monkeypatch):
    """Spares each command the reading of the loss network's weights."""
    monkeypatch.setattr("impasto.losses.loss_network.LossNetwork", lambda: vgg)


@pytest.fixture
def pictures():
    """Two small pictures; the first is no multiple of the scale."""
    rng = np.random.default_rng(0)
    return {
        name: np.asarray(
            Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8)).resize(
                size, Image.Resampling.BICUBIC
            )
        )
        for name, size in {"a.png": (39, 33), "deeper/b.png": (36, 32)}.items()
    }


@pytest.fixture
def data(pictures, tmp_path, monkeypatch, one_vgg):
    """The pictures as files in the folder ``data`` of the working folder."""
    monkeypatch.chdir(tmp_path)
    for name, rgb in pictures.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(path)
    return tmp_path / "data"


def evaluate(run_cli, *arguments):
    """Runs the command with --json; returns its object."""
    code, out, err = run_cli("evaluate", "superres", "--data", "data", "--json", *arguments)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_the_group_alone_says_what_there_is(run_cli):
    code, out, err = run_cli("evaluate")
    assert (code, err) == (0, "")
    assert out.startswith("impasto evaluate superres  Measure super-resolution")


def test_json_holds_what_the_functions_give(run_cli, data, pictures, vgg):
    result = evaluate(run_cli)
    assert {name: result[name] for name in ("data", "scale", "degradation", "jpeg")} == {
        "data": "data",
        "scale": 4,
        "degradation": "bicubic",
        "jpeg": None,
    }
    assert result["match_histogram"] is False
    assert result["failed"] == {}
    assert re.match(r"torchmetrics [\d.]+\S*, 11x11 Gaussian window, sigma 1\.5$", result["ssim"])
    assert [image["name"] for image in result["images"]] == ["a.png", "deeper/b.png"]
    first = result["images"][0]["methods"]
    original = pictures["a.png"][:32, :36]
    low_res = degrade(original, 4, "bicubic")
    for name, upscale in resampling_methods(4).items():
        expected = score_superres(upscale(low_res), original, 4, vgg).to_dict()
        assert first[name] == pytest.approx(expected)
    assert list(first) == list(result["mean"]) == METHODS
    for method in METHODS:
        for score in SCORES:
            values = [image["methods"][method][score] for image in result["images"]]
            assert result["mean"][method][score] == pytest.approx(np.mean(values))


def test_the_table_shows_each_picture_and_then_the_means(run_cli, data):
    scores = evaluate(run_cli)
    code, out, err = run_cli("evaluate", "superres", "--data", "data")
    assert (code, err) == (0, "")
    title, empty, head, _, *rows = out.splitlines()
    assert title.startswith("data, x4, degradation bicubic: PSNR in dB and SSIM of Y")
    assert "torchmetrics" in title
    assert empty == ""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]
    assert cells[0] == ["image", "method", "PSNR", "SSIM", "relu2_2", "relu3_3"]
    names = ["a.png", "deeper/b.png", "mean"]
    assert [row[:2] for row in cells[1:]] == [[name, how] for name in names for how in METHODS]
    last = scores["mean"]["lanczos"]
    assert cells[-1][2:] == [
        f"{last['psnr']:.2f}",
        f"{last['ssim']:.4f}",
        f"{last['feature_relu2_2']:,.0f}",
        f"{last['feature_relu3_3']:,.0f}",
    ]
    assert len({len(row) for row in (head, *rows)}) == 1


def test_csv_holds_the_same_as_json(run_cli, data, tmp_path):
    scores = evaluate(run_cli, "--csv", "out/scores.csv")
    with (tmp_path / "out" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "method", *SCORES]
    expected = [(image["name"], image["methods"]) for image in scores["images"]]
    expected.append(("mean", scores["mean"]))
    assert [
        (row["image"], row["method"], {name: float(row[name]) for name in SCORES}) for row in rows
    ] == [(name, how, by_method[how]) for name, by_method in expected for how in METHODS]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scores.csv"]


def test_models_are_measured_beside_resampling(run_cli, data, upscalers, save_upscaler, tmp_path):
    save_upscaler(tmp_path / "own.onnx")
    save_upscaler(tmp_path / "bicubic.onnx")
    models = ["photo", "own.onnx", "bicubic.onnx"]
    result = evaluate(run_cli, *(part for name in models for part in ("--model", name)))
    assert list(result["mean"]) == [*METHODS, "photo", "own", "bicubic.onnx"]
    # They repeat pixels.
    for name in ("photo", "own", "bicubic.onnx"):
        assert result["mean"][name] == pytest.approx(result["mean"]["nearest"])
    eight = evaluate(run_cli, "--scale", "8", "--model", "sharp")
    assert eight["scale"] == 8
    assert eight["mean"]["sharp"] == pytest.approx(eight["mean"]["nearest"])
    assert eight["mean"]["nearest"]["psnr"] < result["mean"]["nearest"]["psnr"]


def test_histograms_are_matched_for_models_only(run_cli, data, tiny_upscaler, monkeypatch):
    asked = []

    def upscale(self, rgb, *, scale, match_histogram):
        asked.append(match_histogram)
        return 255 - rgb.repeat(scale, axis=0).repeat(scale, axis=1)

    plain = evaluate(run_cli)
    monkeypatch.setattr("impasto.runtime.upscaler.UpscaleModel.upscale", upscale)
    result = evaluate(run_cli, "--model", "nearest.onnx", "--match-histogram")
    assert result["match_histogram"] is True
    assert asked == [True, True]
    assert all(result["mean"][name] == plain["mean"][name] for name in METHODS)
    evaluate(run_cli, "--model", "nearest.onnx")
    assert asked[2:] == [False, False]


@pytest.mark.parametrize("name", ["paper", "photo"])
def test_degradations(run_cli, data, name):
    result = evaluate(run_cli, "--degradation", name)
    assert result["degradation"] == name
    assert result["mean"]["bicubic"]["psnr"] < evaluate(run_cli)["mean"]["bicubic"]["psnr"]
    # Random ones draw the same for a picture whatever else lies in the folder.
    (data / "a.png").unlink()
    assert evaluate(run_cli, "--degradation", name)["images"] == result["images"][1:]


def test_low_resolution_pictures_can_pass_through_jpeg(run_cli, data, pictures, vgg):
    result = evaluate(run_cli, "--jpeg", "30")
    assert result["jpeg"] == 30
    original = pictures["deeper/b.png"]
    low_res = jpeg(degrade(original, 4, "bicubic"), 30)
    expected = score_superres(resampling_methods(4)["nearest"](low_res), original, 4, vgg)
    assert result["images"][1]["methods"]["nearest"] == pytest.approx(expected.to_dict())
    title = run_cli("evaluate", "superres", "--data", "data", "--jpeg", "30")[1].splitlines()[0]
    assert "degradation bicubic, JPEG 30:" in title


def test_results_can_be_saved(run_cli, data, pictures, tiny_upscaler, tmp_path):
    # A folder inside --data is no part of it when the line is run again.
    for _ in range(2):
        result = evaluate(run_cli, "--save", "data/out", "--model", "nearest.onnx")
        assert len(result["images"]) == 2
    # The model's name is taken, so that it goes by its file's.
    saved = {path.relative_to(data / "out").as_posix() for path in data.rglob("out/**/*.png")}
    methods = [*METHODS, "nearest.onnx"]
    assert saved == {f"{name}.{how}.png" for name in ("a", "deeper/b") for how in methods}
    picture = np.asarray(Image.open(data / "out" / "deeper" / "b.lanczos.png"))
    low_res = degrade(pictures["deeper/b.png"], 4, "bicubic")
    assert (picture == resampling_methods(4)["lanczos"](low_res)).all()


def test_equal_pictures_are_valid_json(run_cli, data):
    for path in data.rglob("*.png"):
        Image.new("RGB", (32, 32), (10, 200, 30)).save(path)
    result = evaluate(run_cli, "--csv", "scores.csv")
    assert result["mean"]["nearest"]["psnr"] is None
    assert result["mean"]["nearest"]["ssim"] == pytest.approx(1)
    assert ",inf," in (data.parent / "scores.csv").read_text()


def test_bad_pictures_are_named_and_the_rest_goes_on(run_cli, data):
    plain = evaluate(run_cli)
    (data / "text.jpg").write_text("not a picture")
    Image.new("RGB", (19, 40)).save(data / "small.png")
    code, out, err = run_cli(
        "evaluate", "superres", "--data", "data", "--json", "--csv", "scores.csv"
    )
    assert code == 1
    result = json.loads(out)
    assert result["images"] == plain["images"]
    assert result["mean"] == plain["mean"]
    small, text = err.splitlines()
    assert small == (
        f"impasto: {Path('data', 'small.png')}: 19x40 is too small to be scored: at scale 4, "
        "SSIM needs 20 px on each side"
    )
    assert "text.jpg is not a picture, or a damaged one" in text
    assert {f"impasto: {message}" for message in result["failed"].values()} == {small, text}
    assert "small" not in (data.parent / "scores.csv").read_text()


def test_a_folder_of_bad_pictures_only(run_cli, data):
    for path in data.rglob("*.png"):
        path.write_text("not a picture")
    code, out, err = run_cli("evaluate", "superres", "--data", "data", "--csv", "scores.csv")
    assert (code, out) == (2, "")
    assert err.count("\n") == 2
    assert not (data.parent / "scores.csv").exists()


def test_pictures_above_the_limit(run_cli, data):
    code, _, err = run_cli("evaluate", "superres", "--data", "data", "--max-pixels", "1200")
    assert code == 1
    assert "a.png is 39x33, above the limit of 1,200 pixels (--max-pixels" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "3"], "--scale must be 4 or 8, not 3"),
        (["--jpeg", "0"], "--jpeg must lie between 1 and 100, not 0"),
        (["--max-pixels", "0"], "--max-pixels must be at least 1, not 0"),
        (
            ["--degradation", "blur"],
            "--degradation must be paper, bicubic or photo, not 'blur'",
        ),
        (["--match-histogram"], "--match-histogram is for models: give --model with it"),
        (["--csv", "scores.png"], "--csv is scores.png; its name must end in .csv"),
        (["--csv", "folder.csv"], "--csv takes a file, and folder.csv is a folder"),
        (["--save", "file"], "--save takes a folder, and file is a file"),
        (["--save", "."], "--save . holds the pictures of --data: choose another folder"),
        (["--save", "data"], "--save data holds the pictures of --data: choose another folder"),
        (["--data", "none"], "no such folder: none"),
        (["--data", "file"], "--data takes a folder, and file is a file"),
        (["--data", "folder.csv"], "no pictures in folder folder.csv (readable: ...)"),
        (["--model", "none.onnx"], "no such model file: none.onnx"),
        (
            ["--model", "nearest.onnx", "--scale", "8"],
            "scale and model disagree: nearest.onnx enlarges by 2 or 4, not by 8: ...",
        ),
        (
            ["--model", "nearest.onnx", "--model", "nearest.onnx"],
            "--model nearest.onnx is given twice",
        ),
        (["--model", "negative.onnx"], "negative.onnx: the model is of kind style, not upscale..."),
    ],
)
def test_mistakes(run_cli, data, tiny_upscaler, save_model, tmp_path, arguments, message):
    save_model(tmp_path / "negative.onnx")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run_cli("evaluate", "superres", "--data", "data", *arguments)
    assert (code, out) == (2, "")
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(f"impasto: {pattern}\n", err), err
    assert sorted(tmp_path.rglob("*")) == before


def test_data_is_asked_for(run_cli):
    code, out, err = run_cli("evaluate", "superres")
    assert (code, out) == (2, "")
    assert err.startswith("impasto: FOLDER is missing: `impasto evaluate superres --help`")


def test_two_pictures_of_one_name_are_not_saved_over_each_other(run_cli, data, pictures):
    Image.fromarray(pictures["a.png"]).save(data / "a.jpg")
    code, _, err = run_cli("evaluate", "superres", "--data", "data", "--save", "out")
    assert code == 2
    assert err == "impasto: --save has one name for a.jpg and a.png: rename one of them\n"


def test_a_csv_that_cannot_be_written_leaves_the_table(run_cli, data):
    code, out, err = run_cli(
        "evaluate", "superres", "--data", "data", "--csv", "data/a.png/scores.csv"
    )
    assert code == 1
    assert "| mean " in out
    assert err.startswith("impasto: cannot write ")
    assert err.count("\n") == 1


def test_the_extra_that_is_needed(run_cli, data, monkeypatch):
    monkeypatch.delitem(sys.modules, "impasto.evaluation.superres")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    code, out, err = run_cli("evaluate", "superres", "--data", "data")
    assert (code, out) == (2, "")
    assert err.startswith("impasto: impasto evaluate superres needs the extra impasto[train]")
