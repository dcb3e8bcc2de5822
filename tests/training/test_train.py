import hashlib
import json
import math
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
import torch
from PIL import Image
from pytorch_optimizer import SOAP
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import impasto
from impasto.data.examples import example_photos_folder
from impasto.errors import DataError, DivergedError, ImageError, OutputError, UsageError
from impasto.export import load_weights
from impasto.training import make_config, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.style_task import StyleTask

pytestmark = pytest.mark.usefixtures("small_previews")

TERMS = {"total", "content", "style", "lattice"}


class Finished:
    """A run with everything that it said."""

    def __init__(self, config):
        self.config, self.folder = config, config.run_folder
        self.notes, self.reports, self.histories = [], [], []
        self.model = train(config, on_step=self.on_step, on_note=self.notes.append)

    def on_step(self, report):
        self.reports.append(report)
        self.histories.append(Image.open(self.folder / "history.png").height)
        time.sleep(0.06)


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory, small_previews):
    folder = tmp_path_factory.mktemp("finished") / "run"
    return Finished(
        tiny_config(
            folder, width=2, steps=50, learning_rate=0.01, preview_every_s=1.0, averaging=0.8
        )
    )


@pytest.fixture(scope="module")
def curves(run):
    return EventAccumulator(str(run.folder / "tensorboard"), {"images": 0}).Reload()


def scalars(curves, tag):
    return {event.step: event.value for event in curves.Scalars(tag)}


# --- what a run leaves behind


def test_a_run_writes_these_files_and_no_others(run):
    written = tiny_runs.files(run.folder)
    events = [name for name in written if name.startswith("tensorboard/events.")]
    assert len(events) == 1
    assert set(written) - set(events) == {
        "config.json",
        "preview.jpg",
        "history.png",
        "wave.onnx",
        "wave.safetensors",
        ".lock",
        "checkpoints/step-00000050/network.safetensors",
        "checkpoints/step-00000050/averaged.safetensors",
        "checkpoints/step-00000050/optimizer.safetensors",
        "checkpoints/step-00000050/random.safetensors",
        "checkpoints/step-00000050/state.json",
    }
    assert run.model == run.folder / "wave.onnx"


def test_the_model_paints_and_says_what_it_is(run, pictures):
    model = impasto.load_model(run.model)
    photo = np.random.default_rng(0).integers(0, 255, (37, 50, 3), np.uint8)
    painted = model(photo)
    assert painted.shape == photo.shape
    metadata = model.metadata
    painting = (pictures / "wave.png").read_bytes()
    assert [style.name for style in metadata.styles] == ["wave"]
    assert metadata.styles[0].style_image_sha256 == hashlib.sha256(painting).hexdigest()
    assert metadata.recipe["steps_done"] == 50
    assert metadata.recipe["images_seen"] == 50
    assert metadata.recipe["learning_rate"] == 0.01
    assert metadata.recipe["paintings"] == ["wave.png"]
    references = json.loads((run.folder / "config.json").read_text())["references"]
    assert metadata.recipe["references"] == references
    assert set(references[0]["style"]) == {"relu1_2", "relu2_2", "relu3_3", "relu4_3"}


def test_the_plain_weights_are_those_that_the_model_names(run):
    weights = run.folder / "wave.safetensors"
    stated = impasto.load_model(run.model).metadata.weights_sha256
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == stated
    averaged = load_checkpoint(run.folder)[0]["averaged"]
    for name, value in load_weights(weights).state_dict().items():
        assert torch.equal(value, averaged[name])


def test_the_files_to_share_name_no_place_of_this_machine(run, pictures):
    for name in ("wave.onnx", "wave.safetensors"):
        data = (run.folder / name).read_bytes()
        for place in (run.folder, pictures, "site-packages", Path(impasto.__file__).parent):
            assert str(place).encode() not in data


# --- what happens on the way


def test_a_run_learns(run, curves):
    totals = scalars(curves, "validation/total")
    assert min(totals) == 1
    assert max(totals) == 50
    assert totals[50] < 0.8 * totals[1]


