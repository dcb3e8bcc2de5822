import numpy as np
import pytest
from PIL import Image

from impasto.export import export_network
from impasto.networks import NetworkSpec, build_network
from impasto.runtime.metadata import ModelMetadata, StyleEntry


@pytest.fixture
def here(tmp_path, monkeypatch, rgb):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(rgb).save("photo.png")
    metadata = ModelMetadata(
        styles=(StyleEntry("wave", "Wave"),), min_size_px=5, network={}, weights_sha256=""
    )
    export_network(
        build_network(NetworkSpec(width=2, residual_blocks=1)), metadata, tmp_path / "wave.onnx"
    )
    return tmp_path


def test_a_frozen_model_paints(here, run_cli):
    code, out, err = run_cli("freeze", "wave.onnx", "--from", "photo.png", "-o", "frozen.onnx")
    assert (code, out, err) == (0, "frozen.onnx\n", "")
    for model in ("wave", "frozen"):
        line = ("stylize", "photo.png", "--model", f"{model}.onnx", "-o", f"{model}.png")
        assert run_cli(*line)[0] == 0
    one, other = (np.asarray(Image.open(f"{n}.png")).astype(int) for n in ("wave", "frozen"))
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("sizes", [[], ["--stroke-size", "0.5"], ["--stroke-size", "3"]])
def test_a_larger_photo_is_painted_as_before(here, run_cli, rgb, sizes):
    """It is larger than what the strokes are sized for, so that it is painted at another size."""
    metadata = ModelMetadata(
        styles=(StyleEntry("wave", "Wave"),),
        min_size_px=5,
        network={},
        weights_sha256="",
        reference_px=24,
    )
    network = build_network(NetworkSpec(width=2, residual_blocks=1))
    export_network(network, metadata, here / "sized.onnx")
    frozen = ("freeze", "sized.onnx", "--from", "photo.png", *sizes, "-o", "frozen.onnx")
    assert run_cli(*frozen)[0] == 0
    line = ("stylize", "photo.png", "--model")
    assert run_cli(*line, "sized.onnx", *sizes, "-o", "one.png")[0] == 0
    assert run_cli(*line, "frozen.onnx", "-o", "other.png")[0] == 0
    one, other = (np.asarray(Image.open(f"{n}.png")).astype(int) for n in ("one", "other"))
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["wave.onnx", "--from", "photo.png", "-o", "x.pt"], "-o is x.pt; a model file ends in"),
        (["wave.onnx", "--from", "photo.png", "-o", "wave.onnx"], "wave.onnx is already there"),
        (["none.onnx", "--from", "photo.png", "-o", "x.onnx"], "no such model file: none.onnx"),
        (["wave.onnx", "--from", "none.png", "-o", "x.onnx"], "none.png"),
        (
            ["wave.onnx", "--style", "dunes", "--from", "photo.png", "-o", "x.onnx"],
            "dunes",
        ),
        (
            ["wave.onnx", "--from", "photo.png", "-o", "x.onnx", "--stroke-size", "big"],
            "--stroke-size must be auto, native or a number",
        ),
    ],
)
def test_bad_input_is_one_line(here, run_cli, given, message):
    code, out, err = run_cli("freeze", *given)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("impasto: ")
    assert len(err.splitlines()) == 1
    assert not (here / "x.onnx").exists()
