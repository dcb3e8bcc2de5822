import json
import shutil
import signal
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_runs
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from impasto.errors import ResumeError
from impasto.training import export_run, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.resume import resumed_config
from impasto.training.schedule import learning_rate_factor

pytestmark = pytest.mark.usefixtures("small_previews", "no_export")

STEPS = 16

# Trains until there is a checkpoint to go back to, then dies without a chance to tidy up.
KILLED = f"""
import json, os, signal, sys, time
import impasto.training.pictures
impasto.training.pictures.PREVIEW_PX = {tiny_runs.PREVIEW_PX}
from impasto.training import TrainingConfig, train
from impasto.training.checkpoints import has_checkpoint

config = TrainingConfig.from_dict(json.loads(sys.argv[1]))
later = 0

def on_step(report):
    global later
    time.sleep(0.15)
    later += has_checkpoint(config.run_folder)
    if later == 3:
        os.kill(os.getpid(), signal.SIGKILL)

train(config, on_step=on_step)
"""


def newest(folder):
    return sorted((folder / "checkpoints").glob("step-*"))[-1]


def assert_same_state(one, other):
    (first, values), (second, others) = load_checkpoint(one), load_checkpoint(other)
    assert values["step"] == others["step"]
    assert first.keys() == second.keys() == {"network", "averaged", "optimizer", "random"}
    for group, tensors in first.items():
        assert tensors.keys() == second[group].keys()
        for name, value in tensors.items():
            assert torch.equal(value, second[group][name]), (group, name)


def learning_rates(folder):
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {event.step: event.value for event in events.Scalars("learning_rate")}


def scheduled(steps, schedule_steps, rate=2e-3):
    return {
        step: pytest.approx(rate * learning_rate_factor(step - 1, "wsd", schedule_steps))
        for step in range(1, steps + 1)
    }


@pytest.fixture(scope="module")
def straight(tiny_config, tmp_path_factory, small_previews):
    """A run without interruption."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.trainer.export_run", lambda folder: folder)
        train(tiny_config(folder, steps=STEPS))
    return folder


@pytest.fixture(scope="module")
def killed(tiny_config, tmp_path_factory):
    """The same run, killed a few steps after a checkpoint."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    config = tiny_config(folder, steps=STEPS, checkpoint_every_s=1.0)
    process = tiny_runs.start(KILLED, json.dumps(config.to_dict()))
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    return folder


@pytest.fixture
def copied(straight, tmp_path):
    """A finished run to damage."""
    return Path(shutil.copytree(straight, tmp_path / "run"))


@pytest.fixture
def killed_copy(killed, tmp_path):
    return Path(shutil.copytree(killed, tmp_path / "run"))


# --- going on


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_bit_for_bit(workers, killed_copy, straight, tiny_config):
    step = load_checkpoint(killed_copy)[1]["step"]
    assert 0 < step < STEPS - 2
    reports = []
    config = tiny_config(killed_copy, steps=STEPS, workers=workers)
    train(config, resume=True, on_step=reports.append)
    assert [report.step for report in reports] == list(range(step + 1, STEPS + 1))
    assert_same_state(killed_copy, straight)


def test_resuming_purges_the_later_points_of_the_curves(killed_copy, tiny_config):
    step = load_checkpoint(killed_copy)[1]["step"]
    [events] = (killed_copy / "tensorboard").iterdir()
    assert max(event.step for event in EventFileLoader(str(events)).Load()) > step
    history = killed_copy / "history.png"
    rows = history.stat().st_size
    train(tiny_config(killed_copy, steps=STEPS), resume=True)
    curves = EventAccumulator(str(killed_copy / "tensorboard")).Reload()
    for tag in ("loss/total", "learning_rate", "output/mean", "gradient_norm"):
        assert [event.step for event in curves.Scalars(tag)] == list(range(1, STEPS + 1))
    validations = [event.step for event in curves.Scalars("validation/total")]
    assert validations == [1, STEPS]
    assert history.stat().st_size > rows


def test_the_settings_come_from_the_run_folder(killed_copy, pictures):
    config = resumed_config([pictures / "wave.png"], {"output": killed_copy, "width": None})
    assert config.network.width == 1
    assert config.photos == pictures / "photos"
    assert config.steps is None
    train(config, resume=True)
    assert load_checkpoint(killed_copy)[1]["step"] == STEPS


