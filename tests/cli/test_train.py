import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
from PIL import Image

from impasto.cli.train import describe, parse_duration
from impasto.errors import UsageError
from impasto.networks import RELEASED
from impasto.runtime.model_file import read_model_file
from impasto.training import TrainingConfig

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("[!x]*.toml"))


@pytest.fixture(scope="module", autouse=True)
def small_previews():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    tiny_runs.write_painting(folder / "wave.png")
    tiny_runs.write_photos(folder / "photos")
    return folder


@pytest.fixture
def here(pictures, tmp_path, monkeypatch):
    """An empty current folder with the painting and the photos in it."""
    shutil.copy(pictures / "wave.png", tmp_path)
    shutil.copytree(pictures / "photos", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tiny(**changed):
    return tiny_runs.flags(**({"validation_photos": "photos"} | changed))


def settings(folder):
    return json.loads((folder / "config.json").read_text())["config"]


def newest_step(folder):
    return int(sorted((folder / "checkpoints").glob("step-*"))[-1].name.removeprefix("step-"))


# --- a run from end to end


def test_a_preset_trains_and_the_printed_line_paints(here, run_cli, monkeypatch):
    monkeypatch.setattr("impasto.training.pictures.PREVIEW_PX", 64)  # above the padding of 40
    given = tiny(
        network=None, width=None, residual_blocks=None, max_zoom=None, crop_px=64, style_size_px=64
    )
    Image.effect_noise((70, 80), 60).convert("RGB").save(here / "photos" / "noise.png")
    for number in range(4):  # the others are below 64 px
        shutil.copy(here / "photos" / "noise.png", here / "photos" / f"copy{number}.png")
    code, out, err = run_cli(
        *("train", "wave.png", "photos", "--preset", "released", "--steps", "2", *given)
    )
    assert code == 0, err
    assert out == f"{Path('runs/wave/wave.onnx')}\n"
    lines = err.splitlines()
    assert "curves: tensorboard --logdir runs/wave" in lines
    assert "preview: runs/wave/preview.jpg" in lines
    assert any("2 steps of 1 photos" in line for line in lines)
    assert any(line.startswith("step 2/2, ") for line in lines)
    kept = settings(Path("runs/wave"))
    assert kept["network"] == RELEASED.to_dict()
    assert (kept["style_weight"], kept["schedule"], kept["steps"]) == (5.0, "constant", 2)
    line = shlex.split(lines[-1])
    assert line[:2] == ["impasto", "stylize"]
    assert Path(line[2]).is_dir()
    code, out, err = run_cli("stylize", "photos/photo0.png", *line[3:])
    assert code == 0, err
    [painted] = Path("runs/wave/examples").iterdir()
    assert Image.open(painted).size == Image.open("photos/photo0.png").size
    assert np.asarray(Image.open(painted)).std() > 1


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_are_taken_and_flags_go_first(recipe, here, run_cli):
    given = tiny(steps=1, style_scale=1.5, crop_shares=1, min_zoom=1, threads=None)
    if recipe.stem == "gallery":  # its network holds many styles
        own = {"network": None, "residual_blocks": None, "refine_share": 0}
        given = tiny(steps=1, style_scale=1.5, crop_shares=1, min_zoom=1, threads=None, **own)
    code, _, err = run_cli("train", "wave.png", "photos", "--recipe", recipe, "-o", "r", *given)
    assert code == 0, err
    kept = settings(here / "r")
    assert kept["steps"] == 1
    assert kept["style_scale"] == [1.5]
    assert kept["style_weight"] == "auto"
    assert kept["network"]["width"] == 1
    assert kept["max_time_s"] is None


@pytest.mark.usefixtures("no_export")
def test_a_run_is_resumed_with_its_own_settings(here, run_cli):
    assert run_cli("train", "wave.png", "photos", *tiny(steps=3))[0] == 0
    code, _, err = run_cli("train", "wave.png", "photos", *tiny(steps=3))
    assert code == 2
    assert err == "impasto: runs/wave already holds a run; add --resume, or name another with -o\n"
    code, _, err = run_cli("train", "wave.png", "--resume", "--steps", "5", "--threads", "1")
    assert code == 0, err
    assert newest_step(Path("runs/wave")) == 5
    code, _, err = run_cli("train", "wave.png", "--resume", "--width", "2")
    assert (code, err.count("\n")) == (2, 1)
    assert "--width is 2, the run in runs/wave has 1" in err


def test_a_painting_is_added_to_a_model_by_its_name(here, run_cli, monkeypatch):
    monkeypatch.setenv("IMPASTO_HOME", str(here / "home"))
    shutil.copy("wave.png", "dunes.png")
    many = tiny(width=8, network="draft_refine", residual_blocks=None, refine_share=0, steps=1)
    code, out, err = run_cli("train", "wave.png", "photos", *many)
    assert code == 0, err
    assert run_cli("styles", "add", out.strip())[0] == 0
    shutil.rmtree("runs")
    adding = tiny(
        network=None, width=None, residual_blocks=None, style_size_px=None, refine_share=0, steps=2
    )
    code, out, err = run_cli("train", "dunes.png", "photos", "--add-to", "wave", *adding)
    assert code == 0, err
    styles = read_model_file(out.strip())[1].styles
    assert [style.name for style in styles] == ["dunes", "wave"]
    code, _, err = run_cli("train", "wave.png", "photos", "--add-to", "wave", *adding)
    assert code == 2
    assert "holds a style 'wave' already" in err
    for flag in ("--add-to=wave", "--train-trunk", "--from-scratch"):
        code, _, err = run_cli("train", "dunes.png", "--resume", flag)
        assert (code, err.count("\n")) == (2, 1)
        assert f"{flag.split('=')[0]} and --resume are both given" in err


# --- Ctrl-C, in a process of its own with loading processes, as on a terminal


def interruptible(folder, *args):
    process = tiny_runs.start(
        tiny_runs.COMMAND_LINE,
        *("train", "wave.png", "photos", "--steps", "1000000", *tiny(workers=1), *args),
        cwd=folder,
    )
    end = time.monotonic() + 240
    preview = folder / "runs" / "wave" / "preview.jpg"
    while not preview.exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"it did not start: {process.communicate()[1]}")
        time.sleep(0.05)
    time.sleep(0.3)
    return process