def test_every_step_is_reported(run):
    assert [report.step for report in run.reports] == list(range(1, 51))
    assert {report.total_steps for report in run.reports} == {50}
    for report in run.reports:
        assert set(report.losses) == TERMS
        parts = sum(value for name, value in report.losses.items() if name != "total")
        assert report.losses["total"] == pytest.approx(parts, rel=1e-4)
        assert report.images_per_s > 0
    assert run.reports[-1].remaining_s == 0
    elapsed = [report.elapsed_s for report in run.reports]
    assert elapsed == sorted(elapsed)


def test_previews_are_renewed_while_it_runs(run):
    row = tiny_runs.PREVIEW_PX // 2
    assert run.histories[0] == row
    assert run.histories[-2] > row  # renewed before the end
    assert run.histories == sorted(run.histories)
    assert run.histories[-1] == Image.open(run.folder / "history.png").height
    preview = Image.open(run.folder / "preview.jpg")
    assert preview.height == 2 * tiny_runs.PREVIEW_PX + 8


def test_tensorboard_has_every_curve(run, curves):
    every_step = {f"loss/{name}" for name in TERMS} | {
        "learning_rate",
        "images_per_second",
        "gradient_norm",
        "output/minimum",
        "output/mean",
        "output/maximum",
    }
    validations = {f"validation/{name}" for name in (*TERMS, "kept")}
    assert set(curves.Tags()["scalars"]) == every_step | validations
    for tag in every_step:
        values = scalars(curves, tag)
        assert list(values) == list(range(1, 51))
        assert all(math.isfinite(value) for value in values.values())
    assert scalars(curves, "gradient_norm")[1] > 0
    lows, means, highs = (scalars(curves, f"output/{n}") for n in ("minimum", "mean", "maximum"))
    assert all(lows[step] < means[step] < highs[step] for step in lows)
    assert scalars(curves, "loss/style")[7] == pytest.approx(run.reports[6].losses["style"])
    heights = [image.height for image in curves.Images("validation")]
    assert len(heights) >= 3
    assert heights == sorted(set(heights))


def test_notes_say_how_long_and_where_to_look(run):
    assert any("50 steps of 1 photos" in note for note in run.notes)
    assert f"curves: tensorboard --logdir {run.folder}" in run.notes
    assert not any("warning" in note or "example photos" in note for note in run.notes)


@pytest.mark.usefixtures("no_export")
def test_without_photos_the_examples_are_used_and_a_line_says_so(tiny_config, tmp_path):
    notes = []
    config = tiny_config(tmp_path / "run", photos=None, validation_photos=None, steps=1)
    train(config, on_note=notes.append)
    assert any("training on the example photos" in note for note in notes)
    assert len(list(example_photos_folder().iterdir())) >= 8