def test_references_are_not_measured_again(killed_copy, tiny_config, monkeypatch):
    def measure(*_):
        raise AssertionError

    monkeypatch.setattr("impasto.training.style_losses.measure_references", measure)
    before = load_checkpoint(killed_copy)[1]["references"]
    train(tiny_config(killed_copy, steps=STEPS), resume=True)
    assert load_checkpoint(killed_copy)[1]["references"] == before


# --- the schedule


def test_extending_a_run_keeps_the_schedule_that_has_begun(copied, tiny_config):
    train(tiny_config(copied, steps=STEPS + 4), resume=True)
    rates = learning_rates(copied)
    expected = scheduled(STEPS + 4, STEPS)
    assert rates == expected
    assert rates[STEPS + 1] == rates[STEPS + 4] < rates[STEPS]
    values = load_checkpoint(copied)[1]
    assert (values["step"], values["schedule_steps"]) == (STEPS + 4, STEPS)


def test_extending_a_run_that_is_not_finished_changes_no_earlier_rate(killed_copy, tiny_config):
    train(tiny_config(killed_copy, steps=STEPS + 3), resume=True)
    assert learning_rates(killed_copy) == scheduled(STEPS + 3, STEPS)


def test_an_extension_that_was_stopped_goes_on_to_its_end(copied, tiny_config, pictures):
    def stop(report):
        if report.step == STEPS + 1:
            signal.raise_signal(signal.SIGINT)

    train(tiny_config(copied, steps=STEPS + 6), resume=True, on_step=stop)
    assert load_checkpoint(copied)[1]["step"] == STEPS + 2
    train(resumed_config([pictures / "wave.png"], {"output": copied}), resume=True)
    assert load_checkpoint(copied)[1]["step"] == STEPS + 6


def test_a_finished_run_has_nothing_left_to_do(copied, straight, tiny_config):
    reports = []
    config = replace(tiny_config(copied), steps=None)
    train(config, resume=True, on_step=reports.append)
    assert reports == []
    assert_same_state(copied, straight)


def test_a_time_limit_keeps_the_schedule_through_every_resume(tiny_config, tmp_path):
    folder = tmp_path / "run"
    config = tiny_config(folder, max_time_s=5.0)
    train(config, on_step=lambda _: time.sleep(0.8))
    first = load_checkpoint(folder)[1]
    assert first["step"] < first["schedule_steps"]
    started = time.perf_counter()
    train(config, resume=True, on_step=lambda _: time.sleep(0.8))
    assert time.perf_counter() - started < 5 + 3
    second = load_checkpoint(folder)[1]
    assert first["step"] < second["step"] < second["schedule_steps"]
    assert second["schedule_steps"] == first["schedule_steps"]
    assert learning_rates(folder) == scheduled(second["step"], first["schedule_steps"])


def test_fewer_steps_than_planned_are_refused(copied, tiny_config):
    with pytest.raises(ResumeError, match=f"--steps is 3, .* planned for {STEPS}"):
        train(tiny_config(copied, steps=3), resume=True)


def test_a_run_gets_another_style_scale_and_precision(copied, straight, pictures):
    given = {"output": copied, "style_scale": (6.0,), "precision": "bf16-mixed", "steps": STEPS + 2}
    config = resumed_config([pictures / "wave.png"], given)
    train(config, resume=True)
    before, after = (load_checkpoint(folder)[1] for folder in (straight, copied))
    assert after["step"] == STEPS + 2
    assert after["references"] == before["references"]  # the style counts twice, not anew
    assert after["config"]["style_scale"] == [6.0]
    assert after["scales"] == [6.0]
    assert after["config"]["precision"] == "bf16-mixed"
    # Left out, they stay.
    again = resumed_config([pictures / "wave.png"], {"output": copied})
    assert (again.style_scale, again.precision) == ((6.0,), "bf16-mixed")


