"""The whole report, scaled down to seconds."""

import csv
import json

import numpy as np
import pytest
import tiny_runs
from PIL import Image

from impasto.catalog import Upscaler
from impasto.errors import DataError, ModelError, ResumeError, UsageError
from impasto.images.reading import read_image
from impasto.reproduction import Sizes, gather_inputs, reproduce
from impasto.reproduction.sizes import ObjectiveSize
from impasto.training import make_config, train

TINY = Sizes(
    speed_px=(64,),
    speed_iterations=2,
    objective=(ObjectiveSize(48, 2, 6),),
    superres_pictures=1,
    superres_px=64,
    figure_px=64,
    figure_iterations=2,
    cut="A tiny report.",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A painting, photos, a test set, and a style of the painting."""
    folder = tmp_path_factory.mktemp("data")
    painting = tiny_runs.write_painting(folder / "wave.png", 80, 90)
    tiny_runs.write_photos(folder / "photos", count=3)
    (folder / "sr" / "Set5").mkdir(parents=True)
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
    small.resize((160, 144), Image.Resampling.BICUBIC).save(folder / "sr" / "Set5" / "baby.png")
    settings = tiny_runs.SETTINGS | tiny_runs.NETWORK
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        train(
            make_config(
                painting, photos=folder / "photos", output=folder / "run", steps=2, **settings
            )
        )
    return folder


@pytest.fixture
def inputs(data):
    return gather_inputs(
        data / "photos", data / "wave.png", data / "sr", [data / "run" / "wave.onnx"]
    )


@pytest.fixture
def with_upscalers(save_upscaler, tmp_path, monkeypatch):
    rows = tuple(
        Upscaler("sharp", scale, "Sharp", "Apache-2.0", path)
        for scale in (4, 8)
        for path in [save_upscaler(tmp_path / f"x{scale}.onnx", scale=scale)]
    )
    for module in ("inputs", "superres", "figures"):
        monkeypatch.setattr(f"impasto.reproduction.{module}.list_upscalers", lambda: rows)


@pytest.mark.usefixtures("with_upscalers")
def test_the_whole_report(inputs, tmp_path):
    folder, said = tmp_path / "report", []
    markdown, page = reproduce("all", folder, inputs, sizes=TINY, threads=1, progress=said.append)
    written = set(tiny_runs.files(folder))
    assert {
        "speed/speed.png",
        "speed/speed.svg",
        "speed/table1.csv",
        "speed/measurements.json",
        "objective/objective.png",
        "objective/table1.csv",
        "superres/superres.svg",
        "superres/table2.csv",
        "figures/features.jpg",
        "figures/style.jpg",
        "figures/results.jpg",
        "figures/superres_x4.jpg",
        "figures/superres_x8.jpg",
        "report.md",
        "report.html",
    } <= written
    text = markdown.read_text(encoding="utf-8")
    for heading in ("## Speed", "## Objective", "## Super-resolution", "## Figures"):
        assert heading in text
    assert "A tiny report." in text
    assert "Content images: photos." in text
    assert "threads" in text
    for name in (n for n in written if n.endswith((".png", ".jpg"))):
        assert f"({name})" in text
        assert f'src="{name}"' in page.read_text(encoding="utf-8")
        assert read_image(folder / name).rgb.std() > 5
    rows = list(csv.reader((folder / "superres" / "table1.csv").open()))
    names = [row[0] for row in rows]
    assert "Set5, paper: bicubic" in names
    assert "Set5, bicubic: sharp" in names
    assert ["Set5, the paper's SRCNN", "30.48", "0.8628", "", ""] in rows
    values = json.loads((folder / "objective" / "measurements.json").read_text())["values"]
    curves = next(iter(values.values()))
    assert len(curves["baseline"]["noise"]) == 6
    assert min(curves["baseline"]["photo"]) < curves["content"]
    assert curves["baseline"]["photo"][0] == pytest.approx(curves["content"], rel=1e-4)
    assert any("the baseline at 64 px" in line for line in said)
    before = {name: (folder / name).stat().st_mtime_ns for name in written}
    said.clear()
    reproduce("all", folder, inputs, sizes=TINY, threads=1)
    kept = [name for name in written if name.startswith("figures/") and name.endswith(".jpg")]
    assert all((folder / name).stat().st_mtime_ns == before[name] for name in kept)
    assert json.loads((folder / "objective" / "measurements.json").read_text())["values"] == values


def test_one_section_alone(inputs, tmp_path):
    markdown, _ = reproduce("speed", tmp_path / "r", inputs, sizes=TINY, threads=1)
    text = markdown.read_text(encoding="utf-8")
    assert "## Speed" in text
    assert "## Objective" not in text
    rows = list(csv.reader((tmp_path / "r" / "speed" / "table1.csv").open()))
    by_name = {row[0]: row for row in rows}
    torch_row = by_name["64 px, wave in PyTorch"]
    assert float(torch_row[3]) == pytest.approx(5 * float(torch_row[1]), rel=0.7)
    assert float(torch_row[5].replace(",", "")) > 1
    assert "64 px, the paper" not in by_name


def test_a_report_of_other_inputs_is_not_mixed(data, inputs, tmp_path):
    reproduce("speed", tmp_path / "r", inputs, sizes=TINY, threads=1)
    other = gather_inputs(
        data / "sr" / "Set5", data / "wave.png", data / "sr", [inputs.models[0].path]
    )
    with pytest.raises(ResumeError, match="holds measurements with other photos"):
        reproduce("speed", tmp_path / "r", other, sizes=TINY, threads=1)


def test_an_unknown_section_is_named(inputs, tmp_path):
    with pytest.raises(UsageError, match="cannot reproduce 'tables'; allowed are speed, objective"):
        reproduce("tables", tmp_path, inputs, sizes=TINY)


def test_a_painting_must_be_the_models(data, tmp_path):
    other = tiny_runs.write_painting(tmp_path / "dunes.png", 100, 90)
    with pytest.raises(ModelError, match="is not the painting that wave was trained on"):
        gather_inputs(data / "photos", other, None, [data / "run" / "wave.onnx"])


def test_without_targets_a_painting_is_needed(data):
    with pytest.raises(ModelError, match="has no style targets beside it: give --painting"):
        gather_inputs(None, None, None, [data / "run" / "wave.onnx"])


def test_a_folder_without_pictures_is_named(data, tmp_path):
    with pytest.raises(DataError, match="no pictures in"):
        gather_inputs(tmp_path, data / "wave.png", None, [data / "run" / "wave.onnx"])


def test_what_is_not_given_is_shipped(data):
    inputs = gather_inputs(None, data / "wave.png", None, [data / "run" / "wave.onnx"])
    assert list(inputs.test_sets) == ["examples"]
    assert len(inputs.photos) >= 10
    assert inputs.notes[0] == "Content images: the example photos (--photos names others)."


def test_the_command_says_where_the_report_is(data, run_cli, monkeypatch, tmp_path):
    monkeypatch.setattr("impasto.reproduction.QUICK", TINY)
    line = ["reproduce", "speed", "-o", tmp_path / "r", "--quick", "--threads", "1"]
    given = ["--photos", data / "photos", "--painting", data / "wave.png"]
    given += ["--model", data / "run" / "wave.onnx"]
    code, out, err = run_cli(*line, *given)
    assert code == 0, err
    assert out.splitlines() == [str(tmp_path / "r" / f"report.{kind}") for kind in ("md", "html")]
    assert "speed: the baseline at 64 px" in err
    code, _, err = run_cli("reproduce", "tables", "-o", tmp_path / "r", *given)
    assert code == 2
    assert err.startswith("impasto: cannot reproduce 'tables'")
