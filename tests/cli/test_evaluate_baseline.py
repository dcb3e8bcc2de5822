import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
from PIL import Image

from impasto.images.reading import read_image
from impasto.losses import STYLE_LAYERS, LossNetwork, StyleTarget, save_style_targets
from impasto.paper import compare, style_grams, trained_objective, trained_weights
from impasto.runtime.metadata import StyleEntry
from impasto.training.pictures import read_painting, to_tensor

LAYERS = ["relu1_2", "relu2_2"]
RECIPE = {
    "paintings": ["wave.png"],
    "content_layer": "relu2_2",
    "style_layers": LAYERS,
    "content_weight": 1e-5,
    "style_weight": 1e-6,
    "style_reduction": "mean",
    "tv_weight": 1e-7,
    "style_size_px": [48],
}
ROW = [
    *("content", "style", "total_variation", "objective", "objective_of_photo"),
    *("style_ratio", "balanced_ratio", "correlation", "from_noise", "from_photo"),
]


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture
def place(tmp_path, monkeypatch, vgg, metadata, save_model):
    """A working folder: two photos, a painting, a model that paints negatives."""
    monkeypatch.chdir(tmp_path)
    for module in ("objective", "comparison"):
        monkeypatch.setattr(f"impasto.paper.{module}.LossNetwork", lambda _=None: vgg)
    monkeypatch.setattr("impasto.evaluation.quality.PHOTO_PX", 48)
    monkeypatch.setattr("impasto.evaluation.quality.PAINTING_PX", 48)
    tiny_runs.write_painting(tmp_path / "wave.png", 48, 48)
    tiny_runs.write_photos(tmp_path / "photos", 2)
    style = StyleEntry("wave", "Wave", read_painting(tmp_path / "wave.png").sha256)
    save_model(
        tmp_path / "model.onnx", meta=dataclasses.replace(metadata, styles=(style,), recipe=RECIPE)
    )
    return tmp_path


def evaluate(run_cli, *arguments, painting="wave.png"):
    """Runs the command with --json; returns its object."""
    line = ("evaluate", "style", "model.onnx", "--photos", "photos", "--painting", painting)
    code, out, err = run_cli(*line, "--baseline", "--json", "--device", "cpu", *arguments)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_json_holds_what_the_functions_give(run_cli, place, vgg, metadata):
    result = evaluate(run_cli, "--size", 40, "--iterations", 6)
    assert {
        key: result[key] for key in ("model", "style", "painting", "size_px", "iterations")
    } == {
        "model": "model.onnx",
        "style": "wave",
        "painting": "wave.png",
        "size_px": 40,
        "iterations": 6,
    }
    weights = trained_weights(dataclasses.replace(metadata, recipe=RECIPE))
    assert result["weights"] == dataclasses.asdict(weights)
    assert result["failed"] == {}
    assert [photo["name"] for photo in result["photos"]] == ["photo0.png", "photo1.png"]
    first = result["photos"][0]
    assert list(first) == ["name", *ROW]
    rgb = np.asarray(Image.open("photos/photo0.png").resize((40, 33), Image.Resampling.LANCZOS))
    grams = style_grams(vgg, to_tensor(read_image("wave.png").rgb), LAYERS)
    objective = trained_objective(vgg, to_tensor(rgb), [grams], weights)
    found = compare(objective, to_tensor(rgb), to_tensor(255 - rgb), iterations=6)
    assert first["objective"] == pytest.approx(found.network.total)
    assert first["content"] == pytest.approx(found.network.content)
    assert first["style"] == pytest.approx(found.network.style)
    assert first["total_variation"] == pytest.approx(found.network.total_variation)
    assert first["objective_of_photo"] == pytest.approx(found.photo.total)
    assert (first["from_noise"], first["from_photo"]) == (found.from_noise, found.from_photo)
    for key in ROW[:8]:
        mean = np.mean([photo[key] for photo in result["photos"]])
        assert result["mean"][key] == pytest.approx(mean)


