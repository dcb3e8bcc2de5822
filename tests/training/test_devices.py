"""Runs of several processes: what they compute together, who writes, and who goes on alone."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import types
from functools import partial
from pathlib import Path

import pytest
import tiny_runs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from impasto.errors import ResumeError, UsageError
from impasto.training import train
from impasto.training.checkpoints import load_checkpoint

pytestmark = pytest.mark.usefixtures("small_previews", "no_export")

STEPS, MORE_STEPS = 6, 9
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

# One process of a run: what it does and how it ends goes to a file of its own.
PROCESS = f"""
import json, os, sys
from pathlib import Path

written = []

def watch(event, args):
    if event in ("os.mkdir", "os.rename") or (
        event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
    ):
        written.append(os.fsdecode(args[0]) if not isinstance(args[0], int) else "")

sys.addaudithook(watch)

import impasto.training.pictures
from impasto.data import PhotoCrops
from impasto.errors import ImpastoError
from impasto.training import TrainingConfig, setup, trainer
from impasto.training.style_task import StyleTask

impasto.training.pictures.PREVIEW_PX = {tiny_runs.PREVIEW_PX}
trainer.export_run = lambda folder: folder / "no.onnx"
settings, rank = json.loads(sys.argv[1]), int(os.environ["RANK"])
config = TrainingConfig.from_dict(settings["config"])
told = {{"error": None, "notes": []}}
drawn = []

draw, fit, terms = PhotoCrops.draw, trainer._fit, StyleTask.terms

def watched_draw(samples, data, rng):
    drawn.append(data)
    return draw(samples, data, rng)

def watched_fit(run, on_step):
    told["plan"] = [run.last_step, run.schedule_steps, run.batch_size]
    drawn.clear()  # what balancing and timing took
    fit(run, on_step)

def spoiled_terms(*given, **how):
    good, kept = terms(*given, **how)
    return (good | {{"total": good["total"] * float("nan")}} if len(drawn) > 4 else good), kept

PhotoCrops.draw = watched_draw
trainer._fit = watched_fit
if settings.get("uneven"):  # machines of different speed, one of which fails
    setup._time_step = lambda run, network: (0.3, 0.03)[rank]
    if rank == 1:
        StyleTask.terms = spoiled_terms
try:
    trainer.train(config, resume=settings.get("resume", False), on_note=told["notes"].append)
except ImpastoError as error:
    told["error"] = str(error)
told["drawn"] = [hash(data) for data in drawn]
told["written"] = [path for path in written if path.startswith(str(config.run_folder))]
Path(settings["told"], f"{{rank}}.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def torchrun(tmp_path_factory):
    """Runs two processes as torchrun starts them, and returns what each of them tells."""

    def run(config, **settings):
        folder = tmp_path_factory.mktemp("told")
        (folder / "process.py").write_text(PROCESS)
        settings |= {"config": config.to_dict(), "told": str(folder)}
        done = subprocess.run(
            [sys.executable, *TORCHRUN, folder / "process.py", json.dumps(settings)],
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
        )
        assert done.returncode == 0, done.stderr
        return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]

    return run


@pytest.fixture(scope="module")
def tiny_config(tiny_config):
    """Settings of a tiny run whose rate falls all along, so that rounding errors stay small."""
    return partial(tiny_config, schedule="cosine")


# Under SOAP the axes of a step turn with the last bits of its sums.
COMPARED = {"width": 4, "optimizer": "adam"}


