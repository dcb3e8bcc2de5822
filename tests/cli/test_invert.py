import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from impasto.images.reading import read_image
from impasto.losses import STYLE_LAYERS, LossNetwork
from impasto.losses.loss_network import shipped_weights
from impasto.paper import (
    feature_objective,
    gram_objective,
    noise,
    optimize,
    style_grams,
)
from impasto.paper.objective import tv_reference
from impasto.training.pictures import to_pictures, to_tensor


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture
def place(tmp_path, monkeypatch, vgg):
    """A working folder with a picture of 40x32 px."""
    monkeypatch.chdir(tmp_path)
    network = LossNetwork
    monkeypatch.setattr(
        "impasto.paper.objective.LossNetwork",
        lambda weights=None: network(weights) if weights else vgg,
    )
    rows, columns = np.mgrid[0:32, 0:40] / 40
    waves = [np.sin(3 * rows * (c + 1)) + np.cos(4 * columns - c) for c in range(3)]
    Image.fromarray(((np.stack(waves, axis=-1) + 2) * 60).astype(np.uint8)).save("wave.png")
    return tmp_path


@pytest.fixture
def image(place):
    return to_tensor(read_image("wave.png").rgb)


@pytest.fixture
def deep_weights(tmp_path):
    """Weights that reach relu5_3, those of the last block made up."""
    state = load_file(shipped_weights())
    generator = torch.Generator().manual_seed(0)
    for number in (1, 2, 3):
        weight = torch.randn(512, 512, 3, 3, generator=generator) / 48
        state[f"conv5_{number}.weight"] = weight.half()
        state[f"conv5_{number}.bias"] = torch.zeros(512).half()
    path = tmp_path / "deep.safetensors"
    save_file(state, path)
    return path


def invert(run_cli, *arguments, out="out.png"):
    line = ("invert", "wave.png", "-o", out, "--device", "cpu", *arguments)
    code, printed, err = run_cli(*line)
    assert (code, printed) == (0, f"{out}\n"), err
    return np.asarray(Image.open(out))


def psnr(rgb, other):
    difference = rgb.astype(float) - other
    return 10 * np.log10(255**2 / np.square(difference).mean())


def test_a_low_layer_gives_the_picture_back_and_a_high_one_less(run_cli, place):
    photo = np.asarray(Image.open("wave.png"))
    low = invert(run_cli, "--layer", "relu1_2", "--iterations", 50)
    high = invert(run_cli, "--layer", "relu4_3", "--iterations", 30, out="high.png")
    assert psnr(low, photo) > 26
    assert psnr(low, photo) > psnr(high, photo) + 6
    assert sorted(path.name for path in place.glob("*")) == ["high.png", "out.png", "wave.png"]


def test_the_result_is_the_library_s(run_cli, image, vgg):
    options = ("--layer", "relu2_2", "--iterations", 5, "--seed", 3, "--tv-scale", 0.1)
    objective = feature_objective(vgg, image, "relu2_2", tv_scale=0.1)
    expected = optimize(objective, noise(32, 40, seed=3), iterations=5)
    assert (invert(run_cli, *options) == to_pictures(expected.image)[0]).all()


@pytest.mark.parametrize(("layer", "layers"), [("all", STYLE_LAYERS), ("relu3_3", ["relu3_3"])])
def test_styles(run_cli, image, vgg, layer, layers):
    found = invert(run_cli, "--style", "--layer", layer, "--iterations", 4)
    objective = gram_objective(
        vgg, style_grams(vgg, image, layers), tv_weight=0.02 / tv_reference(image)
    )
    expected = optimize(objective, noise(32, 40), iterations=4)
    assert (found == to_pictures(expected.image)[0]).all()


def test_weights_that_reach_deeper(run_cli, place, deep_weights):
    options = ("--layer", "relu5_3", "--iterations", 2, "--loss-network", deep_weights)
    assert invert(run_cli, *options).shape == (32, 40, 3)


def test_default_names(run_cli, place):
    short = ("--iterations", 1, "--size", 24)
    assert run_cli("invert", "wave.png", "--layer", "relu1_2", *short)[1] == "wave.relu1_2.png\n"
    assert Image.open("wave.relu1_2.png").size == (24, 19)
    line = ("invert", "wave.png", "--layer", "all", "--style", *short)
    assert run_cli(*line)[1] == "wave.style_all.png\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["wave.png"], 2, "LAYER is missing: `impasto invert --help` says what it takes"),
        (
            ["wave.png", "--layer", "relu9_1"],
            2,
            "--layer is 'relu9_1'; VGG-16 has relu1_1, relu1_2, ..., relu5_3",
        ),
        (["wave.png", "--layer", "../x"], 2, "--layer is '../x'; VGG-16 has ..."),
        (
            ["wave.png", "--layer", "relu5_3"],
            2,
            "the loss network has no layer 'relu5_3'; it has relu1_1, ..., relu4_3",
        ),
        (
            ["wave.png", "--layer", "all"],
            2,
            "--layer all is for --style: name one layer, such as relu3_3",
        ),
        (["none.png", "--layer", "relu1_2"], 2, "no such file: none.png"),
        (
            ["tiny.png", "--layer", "relu1_2"],
            2,
            "tiny.png is 12x9 px; both sides must be at least 16 px",
        ),
        (["wave.png", "--layer", "relu1_2", "-o", "x.gif"], 2, "-o x.gif must end in one of ..."),
        (
            ["wave.png", "--layer", "relu1_2", "-o", "tiny.png"],
            2,
            "tiny.png is already there: --overwrite replaces it",
        ),
        (
            ["wave.png", "--layer", "relu1_2", "-o", "text.txt/x.png"],
            1,
            "cannot write text.txt/x.png: ...text.txt is not a folder",
        ),
        (
            ["wave.png", "--layer", "relu1_2", "--tv-scale", "nan"],
            2,
            "--tv-scale must be 0 or more, not nan",
        ),
        (
            ["wave.png", "--layer", "relu1_2", "--loss-network", "none.pth"],
            2,
            "loss network weights not found: none.pth",
        ),
        (
            ["wave.png", "--layer", "relu1_2", "--loss-network", "text.txt"],
            2,
            "text.txt is not a readable .safetensors or .pth weights file",
        ),
        (
            ["wave.png", "--layer", "relu1_2", "--size", "1"],
            2,
            "--size must be at least 16, not 1",
        ),
    ],
)
def test_mistakes(run_cli, place, arguments, code, message):
    Image.new("RGB", (12, 9)).save("tiny.png")
    Path("text.txt").write_text("neither picture nor weights")
    before = sorted(place.rglob("*"))
    found, out, err = run_cli("invert", *arguments)
    assert (found, out) == (code, "")
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(f"impasto: {pattern}\n", err), err
    assert sorted(place.rglob("*")) == before
