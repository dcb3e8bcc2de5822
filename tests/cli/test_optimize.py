import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
from PIL import Image
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from impasto.cli.optimize import _sha256
from impasto.cli.optimizing import Watch
from impasto.images.reading import Photo, read_image
from impasto.losses import STYLE_LAYERS
from impasto.paper import (
    balanced_objective,
    noise,
    optimize,
    style_grams,
    trained_objective,
    weights_of_model,
)
from impasto.training.pictures import to_pictures, to_tensor

STATE = "out.png.state.safetensors"

# Saves the state after each iteration and dies in the ninth.
KILLED = """
import os, signal, sys
from impasto.cli import optimizing
from impasto.cli.app import main

optimizing.STATE_EVERY_S = 0.0
watch = optimizing.Watch.__call__

def dying(self, state):
    if state.iteration == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    watch(self, state)

optimizing.Watch.__call__ = dying
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def vgg():
    from impasto.losses import LossNetwork

    return LossNetwork()


@pytest.fixture
def place(tmp_path, monkeypatch, vgg):
    """A working folder with a photo of 40x32 px and two paintings of 48x48."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("impasto.paper.objective.LossNetwork", lambda _=None: vgg)
    tiny_runs.write_painting(tmp_path / "wave.png", 48, 48)
    rgb = np.asarray(Image.open("wave.png"))
    Image.fromarray(255 - rgb).save("night.png")
    rows, columns = np.mgrid[0:32, 0:40] / 40
    waves = [np.sin(3 * rows * (c + 1)) + np.cos(4 * columns - c) for c in range(3)]
    Image.fromarray(((np.stack(waves, axis=-1) + 2) * 60).astype(np.uint8)).save("photo.png")
    return tmp_path


def rgb_of(name):
    return np.asarray(Image.open(name))


def run(run_cli, *arguments, styles=("wave.png",), out="out.png"):
    line = ("optimize", "photo.png", *styles, "-o", out, "--device", "cpu", *arguments)
    code, printed, err = run_cli(*line)
    assert (code, printed) == (0, f"{out}\n"), err
    return rgb_of(out)


def objective_of(vgg, *styles, **settings):
    photo = to_tensor(read_image("photo.png").rgb)
    grams = [style_grams(vgg, to_tensor(read_image(name).rgb), STYLE_LAYERS) for name in styles]
    return balanced_objective(vgg, photo, grams, **settings), photo


def test_the_result_is_the_library_s(run_cli, place, vgg):
    found = run(run_cli, "--iterations", 6)
    objective, photo = objective_of(vgg, "wave.png")
    assert (found == to_pictures(optimize(objective, photo, iterations=6).image)[0]).all()
    assert not (found == rgb_of("photo.png")).all()
    assert sorted(p.name for p in place.glob("out*")) == ["out.png"]


def test_dials(run_cli, place, vgg):
    found = run(
        run_cli,
        *("--iterations", 5, "--style-scale", 6, "--tv-scale", 0.5, "--style-weights", "1,3"),
        *("--from", "noise", "--seed", 4, "--method", "adam", "--style-size", 48, "--threads", 1),
        styles=("wave.png", "night.png"),
    )
    objective, _ = objective_of(
        vgg, "wave.png", "night.png", shares=[1, 3], style_scale=6, tv_scale=0.5
    )
    expected = optimize(objective, noise(32, 40, seed=4), method="adam", iterations=5)
    assert (found == to_pictures(expected.image)[0]).all()


def test_weights_of_a_model(run_cli, place, vgg):
    found = run(run_cli, "--iterations", 4, "--weights-of", "great_wave", "--size", 40)
    from impasto.catalog import shipped_styles

    weights = weights_of_model(shipped_styles()[0].path, "great_wave")
    photo = to_tensor(read_image("photo.png").rgb)
    grams = style_grams(vgg, to_tensor(read_image("wave.png").rgb), STYLE_LAYERS)
    objective = trained_objective(vgg, photo, [grams], weights)
    assert (found == to_pictures(optimize(objective, photo, iterations=4).image)[0]).all()


def curve(board, name="total"):
    """What TensorBoard shows of a term: its value by iteration."""
    points = EventAccumulator(board).Reload().Scalars(f"objective/{name}")
    return {point.step: point.value for point in points}