@pytest.mark.usefixtures("no_export")
def test_the_same_seed_gives_the_same_weights_and_another_one_others(tiny_config, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(tiny_config(tmp_path / name, steps=2, seed=seed))
    a, b, c = (load_checkpoint(tmp_path / name)[0]["network"] for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


# --- the length of a run


@pytest.mark.usefixtures("no_export")
def test_a_time_limit_ends_a_run_that_is_slower_than_planned(tiny_config, tmp_path):
    notes = []
    config = tiny_config(tmp_path / "run", max_time_s=4.0)
    started = time.perf_counter()
    train(config, on_note=notes.append, on_step=lambda report: time.sleep(0.5))
    assert time.perf_counter() - started < 4 + 3
    values = load_checkpoint(tmp_path / "run")[1]
    assert 1 <= values["step"] < values["schedule_steps"]
    assert f"the time is over at step {values['step']} of {values['schedule_steps']}" in notes[-1]
    assert "--resume" in notes[-1]


@pytest.mark.usefixtures("no_export")
def test_ctrl_c_ends_a_run_after_its_step(tiny_config, tmp_path):
    def on_step(report):
        if report.step == 3:
            signal.raise_signal(signal.SIGINT)

    notes = []
    handler = signal.getsignal(signal.SIGINT)
    train(tiny_config(tmp_path / "run", steps=100), on_step=on_step, on_note=notes.append)
    assert load_checkpoint(tmp_path / "run")[1]["step"] == 4
    assert notes[-1].startswith("stopped at step 4 of 100; `--resume`")
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.usefixtures("no_export")
def test_a_second_ctrl_c_stops_at_once(tiny_config, tmp_path):
    def on_step(report):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(tmp_path / "run", steps=100), on_step=on_step)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not [name for name in tiny_runs.files(tmp_path) if ".impasto-" in name]


# --- runs that go wrong


class Spoiled:
    """Makes the loss NaN from the moment it is switched on."""

    def __init__(self, monkeypatch):
        self.on = False
        terms = StyleTask.terms

        def spoiled(*given, **how):
            good, kept = terms(*given, **how)
            return (good | {"total": good["total"] * math.nan} if self.on else good), kept

        monkeypatch.setattr(StyleTask, "terms", spoiled)


def after_a_checkpoint(folder, action):
    """Calls `action` once, after the first checkpoint; slow enough that there is one."""
    done = []

    def on_step(report):
        time.sleep(0.15)
        if not done and list((folder / "checkpoints").glob("step-*")):
            done.append(report.step)
            action()

    return on_step, done


@pytest.mark.usefixtures("no_export")
def test_a_loss_that_is_not_finite_stops_and_keeps_the_good_checkpoint(
    tiny_config, tmp_path, monkeypatch
):
    spoiled = Spoiled(monkeypatch)
    folder = tmp_path / "run"
    on_step, done = after_a_checkpoint(folder, lambda: setattr(spoiled, "on", True))
    config = tiny_config(folder, steps=1000, checkpoint_every_s=1.0)
    with pytest.raises(DivergedError, match=r"not finite at step .*--learning-rate") as caught:
        train(config, on_step=on_step)
    assert f"the last checkpoint in {folder} is good" in str(caught.value)
    tensors, values = load_checkpoint(folder)
    assert values["step"] == done[0]
    assert all(value.isfinite().all() for value in tensors["network"].values())
    assert not (folder / "wave.onnx").exists()


@pytest.mark.usefixtures("no_export")
def test_weights_that_are_not_finite_are_never_saved(tiny_config, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def broken_gradient(optimizer, *args, **kwargs):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.data.fill_(math.nan)

    monkeypatch.setattr(SOAP, "step", broken_gradient)
    with pytest.raises(DivergedError, match="there is no checkpoint yet"):
        train(tiny_config(folder, steps=1))
    assert not (folder / "checkpoints").exists()


@pytest.mark.usefixtures("no_export")
def test_an_output_of_one_colour_stops_the_run(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.training.trainer.COLLAPSE_AFTER", 4)
    config = tiny_config(tmp_path / "run", steps=60, learning_rate=1.0, schedule="constant")
    with pytest.raises(DivergedError, match=r"collapsed to one colour at step \d+: try a lower"):
        train(config)


@pytest.mark.usefixtures("no_export")
def test_a_full_disk_is_one_line_and_the_older_checkpoint_stays(tiny_config, tmp_path, capfd):
    resource = pytest.importorskip("resource")
    folder = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))  # noqa: E731
    on_step, done = after_a_checkpoint(folder, full)
    config = tiny_config(folder, steps=1000, checkpoint_every_s=1.0)
    try:
        with pytest.raises(OutputError, match="cannot write") as caught:
            train(config, on_step=on_step)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(folder) in str(caught.value)
    assert load_checkpoint(folder)[1]["step"] == done[0]
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [f"step-{done[0]:08d}"]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.usefixtures("no_export")
def test_a_disk_that_fills_while_a_checkpoint_is_written(tiny_config, tmp_path, monkeypatch):
    import impasto.training.checkpoints as module

    def fill():
        def no_space(tensors, path):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "save_file", no_space)

    folder = tmp_path / "run"
    on_step, done = after_a_checkpoint(folder, fill)
    with pytest.raises(OutputError, match="No space left on device"):
        train(tiny_config(folder, steps=1000, checkpoint_every_s=1.0), on_step=on_step)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [f"step-{done[0]:08d}"]