def test_a_baseline_that_never_comes_as_low_is_told(run_cli, place, monkeypatch):
    counts = iter([3, None, 5, 4])
    monkeypatch.setattr(
        "impasto.paper.comparison.equivalent_iterations", lambda *_, **__: next(counts)
    )
    line = ("evaluate", "style", "model.onnx", "--photos", "photos", "--painting", "wave.png")
    code, out, err = run_cli(*line, "--baseline", "--iterations", 150)
    assert (code, err) == (0, "")
    title, empty, head, _, *rows = out.splitlines()
    assert title == (
        "wave, objective at 256 px as in its training, "
        "and the iteration of L-BFGS that comes as low"
    )
    assert empty == ""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]
    assert cells[0] == [
        *("photo", "content", "style", "variation", "objective", "photo's own", "style ratio"),
        *("balanced", "correlation", "from noise", "from photo"),
    ]
    assert [row[0] for row in cells[1:]] == ["photo0.png", "photo1.png", "mean"]
    assert [row[-2:] for row in cells[1:]] == [["3", ">150"], ["5", "4"], ["4", ">77"]]
    assert len({len(row) for row in (head, *rows)}) == 1
    counts = iter([3, None, 5, 4])
    mean = evaluate(run_cli)["mean"]
    assert (mean["photos"], mean["from_noise_reached"], mean["from_photo_reached"]) == (2, 2, 1)
    assert (mean["from_noise"], mean["from_photo"]) == (4, 77)


def test_style_targets_stand_for_the_painting(run_cli, place, vgg):
    plain = evaluate(run_cli, "--iterations", 2)
    image = to_tensor(read_image("wave.png").rgb)
    targets = StyleTarget(
        read_painting(Path("wave.png")).sha256, {48: style_grams(vgg, image, STYLE_LAYERS)}
    )
    save_style_targets({"day": targets, "wave": targets}, Path("x.targets.safetensors"))
    result = evaluate(run_cli, "--iterations", 2, painting="x.targets.safetensors")
    for ours, theirs in zip(result["photos"], plain["photos"], strict=True):
        assert ours["objective"] == pytest.approx(theirs["objective"], rel=1e-3)
        # They are not there at the size of the scores.
        assert ours["style_ratio"] is ours["correlation"] is None
    line = ("evaluate", "style", "model.onnx", "--photos", "photos")
    line = (*line, "--painting", "x.targets.safetensors", "--baseline")
    code, out, _ = run_cli(*line, "--iterations", 1)
    assert code == 0
    for row in out.splitlines()[4:]:
        assert [cell.strip() for cell in row.split("|")[7:10]] == ["-"] * 3


def test_one_style_of_several(run_cli, place, save_gallery, metadata, monkeypatch):
    names = {"dark": 20, "wave": 200}
    save_gallery(place / "model.onnx", names)
    monkeypatch.setattr(
        "impasto.paper.objective.weights_of_model",
        lambda path, style: trained_weights(dataclasses.replace(metadata, recipe=RECIPE)),
    )
    first = evaluate(run_cli, "--iterations", 1)
    assert first["style"] == "dark"
    second = evaluate(run_cli, "--iterations", 1, "--style", "wave")
    assert second["style"] == "wave"
    assert second["photos"][0]["content"] != first["photos"][0]["content"]


def test_bad_photos_are_named_and_the_rest_goes_on(run_cli, place):
    plain = evaluate(run_cli, "--iterations", 2)
    Path("photos/text.jpg").write_text("not a picture")
    Image.new("RGB", (12, 40)).save("photos/small.png")
    line = ("evaluate", "style", "model.onnx", "--photos", "photos", "--painting", "wave.png")
    code, out, err = run_cli(*line, "--baseline", "--iterations", 2, "--json")
    assert code == 1
    result = json.loads(out)
    assert result["photos"] == plain["photos"]
    assert list(result["failed"]) == ["small.png", "text.jpg"]
    small, text = err.splitlines()
    name = Path("photos", "small.png")
    assert small == f"impasto: {name} is 12x40 px; both sides must be at least 16 px"
    assert "text.jpg is not a picture, or a damaged one" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plain.onnx"], "plain.onnx: the model does not state the weights ..."),
        (["model.onnx", "--iterations", "0"], "--iterations must be at least 1, not 0"),
        (["model.onnx", "--size", "0"], "--size must be at least 16, not 0"),
        (
            ["model.onnx", "--device", "x"],
            "--device must be auto, cpu, cuda or mps, not 'x'",
        ),
        (
            ["model.onnx", "--faces", "f.csv"],
            "--faces is not for --baseline: leave one of them out",
        ),
    ],
)
def test_mistakes(run_cli, place, save_model, arguments, message):
    save_model(place / "plain.onnx")
    given = ["--baseline", "--photos", "photos", "--painting", "wave.png"]
    code, out, err = run_cli("evaluate", "style", *arguments, *given)
    assert (code, out) == (2, "")
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(f"impasto: {pattern}\n", err), err
