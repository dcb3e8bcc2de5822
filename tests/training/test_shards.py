"""Runs whose photos are streamed from WebDataset shards."""

import shutil
import tarfile
import types
from pathlib import Path

import pytest
import tiny_runs
import torch

from impasto.data.examples import example_photos_folder
from impasto.errors import DataError
from impasto.training import make_upscaler_config, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.resume import resumed_config

pytestmark = pytest.mark.usefixtures("small_previews", "no_export")


@pytest.fixture(scope="session")
def whole(pictures):
    """The pattern of two shards: three of the photos in one, two in the other."""
    photos = sorted((pictures / "photos").iterdir())
    for number, some in enumerate((photos[:3], photos[3:])):
        with tarfile.open(pictures / f"{number}.tar", "w") as shard:
            for photo in some:
                shard.add(photo, photo.name)
    return pictures / "{0..1}.tar"


@pytest.fixture
def pattern(whole, tmp_path):
    """The same shards, to be damaged."""
    for shard in whole.parent.glob("*.tar"):
        shutil.copy(shard, tmp_path)
    return tmp_path / whole.name


def weights(folder):
    return load_checkpoint(folder)[0]["network"]


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_run_learns_from_shards_and_repeats(tiny_config, whole, tmp_path):
    reports, notes = [], []
    for name in ("one", "two"):
        config = tiny_config(
            tmp_path / name, width=2, photos=whole, steps=30, learning_rate=0.01, max_zoom=1.0
        )
        train(config, on_step=reports.append, on_note=notes.append)
    assert min(report.losses["total"] for report in reports) < 0.8 * reports[0].losses["total"]
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))
    assert not any("left out" in note or "anew" in note for note in notes)


def test_a_resumed_run_reads_them_anew_and_says_so(tiny_config, whole, pictures, tmp_path):
    notes = []
    train(tiny_config(tmp_path / "run", photos=whole, steps=2))
    given = {"output": tmp_path / "run", "steps": 4, "photos": whole}
    train(
        resumed_config([pictures / "wave.png"], given),
        resume=True,
        on_note=notes.append,
    )
    assert load_checkpoint(tmp_path / "run")[1]["step"] == 4
    assert sum("the shards are read anew, in another order" in note for note in notes) == 1


def test_there_are_no_more_workers_than_shards(tiny_config, whole, tmp_path, monkeypatch):
    seen = []

    class Loader(torch.utils.data.DataLoader):
        def __init__(self, *args, **given):
            seen.append(given["num_workers"])
            super().__init__(*args, **(given | {"num_workers": 0, "multiprocessing_context": None}))

    monkeypatch.setattr("impasto.training.trainer.DataLoader", Loader)
    train(tiny_config(tmp_path / "run", photos=whole, steps=1, workers=5))
    assert seen == [2]


def test_damage_is_named_once_and_the_run_goes_on(tiny_config, pattern, tmp_path):
    (tmp_path / "0.tar").unlink()
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        (tmp_path / "broken.jpg").write_text("no picture")
        shard.add(tmp_path / "broken.jpg", "broken.jpg")
        shard.add(min(example_photos_folder().glob("*.jpg")), "good.jpg")
    notes = []
    config = tiny_config(tmp_path / "run", photos=pattern, steps=12)
    train(config, on_note=notes.append)
    left_out = [note for note in notes if "left out" in note]
    assert left_out == [
        f"photo 1 left out: {tmp_path}/0.tar/broken.jpg: the picture cannot be decoded"
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_that_vanish_end_a_run_in_one_line(workers, tiny_config, pattern, tmp_path):
    def vanish(note):
        if note.startswith("preview"):
            for shard in tmp_path.glob("*.tar"):
                shard.unlink()

    config = tiny_config(tmp_path / "run", photos=pattern, steps=1, workers=workers)
    with pytest.raises(DataError) as caught:
        train(config, on_note=vanish)
    assert str(caught.value).startswith("100 photos or shards in a row cannot be used, the last")
    assert str(caught.value).endswith(".tar: it is not there")
    assert "\n" not in str(caught.value)


def test_more_processes_than_shards_are_refused(tiny_config, whole, tmp_path, monkeypatch):
    three = types.SimpleNamespace(world_size=3, is_global_zero=True)
    monkeypatch.setattr("impasto.training.setup._launch", lambda *_: three)
    with pytest.raises(DataError, match=r"\{0\.\.1\}\.tar has 2 shards for 3 processes; each"):
        train(tiny_config(tmp_path / "run", photos=whole, steps=1))
    assert not (tmp_path / "run").exists()


def test_an_upscaler_learns_from_shards_too(tmp_path):
    photos = sorted(example_photos_folder().glob("*.jpg"))[:3]
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        for photo in photos:
            shard.add(photo, photo.name)
    config = make_upscaler_config(
        photos=Path(f"file://{tmp_path}/{{0..0}}.tar"),
        validation_photos=tmp_path / "0.tar",
        output=tmp_path / "run",
        width=8,
        residual_blocks=1,
        loss="pixel",
        patch_px=32,
        batch_size=2,
        device="cpu",
        precision="32-true",
        threads=1,
        steps=2,
    )
    train(config)
    assert load_checkpoint(tmp_path / "run")[1]["step"] == 2


# --- the command line


def test_the_command_takes_a_pattern(whole, run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = tiny_runs.flags(steps=1, validation_photos=whole)
    painting = whole.parent / "wave.png"
    code, _, err = run_cli("train", painting, whole, "-o", "run", *given)
    assert code == 0, err
    assert "example photos; give" not in err
    code, _, err = run_cli("train", painting, "-o", "run", "--resume", "--steps", "2")
    assert code == 0, err
    assert "the shards are read anew" in err


def test_a_pattern_that_the_shell_has_expanded_is_told(whole, run_cli):
    shards = [whole.parent / f"{number}.tar" for number in range(2)]
    code, _, err = run_cli("train", whole.parent / "wave.png", *shards)
    assert (code, err.count("\n")) == (2, 1)
    assert "0.tar is no painting; put a pattern of shards in quotes, as in" in err


def test_a_pattern_of_nothing_is_told(whole, run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli("train", whole.parent / "wave.png", "none/{0..9}.tar", "-o", "run")
    assert (code, err.count("\n")) == (2, 1)
    assert "the shard none/9.tar of photos cannot be used: it is not there" in err
    assert not list(Path().iterdir())