def test_the_objective_as_curves(run_cli, place, vgg):
    run(run_cli, "--iterations", 5, "--tensorboard", "new/board")
    objective, photo = objective_of(vgg, "wave.png")
    expected = [e.values for e in optimize(objective, photo, iterations=5).curve]
    for name in ("total", "content", "style", "total_variation"):
        points = curve("new/board", name)
        assert list(points) == [1, 2, 3, 4, 5]
        assert list(points.values()) == pytest.approx([getattr(v, name) for v in expected])
    assert curve("new/board", "style")[1] == pytest.approx(3, rel=1e-5)
    assert curve("new/board")[5] < curve("new/board")[1]


def test_pictures_on_the_way(run_cli, place):
    run(run_cli, "--iterations", 5, "--save-every", 2, out="out.webp")
    names = sorted(path.name for path in place.glob("out*"))
    assert names == ["out.000002.webp", "out.000004.webp", "out.webp"]
    assert {Image.open(name).size for name in names} == {(40, 32)}


def test_coarse_to_fine(run_cli, place, monkeypatch):
    monkeypatch.setattr("impasto.paper.descent.level_sizes", lambda px: [px // 2, px])
    sizes = []
    watch = Watch.__call__
    monkeypatch.setattr(
        Watch, "__call__", lambda *args: watch(*args) or sizes.append(args[1].curve[-1].size_px)
    )
    found = run(run_cli, "--iterations", 7, "--coarse-to-fine")
    assert sizes == [20] * 3 + [40] * 4
    assert found.shape == (32, 40, 3)


def test_the_size_and_what_the_photo_carries(run_cli, place):
    photo = Image.open("photo.png").resize((80, 64))
    photo.putalpha(Image.new("L", (80, 64), 77))
    photo.save("photo.png", exif=(exif := Image.Exif()))
    exif[0x010E] = "a title"
    photo.save("photo.png", exif=exif)
    run(run_cli, "--iterations", 1, "--size", 40)
    result = Image.open("out.png")
    assert (result.size, result.mode) == ((40, 32), "RGBA")
    assert set(np.asarray(result)[..., 3].flat) == {77}
    assert result.getexif()[0x010E] == "a title"


def test_a_photo_is_known_by_its_size_and_pixels():
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert _sha256(Photo(rgb)) != _sha256(Photo(rgb.reshape(64, 48, 3)))
    assert _sha256(Photo(rgb)) == _sha256(Photo(rgb.copy()))


def test_the_default_name(run_cli, place):
    line = ("optimize", "photo.png", "wave.png", "--iterations", 1)
    assert run_cli(*line)[:2] == (0, "photo.optimized.png\n")


def test_lines_say_how_it_goes(run_cli, place, monkeypatch):
    monkeypatch.setattr("impasto.cli.console.LINE_EVERY_S", 0.0)
    code, _, err = run_cli("optimize", "photo.png", "wave.png", "-o", "x.png", "--iterations", 3)
    assert code == 0
    lines = err.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(
        r"iteration 1/3, \d+:\d\d left, objective 3\.02: style 3 total_variation 0\.02", lines[0]
    )
    assert re.match(r"iteration 3/3, 0:00 left, objective [\d.]+: content [\d.]+ style ", lines[2])


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_a_killed_run_goes_on_to_the_same_picture(run_cli, place, method):
    options = ("--iterations", 14, "--method", method, "--from", "noise")
    expected = run(run_cli, *options, "--tensorboard", "straight", out="straight.png")
    line = ("optimize", "photo.png", "wave.png", "-o", "out.png", "--device", "cpu", *options)
    process = tiny_runs.start(KILLED, *line, cwd=place)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    assert sorted(path.name for path in place.glob("out*")) == [STATE]
    with safe_open(STATE, framework="pt") as file:
        assert len(json.loads(file.metadata()["optimization"])["curve"]) == 8
    code, _, err = run_cli(*line)
    assert code == 2
    assert err == (
        "impasto: out.png is the result of a run that has not ended: --resume goes on with it, "
        "--overwrite begins again\n"
    )
    # Another process may add up in another order.
    found = run(run_cli, *options, "--resume", "--tensorboard", "resumed")
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert not Path(STATE).exists()
    straight = {n: total for n, total in curve("straight").items() if n > 8}
    assert curve("resumed") == pytest.approx(straight, rel=1e-4)


class Stop:
    """Presses Ctrl-C in one iteration."""

    def __init__(self, monkeypatch, iteration):
        watch = Watch.__call__

        def pressing(self, state):
            if state.iteration == iteration:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
            watch(self, state)

        monkeypatch.setattr(Watch, "__call__", pressing)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_ctrl_c_keeps_the_best_so_far_and_resume_goes_on_bit_for_bit(
    run_cli, place, monkeypatch, method
):
    options = ("--iterations", 9, "--method", method, "--device", "cpu", "--tensorboard")
    expected = run(run_cli, *options, "straight", out="straight.png")
    totals = curve("straight")
    line = ("optimize", "photo.png", "wave.png", "-o", "out.png", *options, "board")
    with monkeypatch.context() as patch:
        Stop(patch, 5)
        code, out, err = run_cli(*line)
    assert (code, out) == (130, "")
    assert err == (
        "stopped at iteration 5 of 9; `--resume` goes on from here\nimpasto: interrupted\n"
    )
    assert Image.open("out.png").size == (40, 32)
    assert curve("board") == {n: total for n, total in totals.items() if n <= 5}
    found = run(run_cli, *options, "board", "--resume")
    assert (found == expected).all()
    assert curve("board") == totals
    assert not Path(STATE).exists()


def test_what_can_change_when_a_run_goes_on(run_cli, place, monkeypatch):
    line = ("optimize", "photo.png", "wave.png", "-o", "out.png", "--iterations", 5)
    with monkeypatch.context() as patch:
        Stop(patch, 2)
        assert run_cli(*line)[0] == 130
    for changed, message in [
        (("--style-scale", 5), "--style-scale is 5.0, and was 3.0 when out.png.state.safetensors"),
        (("--method", "adam"), "--method is adam, and was lbfgs when"),
        (("--from", "noise"), "--from is noise, and was photo when"),
        (("--coarse-to-fine",), "--coarse-to-fine is True, and was None when"),
    ]:
        code, out, err = run_cli(*line, *changed, "--resume")
        assert (code, out) == (2, "")
        assert err.startswith(f"impasto: {message}")
        assert err.count("\n") == 1
    longer = ("--iterations", 6, "--resume", "--tensorboard", "board")
    assert run_cli(*line[:5], *longer)[0] == 0
    assert list(curve("board")) == [3, 4, 5, 6]


def test_a_run_that_has_not_ended_can_be_begun_again(run_cli, place, monkeypatch):
    line = ("optimize", "photo.png", "wave.png", "-o", "out.png", "--iterations", 4)
    with monkeypatch.context() as patch:
        Stop(patch, 2)
        assert run_cli(*line)[0] == 130
    with safe_open(STATE, framework="pt") as file:
        assert file.metadata()
    assert run_cli(*line, "--overwrite")[0] == 0
    assert not Path(STATE).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.png", "wave.png"], 2, "no such file: none.png"),
        (["photo.png", "none.png"], 2, "no such file: none.png"),
        (["photo.png"], 2, "STYLE... is missing: `impasto optimize --help` says what it takes"),
        (["text.txt", "wave.png"], 2, "text.txt is not a picture, or a damaged one ..."),
        (["folder", "wave.png"], 2, "folder is a folder: give one photo"),
        (["-", "wave.png"], 2, "the photo and -o are files here, not -"),
        (["tiny.png", "wave.png"], 2, "tiny.png is 12x9 px; both sides must be at least 16 px"),
        (["photo.png", "tiny.png"], 2, "tiny.png is 12x9 px; both sides must be at least 16 px"),
        (
            ["photo.png", "wave.png", "--size", "16"],
            2,
            "photo.png is 40x32 px, 16x13 px at that size; both sides must be at least 16 px",
        ),
        (["photo.png", "wave.png", "--size", "9"], 2, "--size must be at least 16, not 9"),
        (
            ["photo.png", "wave.png", "--style-size", "9"],
            2,
            "--style-size must be at least 16, not 9",
        ),
        (["photo.png", "photo.png"], 1, "the photos and a painting look the same to the loss ..."),
        (["photo.png", "wave.png", "-o", "x.gif"], 2, "-o x.gif must end in one of .jpg ..."),
        (["photo.png", "wave.png", "-o", "photo.png"], 2, "photo.png is an input and would be ..."),
        (["photo.png", "wave.png", "-o", "wave.png"], 2, "wave.png is an input and would be ..."),
        (
            ["photo.png", "wave.png", "-o", "there.png"],
            2,
            "there.png is already there: --overwrite replaces it",
        ),
        (
            ["photo.png", "wave.png", "-o", "text.txt/x.png"],
            1,
            "cannot write text.txt/x.png: ...text.txt is not a folder",
        ),
        (
            ["photo.png", "wave.png", "--iterations", "0"],
            2,
            "--iterations must be at least 1, not 0",
        ),
        (
            ["photo.png", "wave.png", "--method", "sgd"],
            2,
            "--method must be lbfgs or adam, not 'sgd'",
        ),
        (
            ["photo.png", "wave.png", "--from", "grey"],
            2,
            "--from must be photo or noise, not 'grey'",
        ),
        (
            ["photo.png", "wave.png", "--device", "tpu"],
            2,
            "--device must be auto, cpu, cuda or mps, not 'tpu'",
        ),
        (
            ["photo.png", "wave.png", "--style-weights", "0.7,0.3"],
            2,
            "the style weights are 0.7,0.3; give one for each of 1 painting",
        ),
        (
            ["photo.png", "wave.png", "--style-weights", "much"],
            2,
            "--style-weights is 'much'; give numbers, separated by commas",
        ),
        (
            ["photo.png", "wave.png", "--style-scale", "-1"],
            2,
            "--style-scale must be 0 or more, not -1",
        ),
        (
            ["photo.png", "wave.png", "--weights-of", "great_wave", "--tv-scale", "1"],
            2,
            "--tv-scale and --weights-of contradict each other: the model states its weights",
        ),
        (
            ["photo.png", "wave.png", "--weights-of", "none"],
            2,
            "there is no style 'none': known are ...",
        ),
        (
            ["photo.png", "wave.png", "--weights-of", "negative.onnx"],
            2,
            "negative.onnx: the model does not state the weights that it was trained with: ...",
        ),
        (
            ["photo.png", "wave.png", "--save-every", "0"],
            2,
            "--save-every must be at least 1, not 0",
        ),
        (
            ["photo.png", "wave.png", "--seed", "-1"],
            2,
            "--seed must be at least 0 and below 2^63...",
        ),
        (
            ["photo.png", "wave.png", "--threads", "0"],
            2,
            "--threads must lie between 1 and 1024, not 0",
        ),
        (
            ["photo.png", "wave.png", "--resume"],
            2,
            "there is nothing to resume: photo.optimized.png.state.safetensors is missing; leave "
            "--resume out",
        ),
        (
            ["photo.png", "x.targets.safetensors/wave"],
            2,
            "style targets not found: x.targets.safetensors",
        ),
    ],
)
def test_mistakes(run_cli, place, save_model, arguments, code, message):
    save_model(place / "negative.onnx")
    Image.new("RGB", (12, 9)).save("tiny.png")
    Image.new("RGB", (40, 40)).save("there.png")
    Path("text.txt").write_text("not a picture")
    Path("folder").mkdir()
    before = sorted(place.rglob("*"))
    found, out, err = run_cli("optimize", *arguments)
    assert (found, out) == (code, "")
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(f"impasto: {pattern}\n", err), err
    assert sorted(place.rglob("*")) == before


def test_more_sizes_than_iterations(run_cli, place, monkeypatch):
    monkeypatch.setattr("impasto.paper.descent.level_sizes", lambda px: [px // 2, px])
    line = ("optimize", "photo.png", "wave.png", "--iterations", 1, "--coarse-to-fine")
    assert run_cli(*line)[2] == (
        "impasto: the iterations must be at least 2, one for each size, not 1\n"
    )


def test_the_extra_that_is_needed(run_cli, place, monkeypatch):
    for name in list(sys.modules):
        if name.startswith("impasto.paper"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, err = run_cli("optimize", "photo.png", "wave.png")
    assert (code, out) == (2, "")
    assert err.startswith("impasto: impasto optimize needs the extra impasto[train]")
