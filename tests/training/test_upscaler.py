"""Runs of super-resolution: what they compute, leave behind and go on from."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from impasto.data import open_photos
from impasto.errors import ModelError, ResumeError, UsageError
from impasto.export import load_weights
from impasto.networks import FastUpscalerSpec, PaperUpscalerSpec
from impasto.runtime.model_file import read_model_file
from impasto.runtime.upscaler import UpscaleModel
from impasto.training import export_run, export_style_targets, make_upscaler_config, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.config import TrainingConfig, UpscalerConfig
from impasto.training.recipes import read_recipe
from impasto.training.resume import resumed_config, resumed_upscaler_config
from impasto.training.setup import make_task


@pytest.fixture(scope="module", autouse=True)
def _small_previews():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", 64)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(3):
        small = Image.fromarray(rng.integers(0, 256, (14, 16, 3), dtype=np.uint8))
        small.resize((128, 112), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def config(photos):
    def make(output, **changed):
        settings = {
            "photos": photos,
            "validation_photos": photos,
            "output": output,
            "width": 8,
            "residual_blocks": 1,
            "loss": "pixel",
            "patch_px": 32,
            "batch_size": 2,
            "device": "cpu",
            "precision": "32-true",
            "threads": 1,
            "workers": 0,
            "log_every": 1,
            "steps": 3,
        }
        return make_upscaler_config(**(settings | changed))

    return make


@pytest.fixture(scope="module")
def run(config, tmp_path_factory, _small_previews):
    made = config(
        tmp_path_factory.mktemp("runs") / "run", steps=80, learning_rate=5e-3, averaging=0.9
    )
    return made, train(made)


def curves_of(folder):
    curves = EventAccumulator(str(folder / "tensorboard"), {"images": 0}).Reload()
    return {tag: [e.value for e in curves.Scalars(tag)] for tag in curves.Tags()["scalars"]}


def test_a_run_leaves_these_files(run):
    made, model = run
    assert model == made.run_folder / "x4-pixel.onnx"
    written = [f for f in tiny_runs.files(made.run_folder) if not f.startswith("tensorboard/")]
    assert set(written) == {
        ".lock",
        "config.json",
        "preview.jpg",
        "history.png",
        "x4-pixel.onnx",
        "x4-pixel.safetensors",
        *(
            f"checkpoints/step-00000080/{name}"
            for name in (
                "network.safetensors",
                "averaged.safetensors",
                "optimizer.safetensors",
                "random.safetensors",
                "state.json",
            )
        ),
    }


def test_the_model_enlarges_and_states_how(run):
    _, model = run
    metadata = read_model_file(model)[1]
    assert (metadata.kind, metadata.scale, metadata.styles) == ("upscale", 4, ())
    spec = FastUpscalerSpec(width=8, residual_blocks=1)
    assert metadata.tiling.allowed
    assert metadata.tiling.halo_px == spec.receptive_radius_px == 5
    assert metadata.network == spec.to_dict()
    assert metadata.recipe["loss"] == "pixel"
    assert metadata.recipe["images_seen"] == 160
    assert not {"photos", "output", "start_from", "threads"} & metadata.recipe.keys()
    rgb = np.random.default_rng(1).integers(0, 256, (20, 13, 3), dtype=np.uint8)
    result = UpscaleModel(model).upscale(rgb, scale=4)
    images = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = load_weights(model.with_suffix(".safetensors"))(images)[0]
    expected = expected.clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
    assert np.abs(result.astype(int) - expected).max() <= 1


def test_learning_raises_psnr_and_lowers_the_loss(run):
    curves = curves_of(run[0].run_folder)
    assert {"loss/total", "loss/pixel", "validation/psnr", "validation/ssim"} <= curves.keys()
    losses = curves["loss/total"]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert curves["validation/psnr"][-1] > curves["validation/psnr"][0] + 0.3
    assert curves["validation/ssim"][-1] > curves["validation/ssim"][0]


def test_the_preview_shows_low_bicubic_ours_and_original(run):
    preview = np.asarray(Image.open(run[0].run_folder / "preview.jpg").convert("RGB")).astype(int)
    side, gap = 64, 8
    assert preview.shape == (3 * side + 2 * gap, 4 * side + 3 * gap, 3)
    columns = [preview[:, x * (side + gap) : x * (side + gap) + side] for x in range(4)]
    errors = [np.square(column - columns[3]).mean() for column in columns[:3]]
    assert errors[0] > errors[1] > errors[2] > 0


@pytest.mark.parametrize(
    ("loss", "terms"),
    [
        ("feature", {"feature", "lattice"}),
        ("pixel", {"pixel"}),
        ("both", {"feature", "pixel", "lattice"}),
    ],
)
def test_each_loss_has_its_terms(config, photos, tmp_path, loss, terms):
    made = config(tmp_path, loss=loss, feature_weight=0.5, pixel_weight=3.0)
    source = open_photos(photos)
    task = make_task(made, source, source, torch.device("cpu"))
    high_res = torch.rand(2, 3, 32, 32)
    found = task.terms(high_res + 0.1, high_res)
    assert found.keys() == terms | {"total"}
    assert found["total"].item() == pytest.approx(sum(found[t].item() for t in terms), rel=1e-6)
    if "pixel" in terms:
        assert found["pixel"].item() == pytest.approx(3.0 * 25.5**2, rel=1e-4)
    if "feature" in terms:
        layer = task.loss_network
        maps = [layer(x, ["relu2_2"])["relu2_2"] for x in (high_res + 0.1, high_res)]
        expected = 0.5 * (maps[0] - maps[1]).square().mean().item()
        assert found["feature"].item() == pytest.approx(expected, rel=1e-5)
    assert (task.loss_network is None) == (loss == "pixel")


def test_a_grid_in_the_error_has_its_term(config, photos, tmp_path):
    source = open_photos(photos)
    made = config(tmp_path, loss="feature", lattice_weight=7.0)
    task = make_task(made, source, source, torch.device("cpu"))
    high_res = torch.rand(2, 3, 32, 32)
    assert task.terms(high_res + 0.1, high_res)["lattice"].item() == pytest.approx(0, abs=1e-6)
    grid = torch.zeros(32, 32)
    grid[::4] = 4 / 255  # the means of the phases are 4 in one row of four, so their variance is 3
    for error in (grid, torch.cat([grid[:16], -grid[16:]])):
        found = task.terms(high_res + error, high_res)["lattice"]
        assert found.item() == pytest.approx(7.0 * 3.0, rel=1e-3)


def test_pooling_meets_every_sub_pixel(config, photos, tmp_path):
    source = open_photos(photos)
    task = make_task(config(tmp_path, loss="both"), source, source, torch.device("cpu"))
    low_res, high_res = torch.zeros(1, 3, 8, 8), torch.rand(1, 3, 32, 32)
    wrong = high_res.clone()
    wrong[..., 0, 0] += 0.5  # only a step that judges from the first row and column on sees it
    seen = []
    for first in range(0, 200, 2):
        terms, output = task.step(lambda _: wrong, (low_res, high_res), first)
        again, _ = task.step(lambda _: wrong, (low_res, high_res), first)
        assert output is wrong
        assert terms == again
        seen.append(terms["pixel"].item() > 0)
    assert 10 < sum(seen) < 40  # one of four places


def test_the_gradient_of_the_feature_loss_reaches_the_network(config, photos, tmp_path):
    source = open_photos(photos)
    task = make_task(config(tmp_path, loss="feature"), source, source, torch.device("cpu"))
    output = torch.rand(1, 3, 32, 32, requires_grad=True)
    task.terms(output, torch.rand(1, 3, 32, 32))["total"].backward()
    assert output.grad.abs().sum() > 0


def test_a_run_that_was_stopped_goes_on_bit_for_bit(config, tmp_path, no_export):
    train(config(tmp_path / "whole", steps=6))

    def stop(report):
        if report.step == 3:
            signal.raise_signal(signal.SIGINT)

    train(config(tmp_path / "halves", steps=6), on_step=stop)
    assert 3 <= load_checkpoint(tmp_path / "halves")[1]["step"] < 6
    train(resumed_upscaler_config({"output": tmp_path / "halves"}), resume=True)
    one, other = (load_checkpoint(tmp_path / name)[0] for name in ("whole", "halves"))
    for group in ("network", "averaged", "optimizer"):
        for name, value in one[group].items():
            assert torch.equal(value, other[group][name]), (group, name)


def test_a_run_begins_with_another_models_trunk(run, config, tmp_path, photos):
    made, model = run
    eight = config(tmp_path / "x8", scale=8, start_from=model, loss="pixel")
    assert eight.started_from == read_model_file(model)[1].weights_sha256
    source = open_photos(photos)
    task = make_task(eight, source, source, torch.device("cpu"))
    network = eight.network.build()
    tail = network.tail.weight.clone()
    task.begin(network)
    old = load_weights(model.with_suffix(".safetensors"))
    assert torch.equal(network.head.weight, old.head.weight)
    assert torch.equal(network.join.weight, old.join.weight)
    assert torch.equal(network.tail.weight, tail)
    assert made.scale == 4


def test_a_model_that_fits_nowhere_is_refused(run, config, tmp_path, photos):
    other = config(tmp_path / "wide", width=9, start_from=run[1])
    source = open_photos(photos)
    task = make_task(other, source, source, torch.device("cpu"))
    with pytest.raises(ModelError, match="fits the network nowhere"):
        task.begin(other.network.build())


def test_settings_that_make_another_run_are_refused_at_resume(run, tmp_path):
    made, _ = run
    for given, message in (
        ({"loss": "feature"}, "--loss is feature, the run in .* has pixel"),
        ({"scale": 8}, "--scale is 8, the run in .* has 4"),
        ({"width": 12}, "--width is 12, the run in .* has 8"),
        ({"degradation": "photo"}, "--degradation is photo, the run in .* has mixed"),
    ):
        with pytest.raises(ResumeError, match=message):
            resumed_upscaler_config({"output": made.run_folder} | given)


def test_the_two_kinds_of_runs_are_told_apart(run, tiny_config, tmp_path, no_export):
    made, _ = run
    with pytest.raises(ResumeError, match="a run of `impasto train-upscaler`: resume it with that"):
        resumed_config([Path("a.jpg")], {"output": made.run_folder})
    train(tiny_config(tmp_path / "style", steps=1))
    with pytest.raises(ResumeError, match="a run of `impasto train`: resume it with that"):
        resumed_upscaler_config({"output": tmp_path / "style"})
    with pytest.raises(ResumeError, match="there are no style targets"):
        export_style_targets(made.run_folder, tmp_path / "m.onnx")


def test_a_moved_run_is_exported_again(run, tmp_path):
    shutil.copytree(run[0].run_folder, tmp_path / "moved")
    model = export_run(tmp_path / "moved", scores={"psnr": 30.0})
    assert model == tmp_path / "moved" / "x4-pixel.onnx"
    assert read_model_file(model)[1].scores == {"psnr": 30.0}


def test_weights_of_another_model_are_mixed_in(run, config, tmp_path):
    made, model = run
    other = train(config(tmp_path / "other", steps=2, seed=5))
    path = export_run(made.run_folder, tmp_path / "mixed.onnx", mix=(other, 0.25))
    first, second, mixed = (
        load_weights(file.with_suffix(".safetensors")).state_dict() for file in (model, other, path)
    )
    for name, value in mixed.items():
        assert torch.allclose(value, 0.75 * first[name] + 0.25 * second[name], atol=1e-6)
    recipe = read_model_file(path)[1].recipe
    assert recipe["mixed_with"] == read_model_file(other)[1].weights_sha256
    assert (recipe["mixed_share"], recipe["steps_done"]) == (0.25, 80)
    wider = train(config(tmp_path / "wider", steps=1, width=4))
    with pytest.raises(ModelError, match=r"wider.* is another network than the run's"):
        export_run(made.run_folder, tmp_path / "no.onnx", mix=(wider, 0.25))
    assert not (tmp_path / "no.onnx").exists()


# --- settings


def test_the_papers_preset():
    config = make_upscaler_config(preset="paper")
    assert config.network == PaperUpscalerSpec()
    assert (config.steps, config.batch_size, config.patch_px) == (200_000, 4, 288)
    assert (config.loss, config.feature_layer, config.degradation) == (
        "feature",
        "relu2_2",
        "paper",
    )
    assert (config.schedule, config.learning_rate, config.averaging) == ("constant", 1e-3, 0.0)
    assert config.lattice_weight == 0
    eight = make_upscaler_config(preset="paper", scale=8, steps=10)
    assert eight.network == PaperUpscalerSpec(scale=8)
    assert eight.steps == 10


def test_a_config_survives_its_file(config, tmp_path):
    made = config(tmp_path, scale=8, skip="nearest")
    assert UpscalerConfig.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert made.network.scale == 8


def test_a_network_of_another_task_is_refused():
    values = make_upscaler_config().to_dict()
    with pytest.raises(UsageError, match="a network 'fast_upscaler' does another task"):
        TrainingConfig.from_dict({"paintings": ["a.jpg"], "network": values["network"]})


def test_a_recipe_may_name_the_network(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[settings]\nnetwork = "paper"\nwidth = 16\nloss = "both"\n')
    config = make_upscaler_config(recipe=read_recipe(recipe, UpscalerConfig))
    assert config.network == PaperUpscalerSpec(width=16)
    assert config.loss == "both"
    recipe.write_text("[settings]\nstyle_scale = 3\n")
    with pytest.raises(UsageError, match="has unknown settings: style_scale"):
        read_recipe(recipe, UpscalerConfig)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": 3}, "--scale is 3; allowed are 4, 8"),
        ({"loss": "l1"}, "--loss is 'l1'; allowed are feature, pixel, both"),
        ({"degradation": "blur"}, "--degradation is 'blur'; allowed are paper, bicubic, mixed"),
        ({"patch_px": 98}, "--patch-px is 98; it must be a multiple of --scale 4"),
        ({"patch_px": 8}, "--patch-px is 8; allowed is 32 to 2048"),
        ({"network": "unet"}, "--network is 'unet'; allowed are fast, paper"),
        ({"network": "paper", "skip": "nearest"}, "--skip does not belong to this network"),
        ({"residual_blocks": 0}, "--residual-blocks is 0; allowed are whole numbers"),
        ({"feature_weight": 0.0}, "--loss feature with a weight of 0 leaves nothing to learn"),
        (
            {"loss": "both", "feature_weight": 0.0, "pixel_weight": 0.0},
            "--loss both with a weight of 0 leaves nothing to learn",
        ),
        ({"preset": "released"}, "--preset is 'released'; allowed is paper"),
        ({"steps": 3, "max_time_s": 5.0}, "--steps and --max-time are both given"),
    ],
)
def test_bad_settings_are_named(given, message):
    with pytest.raises(UsageError, match=message):
        make_upscaler_config(**given)


def test_of_two_terms_one_may_be_left_out():
    assert make_upscaler_config(loss="both", feature_weight=0.0).pixel_weight == 1
    assert make_upscaler_config(loss="both", pixel_weight=0.0).feature_weight == 1


def test_a_recipe_may_name_the_model_to_begin_with(run, tmp_path):
    model = run[1]
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"[settings]\nstart_from = {str(model)!r}\n", encoding="utf-8")
    settings = read_recipe(recipe, UpscalerConfig)
    config = make_upscaler_config(recipe=settings)
    assert config.start_from == model
    assert config.started_from == read_model_file(model)[1].weights_sha256
    with pytest.raises(UsageError, match="--start-from is 5; allowed is a path"):
        make_upscaler_config(recipe={"start_from": 5})