def interrupt(process):
    os.killpg(process.pid, signal.SIGINT)


def test_ctrl_c_leaves_checkpoint_and_model(here):
    process = interruptible(here)
    interrupt(process)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    run = here / "runs" / "wave"
    step = newest_step(run)
    assert f"stopped at step {step} of 1000000; `--resume` goes on from here" in err
    assert out == f"{Path('runs/wave/wave.onnx')}\n"
    assert {"wave.onnx", "wave.safetensors"} <= set(tiny_runs.files(run))


def test_ctrl_c_twice_stops_and_leaves_nothing_half_written(here):
    process = interruptible(here)
    interrupt(process)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "stopped at step" in line:
            interrupt(process)  # while the model is being exported
            break
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, "".join(lines) + err
    assert "Traceback" not in err
    run = here / "runs" / "wave"
    assert newest_step(run) >= 1
    written = tiny_runs.files(run)
    assert "wave.onnx" not in written
    assert not [name for name in written if ".impasto-" in name or "partial" in name]


def test_two_processes_train_together_and_one_of_them_speaks(here):
    (here / "command.py").write_text(tiny_runs.COMMAND_LINE)
    code = "import runpy, sys; sys.argv[:1] = ['command.py']; runpy.run_path('command.py')"
    process = tiny_runs.start(
        code, "train", "wave.png", "photos", *tiny(steps=3, devices=2), cwd=here
    )
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out.count("runs/wave/wave.onnx\n") == 1
    assert err.count("curves: ") == err.count("try it on the example photos") == 1
    state = here / "runs" / "wave" / "checkpoints" / "step-00000003" / "state.json"
    assert json.loads(state.read_text())["images_per_step"] == 2


# --- bad input: one line, exit code 2, nothing written

BAD = {
    "no time": (["--max-time", "5x"], "--max-time is '5x'; give a time such as 90s, 20m or 2h"),
    "no seconds": (["--max-time", "0s"], "--max-time is '0s'"),
    "preset": (["--preset", "foo"], "--preset is 'foo'; allowed are paper, released"),
    "two lengths": (["--steps", "5", "--max-time", "5s"], "--steps and --max-time"),
    "two balances": (
        ["--style-weight", "5", "--style-scale", "2"],
        "--style-scale belongs to --style-weight auto",
    ),
    "no weight": (["--style-weight", "heavy"], "--style-weight is 'heavy'; give a number or auto"),
    "norm": (
        ["--network", "shipped", "--norm", "group"],
        "norm is 'group'; allowed are batch, instance",
    ),
    "width": (["--width", "0"], "width is 0"),
    "crop": (["--crop-px", "8"], "--crop-px is 8"),
    "rate": (["--learning-rate", "-1"], "--learning-rate is -1"),
    "nan": (["--learning-rate", "nan"], "--learning-rate is nan"),
    "style layer": (["--style-layers", "relu1_2,relu9_9"], "no layer 'relu9_9'"),
    "content layer": (["--content-layer", "relu5_3"], "no layer 'relu5_3'; it has relu1_1"),
    "loss network": (["--loss-network", "none.pth"], "none.pth"),
    "no recipe": (["--recipe", "none.toml"], "the recipe none.toml cannot be read"),
    "recipe and resume": (["--resume", "--recipe", "none.toml"], "--recipe and --resume"),
    "nothing to resume": (["--resume"], "runs/wave holds no checkpoint"),
    "validation photos": (["--validation-photos", "none"], "photos not found: none"),
}