@pytest.fixture(scope="module")
def alone(tiny_config, tmp_path_factory, small_previews):
    """A run of one process, four photos per step."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.trainer.export_run", lambda folder: folder)
        train(tiny_config(folder, **COMPARED, batch_size=4, steps=STEPS))
    return folder


@pytest.fixture(scope="module")
def extended(alone, tiny_config, tmp_path_factory, small_previews):
    """The same run, a few steps longer."""
    folder = shutil.copytree(alone, tmp_path_factory.mktemp("extended") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.trainer.export_run", lambda folder: folder)
        train(tiny_config(folder, **COMPARED, batch_size=4, steps=MORE_STEPS), resume=True)
    return folder


@pytest.fixture(scope="module")
def together(tiny_config, tmp_path_factory, torchrun):
    """The same run by two processes, two photos each: its folder, and what each process told."""
    folder = tmp_path_factory.mktemp("together") / "run"
    return folder, torchrun(tiny_config(folder, **COMPARED, batch_size=2, steps=STEPS))


def curves(folder):
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("loss/")]
    return {
        tag: {event.step: event.value for event in events.Scalars(tag)}
        for tag in [*tags, "gradient_norm"]
    }


def assert_same_losses(found, expected):
    assert found.keys() == expected.keys() >= {"loss/total", "loss/content", "loss/style"}
    for tag in expected.keys() - {"gradient_norm"}:
        assert found[tag] == pytest.approx(expected[tag], rel=3e-3), tag


# --- together


def test_as_many_photos_give_the_curves_of_one_process(together, alone):
    expected = curves(alone)
    assert list(expected["loss/total"]) == list(range(1, STEPS + 1))
    assert expected["loss/total"][1] > 1.01 * expected["loss/total"][STEPS]
    found = curves(together[0])
    assert_same_losses(found, expected)
    # Weights that differ in their last bits soon differ in their gradients.
    assert found["gradient_norm"][1] == pytest.approx(expected["gradient_norm"][1], rel=1e-4)


def test_each_photo_is_seen_by_one_process(together, pictures):
    """24 photos are seen in passes of 5: every pass has each photo once, in one process."""
    drawn = [told["drawn"] for told in together[1]]
    assert [len(photos) for photos in drawn] == [2 * STEPS] * 2
    steps = [
        photos[2 * step : 2 * step + 2] for step in range(STEPS) for photos in drawn
    ]  # in the order that one process would take them
    order = list(itertools.chain.from_iterable(steps))
    every = set(order)
    assert len(every) == len(list((pictures / "photos").iterdir())) == 5
    for turn in range(4):
        assert set(order[5 * turn : 5 * turn + 5]) == every


def test_each_shard_of_a_pass_is_read_by_one_process(tiny_config, pictures, tmp_path, torchrun):
    photos = sorted((pictures / "photos").iterdir())
    for number in range(2):
        with tarfile.open(tmp_path / f"{number}.tar", "w") as shard:
            for photo in photos[2 * number : 2 * number + 2]:
                shard.add(photo, photo.name)
    shards = tmp_path / "{0..1}.tar"
    told = torchrun(tiny_config(tmp_path / "run", photos=shards, batch_size=2, steps=3))
    assert [(one["error"], len(one["drawn"])) for one in told] == [(None, 6)] * 2
    every = {photo for one in told for photo in one["drawn"]}
    assert len(every) == 4
    for turn in range(3):
        both = [set(one["drawn"][2 * turn : 2 * turn + 2]) for one in told]
        assert [len(photos) for photos in both] == [2, 2]
        assert both[0] | both[1] == every
    assert load_checkpoint(tmp_path / "run")[1]["images_per_step"] == 4


def test_one_process_writes(together):
    folder, (first, second) = together
    assert second["written"] == []
    assert any("checkpoints" in path for path in first["written"])
    assert load_checkpoint(folder)[1]["images_per_step"] == 4
    assert (len(first["notes"]) > 0, second["notes"]) == (True, [])
    assert any("steps of 4 photos" in note for note in first["notes"])


# --- another number of processes


def test_one_process_goes_on_for_two(together, extended, tiny_config, tmp_path):
    folder = shutil.copytree(together[0], tmp_path / "run")
    train(tiny_config(folder, **COMPARED, batch_size=2, steps=MORE_STEPS), resume=True)
    assert load_checkpoint(folder)[1]["images_per_step"] == 4
    assert_same_losses(curves(folder), curves(extended))


def test_two_processes_go_on_for_one(alone, extended, tiny_config, tmp_path, torchrun):
    folder = shutil.copytree(alone, tmp_path / "run")
    config = tiny_config(folder, **COMPARED, batch_size=4, steps=MORE_STEPS)
    told = torchrun(config, resume=True)
    assert [one["plan"] for one in told] == [[MORE_STEPS, STEPS, 2]] * 2
    assert_same_losses(curves(folder), curves(extended))


def test_photos_that_do_not_divide_are_refused(alone, tiny_config, tmp_path, monkeypatch):
    folder = shutil.copytree(alone, tmp_path / "run")
    before = tiny_runs.files(folder)
    three = types.SimpleNamespace(world_size=3, is_global_zero=True)
    monkeypatch.setattr("impasto.training.setup._launch", lambda *_: three)
    with pytest.raises(ResumeError) as caught:
        train(tiny_config(folder, **COMPARED, batch_size=4, steps=STEPS), resume=True)
    assert str(caught.value) == (
        f"the run in {folder} has 4 photos per step, which 3 processes cannot share evenly: "
        "take another number of them"
    )
    assert tiny_runs.files(folder) == before


# --- processes that differ


def test_no_process_times_the_precision_for_itself(tiny_config, tmp_path, monkeypatch):
    class LaunchedError(Exception):
        pass

    def launch(config, devices, nodes):
        assert (devices, nodes) == (2, 1)
        raise LaunchedError(config.precision)

    monkeypatch.setattr("impasto.training.setup._launch", launch)
    monkeypatch.setattr("impasto.training.setup.bfloat16_is_faster", lambda device: True)
    given = {"precision": "auto", "devices": 2, "device": "cpu", "steps": 1}
    with pytest.raises(LaunchedError, match="32-true"):
        train(tiny_config(tmp_path / "run", **given))


def test_all_agree_on_the_plan_and_stop_together(tiny_config, tmp_path, torchrun):
    config = tiny_config(tmp_path / "run", batch_size=1, max_time_s=300.0, log_every=2)
    first, second = torchrun(config, uneven=True)
    assert first["plan"] == second["plan"]
    assert first["plan"][0] == first["plan"][1] > 100
    assert first["error"] == second["error"]
    assert "the loss is not finite at step 6" in first["error"]


# --- the command line


@pytest.fixture
def command(pictures, tmp_path):
    """Runs `impasto train` on its own or by a launcher."""

    def run(*launcher, **changed):
        (tmp_path / "command.py").write_text(tiny_runs.COMMAND_LINE)
        photos = pictures / "photos"
        given = tiny_runs.flags(validation_photos=photos, **changed)
        line = (*launcher, "command.py", "train", pictures / "wave.png", photos, "-o", "run")
        return subprocess.run(
            [sys.executable, *line, *given],
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    return run


def test_torchrun_starts_the_command(command, tmp_path):
    done = command(*TORCHRUN, steps=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{Path('run/wave.onnx')}\n"
    assert done.stderr.count("curves: ") == done.stderr.count("try it on the example photos") == 1
    assert load_checkpoint(tmp_path / "run")[1]["images_per_step"] == 2


def test_a_process_that_loses_the_others_says_so_in_one_line(command, tmp_path):
    (tmp_path / "run" / "preview.jpg").mkdir(parents=True)
    done = command(steps=1000, devices=2)
    assert done.returncode == 1
    assert "impasto: cannot write" in done.stderr
    assert "impasto: another process of the run has ended, see what it said" in done.stderr
    assert "Traceback" not in done.stderr


def test_torchrun_counts_the_processes(tiny_config, tmp_path, monkeypatch):
    for name, value in (("TORCHELASTIC_RUN_ID", "a"), ("WORLD_SIZE", 4), ("LOCAL_WORLD_SIZE", 2)):
        monkeypatch.setenv(name, str(value))
    with pytest.raises(UsageError, match="--devices is 3, but torchrun has started 2 processes"):
        train(tiny_config(tmp_path / "run", steps=1, devices=3))
    assert not (tmp_path / "run").exists()
