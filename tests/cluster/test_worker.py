import pickle
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray
from PIL import Image
from plain_changes import Plain

from impasto.cli.batch_running import painting_work
from impasto.cluster.running import write_manifest
from impasto.cluster.worker import MOST_ATTEMPTS, Attempts, Result, Worker
from impasto.dials import Painting, Writing
from impasto.images.reading import Photo, read_image
from impasto.runtime.loading import load_model
from impasto.runtime.stylizer import with_mask
from impasto.work import Work


def invert(photo):
    return Photo(255 - photo.rgb, format=photo.format)


def here(counter):
    """An actor's handle whose methods run in this process."""
    return SimpleNamespace(
        begin=SimpleNamespace(remote=counter.begin), end=SimpleNamespace(remote=counter.end)
    )


@pytest.fixture
def make_worker(monkeypatch):
    """Makes a worker without Ray."""
    monkeypatch.setattr(ray, "get", lambda value: value)

    def make(change=invert, counter=None, *, writing=None, **limits):
        work = Work(Plain(change, **limits), writing or Writing())
        return Worker(lambda: work, here(counter or Attempts()))

    return make


@pytest.fixture
def job(tmp_path, photo):
    return {"path": str(photo), "output": str(tmp_path / "out" / "photo.png"), "size_bytes": 7}


def test_a_picture_is_read_changed_and_written(make_worker, job, rgb):
    result = Result(**make_worker()(job))
    np.testing.assert_array_equal(read_image(job["output"]).rgb, 255 - rgb)
    assert (result.status, result.error, result.attempts) == ("done", None, 1)
    assert (result.width, result.height, result.size_bytes) == (40, 31, 7)
    assert (result.path, result.output) == (job["path"], job["output"])
    assert result.elapsed_s > 0
    assert result.worker.rpartition(":")[2].isdigit()


def test_the_suffix_is_the_format_and_quality_counts(make_worker, job, tmp_path):
    sizes = []
    for quality in (10, 95):
        job["output"] = str(tmp_path / f"{quality}.jpg")
        assert make_worker(writing=Writing(quality=quality))(job)["status"] == "done"
        sizes.append((tmp_path / f"{quality}.jpg").stat().st_size)
    assert Image.open(job["output"]).format == "JPEG"
    assert sizes[0] < sizes[1]


def no_memory(photo):
    raise MemoryError


def a_fault(photo):
    return 1 // 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"change": no_memory}, "photo.png does not fit into memory"),
        ({"change": a_fault}, "ZeroDivisionError: integer division or modulo by zero"),
        ({"writing": Writing(max_pixels=9)}, "photo.png is 40x31, above the limit of 9 pixels"),
        ({"scale": 1000}, "WEBP cannot hold a picture of 40000x31000"),
    ],
)
def test_what_goes_wrong_is_told_in_the_row(make_worker, job, tmp_path, options, message):
    job["output"] = str(tmp_path / "photo.webp")
    result = Result(**make_worker(**options)(job))
    assert (result.status, result.width, result.height) == ("failed", None, None)
    assert message in result.error
    assert not list(tmp_path.glob("*.webp"))


def test_a_limit_of_sides_counts_for_what_a_format_can_hold(make_worker, job, tmp_path):
    job["output"] = str(tmp_path / "photo.webp")
    assert make_worker(scale=1000, largest_px=40)(job)["status"] == "done"


def test_missing_photos_and_folders_that_cannot_be_written(make_worker, job, tmp_path):
    (tmp_path / "file").touch()
    worker = make_worker()
    missing = worker(job | {"path": str(tmp_path / "missing.jpg")})
    assert missing["error"] == f"no such file: {tmp_path / 'missing.jpg'}"
    refused = worker(job | {"output": str(tmp_path / "file" / "a.png")})
    assert (refused["status"], "cannot write" in refused["error"]) == ("failed", True)


def test_a_picture_that_ended_its_workers_is_not_begun_again(make_worker, job, tmp_path):
    counter = Attempts()
    for _ in range(MOST_ATTEMPTS):
        counter.begin(job["path"])
    result = Result(**make_worker(counter=counter)(job))
    assert (result.status, result.attempts) == ("failed", MOST_ATTEMPTS)
    assert "3 workers died of it" in result.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", [invert, a_fault])
def test_a_picture_that_has_ended_is_told_and_not_begun_again(make_worker, job, change):
    counter, begun = Attempts(), []

    def counted(photo):
        begun.append(photo)
        return change(photo)

    rows = [make_worker(counted, counter)(job) for _ in range(MOST_ATTEMPTS + 2)]
    assert len(begun) == 1
    assert all(row == rows[0] for row in rows)
    assert rows[0]["attempts"] == 1


def test_only_paths_and_numbers_come_back_from_a_worker(make_worker, job):
    assert {type(value) for value in make_worker()(job).values()} == {str, int, float, type(None)}


def make_painting(model, **dials):
    return partial(
        painting_work, model.read_bytes(), {"negative": 1.0}, Painting(**dials), Writing()
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's list of threads")
def test_a_session_has_one_thread(tiny_model, rgb):
    def threads():
        return len(list(Path("/proc/self/task").iterdir()))

    paint = make_painting(tiny_model)().change
    paint(Photo(rgb))  # what is made for the first photo is there
    before = threads()
    paint = make_painting(tiny_model)().change
    np.testing.assert_array_equal(paint(Photo(rgb)).rgb, 255 - rgb)
    assert threads() == before
    more = load_model(tiny_model, threads=3, device="cpu")
    assert threads() == before + 2
    del more


def test_the_mask_goes_to_every_machine(tiny_model, rgb, tmp_path):
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    mask = with_mask(Painting(mask=tmp_path / "mask.png")).mask
    (tmp_path / "mask.png").unlink()
    make = pickle.loads(pickle.dumps(make_painting(tiny_model, mask=mask)))
    painted = make().change(Photo(rgb)).rgb
    np.testing.assert_array_equal(painted[:, : width // 2], rgb[:, : width // 2])
    np.testing.assert_array_equal(painted[:, width // 2 :], 255 - rgb[:, width // 2 :])


def test_the_manifest_has_every_column_in_its_type(tmp_path):
    import pyarrow.parquet as pq

    done = Result("a.png", "b.png", "done", None, 1, "host:1", 0.5, 9, 40, 31)
    failed = Result("ü\udcff.png", "c.png", "failed", "why", size_bytes=3)
    place = write_manifest(str(tmp_path / "new folder"), [done, failed])
    assert place == str(tmp_path / "new folder" / "manifest.parquet")
    first, second = pq.read_table(place).to_pylist()
    assert Result(**first) == done
    assert second["path"] == "ü\\udcff.png"
    assert (second["error"], second["worker"], second["width"]) == ("why", None, None)
    types = {field.name: str(field.type) for field in pq.read_schema(place)}
    assert types == dict.fromkeys(("path", "output", "status", "error", "worker"), "string") | (
        dict.fromkeys(("attempts", "size_bytes", "width", "height"), "int64")
    ) | {"elapsed_s": "double"}