# --- paintings and photos


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (Image.new("RGB", (300, 100), "navy"), ["300x100", "nearly one colour"]),
        (Image.new("RGBA", (260, 260), (9, 99, 199, 30)), ["transparent", "nearly one colour"]),
    ],
)
def test_a_painting_that_teaches_little_is_warned_of(picture, words, tiny_config, tmp_path):
    notes = []
    picture.save(tmp_path / "odd.png")
    config = tiny_config(tmp_path / "run", paintings=(tmp_path / "odd.png",), steps=1)
    train(config, on_note=notes.append)
    warnings = [note for note in notes if note.startswith("warning: odd.png ")]
    assert len(warnings) == len(words)
    for word in words:
        assert any(word in warning for warning in warnings)


@pytest.mark.usefixtures("no_export")
def test_bad_photos_are_named_once_and_counted(tiny_config, tmp_path):
    photos = tiny_runs.write_photos(tmp_path / "photos", count=2)
    (photos / "broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (20, 99)).save(photos / "small.png")
    notes = []
    config = tiny_config(tmp_path / "run", photos=photos, steps=12)
    train(config, on_note=notes.append)
    left_out = [note for note in notes if "left out" in note]
    assert sorted(note.split(": ")[0] for note in left_out) == [
        "photo 1 left out",
        "photo 2 left out",
    ]
    assert sum("broken.jpg" in note for note in left_out) == 1
    assert sum("small.png: 20x99 px is below the crop size" in note for note in left_out) == 1


def test_photos_of_which_none_can_be_used(tiny_config, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (20, 99)).save(photos / "small.png")
    with pytest.raises(DataError, match=r"none of the 1 photos can be used: small\.png"):
        train(tiny_config(tmp_path / "run", photos=photos, steps=1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("side", [(4, 4), (2000, 10)])
def test_a_painting_too_small_for_the_loss_network(side, tiny_config, tmp_path):
    Image.effect_noise(side, 90).save(tmp_path / "tiny.png")
    with pytest.raises(ImageError, match=r"tiny\.png is .* px"):
        train(tiny_config(tmp_path / "run", paintings=(tmp_path / "tiny.png",), steps=1))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there(tiny_config, tmp_path):
    with pytest.raises(UsageError, match="--device cuda"):
        train(tiny_config(tmp_path / "run", steps=1, device="cuda"))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_not_overwritten(run):
    with pytest.raises(UsageError, match="already holds a run; add --resume"):
        train(run.config)


# --- presets


def test_the_papers_network_is_exported_with_its_running_statistics(pictures, tmp_path):
    given = {name: value for name, value in tiny_runs.SETTINGS.items() if name != "max_zoom"}
    given |= {name: value for name, value in tiny_runs.NETWORK.items() if name != "network"}
    config = make_config(
        pictures / "wave.png",
        preset="paper",
        photos=pictures / "photos",
        validation_photos=pictures / "photos",
        output=tmp_path / "run",
        steps=3,
        **given,
    )
    assert config.network.norm == "batch"
    assert config.schedule == "constant"
    model = impasto.load_model(train(config))
    network = load_weights(tmp_path / "run" / "wave.safetensors")
    statistics = [value for name, value in network.named_buffers() if name.endswith("running_mean")]
    assert any(value.abs().max() > 0 for value in statistics)
    photo = np.random.default_rng(1).integers(0, 255, (60, 70, 3), np.uint8)
    batch = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = network(batch)[0].clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
        of_the_batch = network.train()(batch)[0].clamp(0, 1).mul(255).permute(1, 2, 0).numpy()
    painted = model(photo).astype(float)
    assert np.abs(painted - expected).max() <= 1
    assert np.abs(painted - of_the_batch).max() > 5


def test_one_folder_takes_one_training_at_a_time(tiny_config, tmp_path):
    config = tiny_config(tmp_path / "run", steps=2)
    refused = []

    def on_step(report):
        if report.step == 1:  # the second one leaves a checkpoint, which is refused as well
            with pytest.raises(UsageError, match="another training is writing into") as caught:
                train(config, on_step=pytest.fail)
            refused.append(str(caught.value))

    train(config, on_step=on_step)
    assert len(refused) == 1
    train(tiny_config(tmp_path / "run", steps=3), resume=True)
