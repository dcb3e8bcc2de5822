import json
import shlex
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.training import UpscalerConfig

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("x*.toml"))
TINY = [
    *("--width", "4", "--residual-blocks", "1", "--patch-px", "32", "--batch-size", "1"),
    *("--device", "cpu", "--precision", "32-true", "--threads", "1", "--workers", "0"),
    *("--validation-photos", "photos"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder with a folder of photos in it."""
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        small.resize((100, 96), Image.Resampling.BICUBIC).save(
            tmp_path / "photos" / f"{number}.png"
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("impasto.training.pictures.PREVIEW_PX", 64)
    return tmp_path


def kept(folder):
    return json.loads((folder / "config.json").read_text())["config"]


def test_a_model_is_trained_and_the_printed_line_upscales(here, run_cli):
    given = ["--loss", "pixel", "--steps", "2", *TINY]
    code, out, err = run_cli("train-upscaler", "photos", *given)
    assert code == 0, err
    assert out == f"{Path('runs/x4-pixel/x4-pixel.onnx')}\n"
    lines = err.splitlines()
    assert "preview: runs/x4-pixel/preview.jpg" in lines
    assert any(line.startswith("step 2/2, ") for line in lines)
    line = shlex.split(lines[-1])
    assert line[:2] == ["impasto", "upscale"]
    assert Path(line[2]).is_dir()
    code, out, err = run_cli("upscale", "photos/0.png", *line[3:])
    assert code == 0, err
    assert Image.open(out.strip()).size == (400, 384)


@pytest.mark.usefixtures("no_export")
def test_a_run_is_resumed_with_its_own_settings(here, run_cli):
    line = ("train-upscaler", "photos", "--scale", "8", "--loss", "pixel")
    assert run_cli(*line, "--steps", "2", *TINY)[0] == 0
    code, _, err = run_cli(*line, "--steps", "2", *TINY)
    assert code == 2
    assert err.startswith("impasto: runs/x8-pixel already holds a run; add --resume")
    code, _, err = run_cli(*line, "--resume", "--steps", "4")
    assert code == 0, err
    assert [p.name for p in sorted((here / "runs/x8-pixel/checkpoints").iterdir())][-1].endswith(
        "04"
    )
    code, _, err = run_cli(*line, "--resume", "--degradation", "photo")
    assert code == 2
    assert err.startswith("impasto: --degradation is photo, the run in runs/x8-pixel has mixed;")


@pytest.mark.usefixtures("no_export")
def test_a_recipe_is_taken_and_flags_go_first(here, run_cli):
    Path("r.toml").write_text('[settings]\nloss = "both"\npixel_weight = 5.0\nsteps = 9\n')
    code, _, err = run_cli(
        *("train-upscaler", "photos", "--recipe", "r.toml", "-o", "r", "--steps", "1", *TINY)
    )
    assert code == 0, err
    settings = kept(here / "r")
    assert (settings["loss"], settings["pixel_weight"], settings["steps"]) == ("both", 5.0, 1)


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_shipped_models_recipes_are_taken(recipe, here, run_cli):
    line = ("train-upscaler", "photos", "--recipe", recipe, "-o", "r", "--steps", "1", *TINY)
    code, _, err = run_cli(*line)
    assert code == 0, err
    assert kept(here / "r")["scale"] == int(recipe.stem[1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["nowhere"], "photos not found: nowhere; give a folder, a .zip or a .tar of photos"),
        (["photos", "--scale", "3"], "--scale is 3; allowed are 4, 8"),
        (["photos", "--max-time", "soon"], "--max-time is 'soon'; give a time such as 90s"),
        (["photos", "--resume"], "runs/x4-feature holds no checkpoint"),
        (["photos", "--resume", "--preset", "paper"], "--preset and --resume are both given"),
        (["photos", "--start-from", "none.onnx"], "no such model file: none.onnx"),
        (["photos", "--recipe", "none.toml"], "the recipe none.toml cannot be read"),
        (["photos", "--patch-px", "512"], "none of the 2 photos can be used"),
    ],
)
def test_bad_input_is_one_line(here, run_cli, given, message):
    code, out, err = run_cli("train-upscaler", *given)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("impasto: ")
    assert "Traceback" not in err


def test_every_setting_is_a_flag(run_cli):
    code, out, _ = run_cli("train-upscaler", "--help")
    assert code == 0
    words = out.split()
    for name in (item.name for item in fields(UpscalerConfig)):
        if name not in ("photos", "started_from"):
            assert "--" + name.replace("_", "-").removesuffix("-s") in words
