"""Pictures beyond the memory, from file to file by the command line."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image
from tiny_models import SPECS, exported

from impasto import work
from impasto.cli import running
from impasto.errors import ModelError
from impasto.images import mapping, regions
from impasto.images.reading import read_image
from impasto.runtime import draft_refine

SMALL, LARGE = "4MiB", "1GiB"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return exported(SPECS["draft_refine"], tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    """Nothing is to lie here: a system's temporary folder often is memory."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def mapped_in(monkeypatch):
    """The folders of the files that were mapped."""
    folders = set()
    make = mapping.mapped
    for module in (mapping, regions):
        monkeypatch.setattr(module, "mapped", lambda *a: folders.add(a[1]) or make(*a))
    return folders


@pytest.fixture
def folder(tmp_path):
    """The same picture as JPEG on its side, as tiled TIFF of 16 bit and as transparent PNG."""
    rows, columns = np.mgrid[0:640, 0:400]
    rgb = np.stack([columns // 2, rows // 3, (rows + columns) // 5], axis=-1).astype(np.uint8)
    rgb[100:300, 100:200] = np.random.default_rng(0).integers(0, 256, (200, 100, 3))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    (tmp_path / "in").mkdir()
    Image.fromarray(rgb).save(tmp_path / "in" / "a.jpg", exif=exif, quality=90)
    sixteen = (rgb.astype(np.uint16) * 257).tobytes()
    image = pyvips.Image.new_from_memory(sixteen, 400, 640, 3, "ushort")
    image.copy(interpretation="rgb16").tiffsave(str(tmp_path / "in" / "b.tif"), tile=True)
    rgba = np.dstack([rgb, (columns // 2).astype(np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "in" / "c.png")
    return tmp_path / "in"


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that went through libvips."""
    names = []
    decode = regions._decode
    monkeypatch.setattr(regions, "_decode", lambda *a: names.append(a[3]) or decode(*a))
    return names


def test_a_folder_comes_out_as_the_usual_way(run_cli, folder, model, tmp_path, decoded):
    paint = ["stylize", folder, "-m", model, "--format", "png", "--json"]
    found = {}
    for memory in (SMALL, LARGE):
        out = tmp_path / memory
        code, printed, err = run_cli(*paint, "--memory", memory, "-o", f"{out}/")
        assert code == 0, err
        rows = [json.loads(line) for line in printed.splitlines()]
        assert [row["status"] for row in rows] == ["done"] * 3
        assert (rows[0]["width"], rows[0]["height"]) == (640, 400)
        found[memory] = [read_image(path) for path in sorted(out.iterdir())]
    assert len(decoded) == 3
    for small, large in zip(found[SMALL], found[LARGE], strict=True):
        np.testing.assert_allclose(small.rgb.astype(int), large.rgb.astype(int), atol=1)
        assert (small.alpha is None) == (large.alpha is None)
        assert (b"Maker" in (small.exif or b"")) == (b"Maker" in (large.exif or b""))
    np.testing.assert_array_equal(found[SMALL][2].alpha, found[LARGE][2].alpha)


def test_sizes_and_formats(run_cli, folder, model, tmp_path, decoded):
    paint = ["stylize", folder / "c.png", "-m", model, "--memory", SMALL, "--overwrite"]
    for name, settings in [("x.jpg", []), ("x.webp", ["--max-size", "200"]), ("x.tif", [])]:
        code, _, err = run_cli(*paint, *settings, "-o", tmp_path / name)
        assert (code, err) == (0, "")
        image = Image.open(tmp_path / name)
        assert image.size == ((125, 200) if settings else (400, 640))
    assert len(decoded) == 3
    assert run_cli(*paint, "-o", tmp_path / "x.bmp")[0] == 0
    assert len(decoded) == 3
    code, _, err = run_cli(*paint[:4], "-o", tmp_path / "y.tif", "--max-pixels", "1000")
    assert (code, err.count("\n")) == (2, 1)
    assert "above the limit of 1,000 pixels" in err


def test_upscaling_goes_through_files_too(
    run_cli, folder, tmp_path, decoded, upscalers, monkeypatch
):
    line = ["upscale", folder / "c.png", "-o"]
    assert run_cli(*line, tmp_path / "usual.png")[0] == 0
    monkeypatch.setattr(regions, "DEFAULT_MEMORY", 1 << 20)
    assert run_cli(*line, tmp_path / "huge.png")[0] == 0
    assert len(decoded) == 1
    usual, huge = (read_image(tmp_path / f"{name}.png") for name in ("usual", "huge"))
    np.testing.assert_array_equal(huge.rgb, usual.rgb)
    np.testing.assert_array_equal(huge.alpha, usual.alpha)
    assert huge.rgb.shape == (1280, 800, 3)


def test_a_model_that_paints_whole_names_the_size_that_fits(run_cli, tiny_model, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(path)
    line = ["stylize", path, "-m", tiny_model, "-o", tmp_path / "out.png", "--memory", "8MiB"]
    code, _, err = run_cli(*line)
    assert (code, err.count("\n")) == (2, 1)
    size = re.search(r"make it smaller \(--max-size (\d+)\)", err)[1]
    assert run_cli(*line, "--max-size", size)[0] == 0


def test_pictures_of_libvips_are_worked_on_one_after_the_other(
    run_cli, folder, model, tmp_path, monkeypatch
):
    """It keeps one text of errors, and damage of one picture must not be told of another."""
    events = []
    for step in ("read_huge", "write_huge"):
        function = getattr(work, step)

        def seen(*args, step=step, function=function, **settings):
            events.append(step)
            result = function(*args, **settings)
            events.append(f"{step} done")
            return result

        monkeypatch.setattr(work, step, seen)
    line = ["stylize", folder, "-m", model, "--memory", SMALL, "-o", f"{tmp_path / 'out'}/"]
    assert run_cli(*line, "--format", "png")[0] == 0
    assert events == ["read_huge", "read_huge done", "write_huge", "write_huge done"] * 3


def test_files_lie_where_the_result_will(
    run_cli, folder, model, tmp_path, temporary_folder, mapped_in, monkeypatch
):
    line = ["stylize", folder / "c.png", "-m", model, "--memory", SMALL, "-o"]
    (tmp_path / "there").mkdir()
    for name, where in [("there/x.png", "there"), ("new/below/x.png", "")]:
        assert run_cli(*line, tmp_path / name)[0] == 0
        assert mapped_in == {tmp_path / where}
        mapped_in.clear()
    monkeypatch.setenv("TMPDIR", str(temporary_folder))
    assert run_cli(*line, tmp_path / "there" / "y.png")[0] == 0
    assert mapped_in == {temporary_folder}


def test_a_full_disk_is_told_before_the_painting(run_cli, folder, model, tmp_path, monkeypatch):
    """It has room for the picture and smaller ones of it, but not for the result too."""
    usage = namedtuple("Usage", "total used free")
    left = 640 * 400 * 3 * 17 // 10
    make = mapping.mapped

    def mapped(shape, where):
        nonlocal left
        picture = make(shape, where)
        left -= picture.size
        return picture

    for module in (mapping, regions):
        monkeypatch.setattr(module, "mapped", mapped)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, left))
    painted = []
    monkeypatch.setattr(draft_refine, "run_on_picture", lambda *_: painted.append(1))
    target = tmp_path / "b.tif"
    code, out, err = run_cli(
        "stylize", folder / "b.tif", "-m", model, "--memory", SMALL, "-o", target
    )
    assert (code, out, err.count("\n"), painted) == (1, "", 1, [])
    assert f"a picture of 400x640 needs 1 MiB more temporary space, and {tmp_path} has" in err
    assert not target.exists()


def mapped_files(folder):
    """Files in a folder that are mapped into this process, named or not."""
    maps = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    return [line for line in maps if f" {folder}/" in line]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="does not list what is mapped")
def test_each_picture_of_a_folder_gives_its_room_back(
    run_cli, folder, model, tmp_path, monkeypatch
):
    held, out = [], tmp_path / "out"
    out.mkdir()
    read, paint = work.read_huge, draft_refine.DraftRefinePainter.paint

    def counting(*args, **settings):
        held.append(len(mapped_files(out)))
        return read(*args, **settings)

    def failing(self, rgb, *args):
        if len(held) == 2:
            paint(self, rgb, *args)
            raise ModelError("the model fails") from ValueError("of its own")
        return paint(self, rgb, *args)

    monkeypatch.setattr(work, "read_huge", counting)
    monkeypatch.setattr(draft_refine.DraftRefinePainter, "paint", failing)
    line = ["stylize", folder, "-m", model, "--memory", SMALL, "-o", f"{out}/"]
    code, _, err = run_cli(*line, "--format", "png")
    assert (code, "b.tif: the model fails" in err) == (1, True)
    assert held == [0, 0, 0]
    assert mapped_files(out) == []


def test_damage_is_told_in_one_line(run_cli, folder, model, tmp_path, temporary_folder):
    path = folder / "a.jpg"
    path.write_bytes(path.read_bytes()[:9000])
    code, out, err = run_cli("stylize", path, "-m", model, "--memory", SMALL)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"impasto: {path} is damaged or truncated: " in err
    assert sorted(found.name for found in folder.iterdir()) == ["a.jpg", "b.tif", "c.png"]
    assert list(temporary_folder.iterdir()) == []


def test_ctrl_c_leaves_nothing(run_cli, folder, model, tmp_path, temporary_folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    line = [
        "stylize",
        folder / "b.tif",
        "-m",
        model,
        "--memory",
        SMALL,
        "-o",
        tmp_path / "o" / "b.tif",
    ]
    for module, name in ((draft_refine, "to_levels"), (regions, "wait")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, interrupt)
            assert run_cli(*line) == (130, "", "impasto: interrupted\n")
        out = tmp_path / "o"
        assert not out.exists() or list(out.iterdir()) == []
        assert list(temporary_folder.iterdir()) == []


KILLED = """
import os, signal, sys, tempfile
from impasto.cli.app import main
from impasto.runtime import draft_refine
tempfile.tempdir = sys.argv[1]
run, left = draft_refine.to_levels, [9]
def killed(*args):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(*args)
draft_refine.to_levels = killed
main(sys.argv[2:])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_after_a_kill_nothing_is_left_and_the_same_line_works(
    run_cli, folder, model, tmp_path, temporary_folder
):
    target = tmp_path / "out" / "b.tif"
    target.parent.mkdir()
    line = ["stylize", folder / "b.tif", "-m", model, "--memory", SMALL, "-o", target]
    line = [str(part) for part in line]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(temporary_folder), *line], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(target.parent.iterdir()) == []
    assert list(temporary_folder.iterdir()) == []
    assert run_cli(*line)[0] == 0
    assert read_image(target).rgb.shape == (640, 400, 3)


def test_a_picture_that_is_alone_shows_how_far_it_is(run_cli, folder, model, tmp_path, monkeypatch):
    shown, shares = [], []

    class Bar:
        def __init__(self, total, *, shown, doing):
            self.about = (total, shown, doing)

        def __enter__(self):
            shown.append(self.about)
            return self

        def __exit__(self, *_):
            shown.append("closed")

        def share(self, share):
            shares.append(share)

    usual = running.progress_bar
    monkeypatch.setattr(
        running,
        "progress_bar",
        lambda *a, shown, **k: (Bar if shown else usual)(*a, shown=shown, **k),
    )
    line = ["stylize", folder / "b.tif", "-m", model, "-o"]
    assert run_cli(*line, tmp_path / "small.tif")[0] == 0
    assert shown == []  # it is over at once
    monkeypatch.setattr(running, "_BAR_AFTER_S", 0.0)
    assert run_cli(*line, tmp_path / "b.tif", "--memory", SMALL)[0] == 0
    assert shown == [(1, True, "painting"), "closed"]
    assert shares == sorted(shares)
    assert (len(shares) > 10, shares[-1]) == (True, 1.0)
