import hashlib
import json
import shutil

import numpy as np
import pytest
import tiny_runs
import torch
from safetensors.torch import load_file, save_file

import impasto
from impasto.export import load_weights
from impasto.runtime.model_file import read_model_file


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder with a checkpoint and no model."""
    from impasto.training import make_config, train

    folder = tmp_path_factory.mktemp("trained")
    config = make_config(
        tiny_runs.write_painting(folder / "wave.png"),
        photos=tiny_runs.write_photos(folder / "photos"),
        validation_photos=folder / "photos",
        output=folder / "run",
        steps=2,
        **tiny_runs.NETWORK,
        **tiny_runs.SETTINGS,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        patch.setattr("impasto.training.trainer.export_run", lambda folder: folder)
        train(config)
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    """A copy: a run folder may have been moved since it was trained."""
    return shutil.copytree(trained, tmp_path / "moved")


def checkpoint(run):
    return run / "checkpoints" / "step-00000002"


def test_a_moved_run_is_exported_where_it_is(run, trained, run_cli):
    before = tiny_runs.files(trained)
    code, out, err = run_cli("export", run)
    assert (code, out, err) == (0, f"{run / 'wave.onnx'}\n", "")
    assert tiny_runs.files(trained) == before
    metadata = impasto.load_model(run / "wave.onnx").metadata
    assert metadata.recipe["steps_done"] == 2
    weights = (run / "wave.safetensors").read_bytes()
    assert metadata.weights_sha256 == hashlib.sha256(weights).hexdigest()


@pytest.mark.parametrize("mix", ["x.onnx", "x.onnx:", ":0.3", "x.onnx:0", "x.onnx:1", "x.onnx:nan"])
def test_a_share_is_checked(mix, run, run_cli):
    expected = f"impasto: --mix is {mix}; it takes FILE.onnx:SHARE, a share between 0 and 1\n"
    assert run_cli("export", run, "--mix", mix) == (2, "", expected)


def test_styles_are_not_mixed(run, run_cli):
    code, _, err = run_cli("export", run, "--mix", "x.onnx:0.3")
    assert (code, err) == (2, f"impasto: --mix is for models that enlarge; {run} holds a style\n")


def test_the_model_goes_where_it_is_asked_for(run, tmp_path, run_cli):
    file = tmp_path / "new" / "folder" / "other.onnx"
    before = tiny_runs.files(run)
    code, out, err = run_cli("export", run, "-o", file)
    assert (code, out) == (0, f"{file}\n"), err
    assert tiny_runs.files(file.parent) == ["other.onnx", "other.safetensors"]
    assert tiny_runs.files(run) == before
    photo = np.zeros((20, 33, 3), np.uint8)
    assert impasto.load_model(file)(photo).shape == photo.shape


def test_weights_in_16_bits_take_half_the_room(run, tmp_path, run_cli, monkeypatch):
    monkeypatch.setattr("impasto.export.rewriting._HALVED_FROM", 100)
    sizes, painted = [], []
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for name, options in {"whole": [], "half": ["--float16"]}.items():
        file = tmp_path / f"{name}.onnx"
        code, _, err = run_cli("export", run, "-o", file, *options)
        assert code == 0, err
        model = impasto.load_model(file)
        painted.append(model(photo).astype(float))
        weights = file.with_suffix(".safetensors")
        assert model.metadata.weights_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
        sizes.append(sum(tensor.nbytes for tensor in load_file(weights).values()))
    assert sizes[1] == sizes[0] / 2
    files = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("whole", "half")]
    assert files[0] - files[1] > 0.2 * sizes[0]  # less the nodes that widen them
    assert 0 < np.abs(painted[0] - painted[1]).mean() < 1
    network = load_weights(tmp_path / "half.safetensors")
    with torch.no_grad():
        images = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
        expected = network(images).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(painted[1] - expected).max() < 1


def test_a_graph_that_differs_leaves_no_file(run, run_cli, monkeypatch):
    monkeypatch.setattr("impasto.export.onnx_file.TOLERANCE", -1.0)
    (run / "wave.safetensors").write_bytes(b"older")
    before = tiny_runs.files(run)
    code, _, err = run_cli("export", run)
    assert code == 1
    assert err.count("\n") == 1
    assert "ONNX Runtime and PyTorch differ" in err
    assert tiny_runs.files(run) == before
    assert (run / "wave.safetensors").read_bytes() == b"older"


def assert_refused(result, code, words, folder, before):
    assert result[0] == code, result[2]
    assert result[1] == ""
    assert result[2].startswith("impasto: ")
    assert result[2].count("\n") == 1
    assert words in result[2]
    assert tiny_runs.files(folder) == before


def test_a_run_folder_of_another_network(run, run_cli):
    file = checkpoint(run) / "averaged.safetensors"
    tensors = load_file(file)
    name = next(name for name, value in tensors.items() if value.ndim == 4)
    save_file(tensors | {name: tensors[name][:, :, :1].contiguous()}, file)
    before = tiny_runs.files(run)
    result = run_cli("export", run)
    assert_refused(result, 2, "belong to another network", run, before)


def test_settings_of_another_network(run, run_cli):
    state = checkpoint(run) / "state.json"
    values = json.loads(state.read_text())
    values["config"]["network"]["residual_blocks"] = 2
    state.write_text(json.dumps(values))
    result = run_cli("export", run)
    assert_refused(result, 2, "belong to another network", run, tiny_runs.files(run))


def test_a_truncated_checkpoint(run, run_cli):
    file = checkpoint(run) / "averaged.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    result = run_cli("export", run)
    assert_refused(result, 2, "step-00000002 cannot be read", run, tiny_runs.files(run))


@pytest.mark.parametrize("missing", ["step", "schedule_steps", "paintings_sha256", "references"])
def test_an_incomplete_checkpoint(missing, run, run_cli):
    state = checkpoint(run) / "state.json"
    values = json.loads(state.read_text())
    del values[missing]
    state.write_text(json.dumps(values))
    result = run_cli("export", run)
    assert_refused(result, 2, str(run), run, tiny_runs.files(run))


@pytest.mark.parametrize("folder", ["missing", "empty", "file"])
def test_folders_that_hold_no_run(folder, tmp_path, run_cli):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    result = run_cli("export", tmp_path / folder)
    before = ["file"]
    assert_refused(result, 2, "holds no checkpoint", tmp_path, before)


def test_an_output_that_is_no_onnx(run, run_cli):
    result = run_cli("export", run, "-o", "model.pt")
    assert_refused(result, 2, "a model file ends in .onnx", run, tiny_runs.files(run))


def test_an_output_that_cannot_be_written(run, tmp_path, run_cli):
    (tmp_path / "file").touch()
    before = tiny_runs.files(tmp_path)
    result = run_cli("export", run, "-o", tmp_path / "file" / "model.onnx")
    assert_refused(result, 1, "cannot write", tmp_path, before)


def test_scores_are_kept_in_the_model(run, tmp_path, run_cli):
    scores = tmp_path / "scores.json"
    scores.write_text('{"mean": {"balanced_ratio": 0.25}}')
    model = tmp_path / "scored.onnx"
    code, _, _ = run_cli("export", run, "-o", model, "--scores", scores)
    assert code == 0
    assert read_model_file(model)[1].scores == {"mean": {"balanced_ratio": 0.25}}


@pytest.mark.parametrize(("text", "said"), [("[1]", "no JSON object"), ("{", "as JSON")])
def test_scores_that_are_none(text, said, run, tmp_path, run_cli):
    scores = tmp_path / "scores.json"
    scores.write_text(text)
    before = tiny_runs.files(run)
    result = run_cli("export", run, "--scores", scores)
    assert_refused(result, 2, said, run, before)