# --- what is refused


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"width": 2}, "--width is 2, the run in {run} has 1"),
        ({"learning_rate": 0.5}, "--learning-rate is 0.5, the run in {run} has 0.002"),
        ({"seed": 7}, "--seed is 7, the run in {run} has 0"),
        ({"style_weight": 3.0}, "--style-weight is 3.0, the run in {run} has auto"),
        ({"style_layers": ("relu1_2",)}, "--style-layers is relu1_2, the run in {run} has relu1_2"),
        ({"photos": Path("elsewhere")}, "PHOTOS is elsewhere, the run in {run} has "),
    ],
)
def test_other_settings_are_refused_with_both_values(changed, words, straight, pictures):
    painting = [pictures / "wave.png"]
    with pytest.raises(ResumeError) as caught:
        resumed_config(painting, {"output": straight} | changed)
    assert words.format(run=straight) in str(caught.value)
    assert "\n" not in str(caught.value)
    config = resumed_config(painting, {"output": straight})
    changed = config.with_spec({"network": config.network} | changed)
    with pytest.raises(ResumeError) as caught:
        train(replace(config, **changed), resume=True)
    assert words.format(run=straight) in str(caught.value)


def test_another_painting_is_refused(straight, tmp_path):
    other = tiny_runs.write_painting(tmp_path / "other.png")
    with pytest.raises(ResumeError, match=r"PAINTINGS is .*other\.png, the run in .* has .*wave"):
        resumed_config([other], {"output": straight})


def test_a_painting_that_has_changed_is_refused(copied, tmp_path):
    painting = tiny_runs.write_painting(tmp_path / "wave.png", height=280)
    state = newest(copied) / "state.json"
    values = json.loads(state.read_text())
    values["config"]["paintings"] = [str(painting)]
    state.write_text(json.dumps(values))
    with pytest.raises(ResumeError, match=r"not the painting that the run in .* began with"):
        train(resumed_config([painting], {"output": copied}), resume=True)


def test_a_folder_without_a_run(tiny_config, tmp_path):
    with pytest.raises(
        ResumeError, match="holds no checkpoint: `impasto train` without --resume starts a run"
    ):
        train(tiny_config(tmp_path / "run", steps=1), resume=True)
    assert not (tmp_path / "run").exists()


def other_shapes(folder, name):
    tensors = {
        key: torch.zeros([side + 1 for side in value.shape]) if value.ndim else value
        for key, value in load_file(newest(folder) / f"{name}.safetensors").items()
    }
    save_file(tensors, newest(folder) / f"{name}.safetensors")


def other_network(folder):
    for name in ("network", "averaged", "optimizer"):
        other_shapes(folder, name)


def other_width(folder):
    state = newest(folder) / "state.json"
    values = json.loads(state.read_text())
    values["config"]["width"] = 3
    state.write_text(json.dumps(values))


def no_weights(folder):
    for name in ("network", "averaged"):
        (newest(folder) / f"{name}.safetensors").unlink()


def truncated(folder):
    for name in ("network", "averaged"):
        file = newest(folder) / f"{name}.safetensors"
        file.write_bytes(file.read_bytes()[:-40])


def huge_header(folder):
    file = newest(folder) / "averaged.safetensors"
    file.write_bytes(struct.pack("<Q", 2**60) + b"{}")


def no_state(folder):
    (newest(folder) / "state.json").unlink()


def half_a_state(folder):
    file = newest(folder) / "state.json"
    file.write_text(file.read_text()[:50])


def state_is_a_list(folder):
    (newest(folder) / "state.json").write_text("[1, 2]")


def newer_settings(folder):
    file = newest(folder) / "state.json"
    values = json.loads(file.read_text())
    values["config"]["brush"] = "wide"
    file.write_text(json.dumps(values))


DAMAGE = [
    other_network,
    other_width,
    no_weights,
    truncated,
    huge_header,
    no_state,
    half_a_state,
    state_is_a_list,
    newer_settings,
]


@pytest.mark.parametrize("damage", [*DAMAGE, lambda folder: other_shapes(folder, "optimizer")])
def test_a_damaged_or_foreign_checkpoint_cannot_be_resumed(damage, copied, pictures):
    damage(copied)
    with pytest.raises(ResumeError) as caught:
        train(resumed_config([pictures / "wave.png"], {"output": copied}), resume=True)
    assert str(copied) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_checkpoint_cannot_be_exported(damage, copied):
    before = tiny_runs.files(copied)
    damage(copied)
    with pytest.raises(ResumeError) as caught:
        export_run(copied)
    assert str(copied) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert set(tiny_runs.files(copied)) <= set(before)
