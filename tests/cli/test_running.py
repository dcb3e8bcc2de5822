"""Reading, working and writing overlap, and what comes out is in the order of what went in."""

import json
import threading

import numpy as np
import pytest
import typer
from PIL import Image
from plain_changes import Plain

from impasto import work
from impasto.cli import running
from impasto.cli.options import Voice
from impasto.cli.plan import Job, Plan
from impasto.cli.running import PAINTING, Run, Task
from impasto.dials import Writing
from impasto.errors import OutputError
from impasto.images.reading import Photo
from impasto.work import Work

PATIENCE_S = 20


@pytest.fixture
def plan(tmp_path):
    jobs = []
    for number in range(4):
        source = tmp_path / f"{number}.png"
        Image.fromarray(np.full((8, 9 + number, 3), 50 * number, np.uint8)).save(source)
        jobs.append(Job(source, tmp_path / "out" / f"{number}.png"))
    return Plan(jobs)


def run(plan, change, **limits):
    doing = Work(Plain(change, **limits), Writing())
    Run(Task(doing, PAINTING, {"style": "x"}, "cpu"), Voice(as_json=True)).do(plan)


def rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_next_picture_is_read_and_the_last_one_written_meanwhile(plan, monkeypatch, capsys):
    read, written = ({job.source.name: threading.Event() for job in plan.jobs} for _ in range(2))
    read_image, write_image = work.read_image, work.write_image

    def reading(source, **settings):
        photo = read_image(source, **settings)
        read[source.name].set()
        return photo

    def writing(target, photo, **settings):
        write_image(target, photo, **settings)
        written[target.name].set()

    monkeypatch.setattr(work, "read_image", reading)
    monkeypatch.setattr(work, "write_image", writing)

    def change(photo):
        number = photo.rgb.shape[1] - 9
        if number < 3:
            assert read[f"{number + 1}.png"].wait(PATIENCE_S)
        if number > 0:
            assert written[f"{number - 1}.png"].wait(PATIENCE_S)
        return photo

    run(plan, change)
    found = rows(capsys)
    assert [row["status"] for row in found] == ["done"] * 4
    assert [row["width"] for row in found] == [9, 10, 11, 12]
    assert all(job.target.exists() for job in plan.jobs)


def test_a_large_picture_lies_in_memory_alone(plan, monkeypatch, capsys):
    monkeypatch.setattr(running, "_LARGE_BYTES", 10)
    events = []
    for step in ("read_image", "write_image"):
        function = getattr(work, step)

        def seen(*args, step=step, function=function, **settings):
            events.append(step)
            return function(*args, **settings)

        monkeypatch.setattr(work, step, seen)
    run(plan, lambda photo: events.append("change") or photo)
    assert events == ["read_image", "change", "write_image"] * 4
    assert len(rows(capsys)) == 4


def test_an_error_stops_one_picture(plan, capsys):
    def change(photo):
        if photo.rgb.shape[1] == 10:
            raise MemoryError
        return photo

    plan.jobs[2].source.write_bytes(b"no picture")
    with pytest.raises(typer.Exit) as caught:
        run(plan, change)
    assert caught.value.exit_code == 1
    found = rows(capsys)
    assert [row["status"] for row in found] == ["done", "failed", "failed", "done"]
    assert found[1]["error"].endswith("1.png does not fit into memory")
    assert not plan.jobs[1].target.exists()


def test_a_result_that_its_format_cannot_hold_is_refused_before_the_work(tmp_path, capsys):
    source, target = tmp_path / "long.png", tmp_path / "long.jpg"
    Image.new("RGB", (65_501, 1)).save(source)
    changed = []

    def change(photo):
        changed.append(1)
        return photo

    with pytest.raises(typer.Exit):
        run(Plan([Job(source, target)]), change)
    assert "JPEG cannot hold a picture of 65501x1" in rows(capsys)[0]["error"]
    assert not changed
    run(
        Plan([Job(source, target)]),
        lambda photo: changed.append(1) or Photo(photo.rgb[:, :9]),
        largest_px=1000,
    )
    assert changed == [1]


def test_a_full_disk_ends_the_run(plan, monkeypatch, capsys):
    def full(target, _photo, **_settings):
        raise OutputError(f"cannot write {target}: full") from OSError(28, "full")

    monkeypatch.setattr(work, "write_image", full)
    with pytest.raises(typer.Exit) as caught:
        run(plan, lambda photo: photo)
    assert caught.value.exit_code == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "stopped, since the disk is full: 3 more were not begun" in captured.err