def assert_one_line(result, words, folder, before):
    code, out, err = result
    assert code == 2, err
    assert out == ""
    assert err.startswith("impasto: ")
    assert err.count("\n") == 1
    assert words in err
    assert tiny_runs.files(folder) == before


@pytest.mark.parametrize("name", BAD)
def test_bad_settings(name, here, run_cli):
    args, words = BAD[name]
    before = tiny_runs.files(here)
    assert_one_line(run_cli("train", "wave.png", "photos", *args), words, here, before)


@pytest.mark.parametrize(
    ("painting", "photos", "words"),
    [
        ("missing.png", "photos", "missing.png"),
        ("text.png", "photos", "text.png"),
        ("empty.png", "photos", "empty.png"),
        ("photos", "photos", "photos"),
        ("wave.png", "missing", "photos not found: missing"),
        ("wave.png", "nothing", "no photos in nothing"),
        ("wave.png", "text.png", "2 paintings: this network holds one"),
        ("wave.png", "text.zip", "text.zip is not a folder, a .zip"),
        ("wave.png", "broken", "none of the 1 photos can be used: broken.jpg"),
        ("huge.png", "photos", "huge.png"),
    ],
)
def test_bad_pictures(painting, photos, words, here, run_cli):
    (here / "nothing").mkdir()
    (here / "broken").mkdir()
    for name in ("text.png", "text.zip", "broken/broken.jpg"):
        (here / name).write_text("no picture")
    (here / "empty.png").touch()
    header = (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    huge = b"\x89PNG\r\n\x1a\n" + len(header).to_bytes(4, "big") + b"IHDR" + header + b"\0" * 40
    (here / "huge.png").write_bytes(huge)
    before = tiny_runs.files(here)
    result = run_cli("train", painting, photos, "-o", "run", *tiny(steps=1))
    assert_one_line(result, words, here, before)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[settings]\nbrush = 3\n", "unknown settings: brush"),
        ("steps = 3\n", "has no [settings]"),
        ("settings = 3\n", "has no [settings]"),
        ("[settings\n", "cannot be read"),
        ("[settings]\nwidth = 'wide'\n", "width"),
        ("[settings]\nlearning_rate = 'fast'\n", "learning"),
    ],
)
def test_bad_recipes(text, words, here, run_cli):
    (here / "recipe.toml").write_text(text)
    before = tiny_runs.files(here)
    result = run_cli("train", "wave.png", "photos", "--recipe", "recipe.toml")
    assert_one_line(result, words, here, before)


@pytest.mark.parametrize("output", ["wave.png", "wave.png/run"])
def test_a_run_folder_that_cannot_be_made(output, here, run_cli):
    before = tiny_runs.files(here)
    code, _, err = run_cli("train", "wave.png", "photos", "-o", output, *tiny(steps=1))
    assert code == 1
    assert err == f"impasto: cannot write {output}: wave.png is not a folder\n"
    assert tiny_runs.files(here) == before


# --- without the training packages

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from impasto.cli.app import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("command", [["train", "x.jpg"], ["export", "run"]])
def test_a_missing_extra_names_the_line_that_installs_it(command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "[train]" in done.stderr
    assert "pip install" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train", "export"])
def test_help_needs_no_torch(command):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert command in done.stdout


def test_every_setting_is_a_flag(run_cli):
    code, out, _ = run_cli("train", "--help")
    assert code == 0
    words = out.split()
    for name in (item.name for item in fields(TrainingConfig)):
        if name not in ("paintings", "photos", "identity", "started_from", "kept_styles"):
            assert "--" + name.replace("_", "-").removesuffix("-s") in words


# --- pieces


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("20m", 1200), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "1h30m", "0s", "nans", "5d"])
def test_bad_durations(text):
    with pytest.raises(UsageError, match="90s, 20m or 2h"):
        parse_duration(text)


def test_a_step_is_described_in_one_line():
    from impasto.training import StepReport

    losses = {"total": 2.5, "content": 1.0, "style": 1.5, "total_variation": 0.0}
    assert describe(StepReport(7, 90, 61.0, 3725.4, 3.14159, losses)) == (
        "step 7/90, 3.14 images/s, 1:02:05 left, total 2.5 content 1 style 1.5"
    )
    assert "0:59 left" in describe(StepReport(7, 90, 61.0, 59.2, 3.0, losses))
