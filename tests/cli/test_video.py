import json
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clip_files import damage, frame_times, packets, pictures, write_clip
from PIL import Image

from impasto.cli.video_running import frame_rate
from impasto.video.clips import Clip

# Pieces of three frames, and each frame takes a while, so that there is time to interrupt.
SLOW = """
import sys, time
from impasto.video import changes, pieces
pieces.PIECE_FRAMES = 3
apply = changes.FramePainter.apply
def slow(self, frame):
    time.sleep(0.2)
    return apply(self, frame)
changes.FramePainter.apply = slow
from impasto.cli.app import main
main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clip():
    return write_clip(Path("clip.mp4"), pictures(6), sound="aac", options={"crf": "1"})


def one_error_line(err):
    return err.count("\n") == 1 and err.startswith("impasto: ")


def test_a_clip_beside_it_with_its_sound(run_cli, catalog, clip, monkeypatch):
    monkeypatch.setattr("impasto.cli.console.LINE_EVERY_S", 0)
    code, out, err = run_cli("video", clip, "--crf", "1")
    assert (code, out) == (0, "clip.negative.mp4\n")
    first, *_, last = err.splitlines()
    assert first == "1 of about 6 frames"
    assert re.fullmatch(r"6 of about 6 frames, [0-9.]+ frames/s, 0:00 left", last)
    assert frame_times("clip.negative.mp4") == frame_times(clip)
    assert packets("clip.negative.mp4", "audio") == packets(clip, "audio")
    for frame, picture in zip(Clip(Path("clip.negative.mp4")).frames(), pictures(6), strict=True):
        assert np.abs(255 - frame.rgb.astype(int) - picture).mean() < 6
    code, out, err = run_cli("video", clip)
    assert code == 2 and one_error_line(err)
    assert "clip.negative.mp4 is already there: --overwrite replaces it" in err
    assert run_cli("video", clip, "--overwrite", "-q") == (0, "", "")
    assert not list(Path().glob("*.parts"))


def test_a_damaged_clip_is_painted_and_told(run_cli, catalog):
    write_clip(Path("a.mp4"), pictures(20), options={"g": "5", "bf": "0"})
    damage(Path("a.mp4"), slice(18, None))
    code, out, err = run_cli("video", "a.mp4", "--json", "--steady", "off")
    row = json.loads(out)
    assert (code, row["status"]) == (0, "done")
    assert (row["damaged"], row["frames"]) == (2, 18)
    assert len(frame_times(row["output"])) == row["frames"]
    told = f"a.mp4 is damaged: {row['damaged']} of its packets or frames were skipped or patched up"
    assert told in err


def test_json(run_cli, catalog, clip):
    code, out, err = run_cli("video", clip, "-o", "out/", "--json", "--steady", "strong")
    assert (code, err) == (0, "")
    row = json.loads(out)
    assert row["elapsed_s"] > 0
    assert {k: v for k, v in row.items() if k != "elapsed_s"} == {
        "input": "clip.mp4",
        "output": str(Path("out/clip.negative.mp4")),
        "style": "negative",
        "device": "cpu",
        "width": 64,
        "height": 48,
        "frames": 6,
        "resumed": 0,
        "scenes": 1,
        "damaged": 0,
        "status": "done",
        "error": None,
    }
    Path("empty.mp4").touch()
    code, out, err = run_cli("video", "empty.mp4", "--json")
    assert code == 2 and one_error_line(err)
    assert (json.loads(out)["status"], json.loads(out)["error"]) == ("failed", "empty.mp4 is empty")


def test_dials(run_cli, save_gallery, clip):
    save_gallery(Path("greys.onnx"), {"dark": 50, "bright": 200})
    line = ["video", clip, "-m", "greys.onnx", "-q", "--overwrite", "--crf", "1", "-o", "b.mp4"]
    line += ["--steady", "off"]  # which would follow the dials a little later

    def levels(*options):
        code, _, err = run_cli(*line, *options)
        assert (code, err) == (0, "")
        return [frame.rgb.mean() for frame in Clip(Path("b.mp4")).frames()]

    keys = ["--style-at", "0.2:bright", "--style-at", "0:dark"]
    assert levels(*keys) == pytest.approx([50, 80, 110, 140, 170, 200], abs=2)
    assert levels("--style", "dark:0.5,bright:0.5") == pytest.approx([125] * 6, abs=2)
    assert levels("--style", "dark", "--strength-at", "0.04:1")[0] == pytest.approx(50, abs=2)
    assert levels("--stroke-size-at", "0:1") == pytest.approx([50] * 6, abs=2)
    Image.new("L", (64, 48), 0).save("mask.png")
    unpainted = [picture.mean() for picture in pictures(6)]
    assert levels("--mask", "mask.png") == pytest.approx(unpainted, abs=3)
    assert len(levels("--start", "0.04", "--end", "0.16")) == 3
    assert len(levels("--start", "0.08", "--end", "0.2")) == 3
    assert len(levels("--fps", "50")) == 12
    assert levels("--max-size", "32") and Clip(Path("b.mp4")).width == 32


def test_upscaling(run_cli, upscalers, clip):
    code, out, _ = run_cli("video", clip, "--upscale", "2")
    assert (code, out) == (0, "clip.x2.mp4\n")
    assert Clip(Path("clip.x2.mp4")).width == 128


def test_gif_in_and_out(run_cli, catalog):
    images = [Image.fromarray(picture) for picture in pictures(3)]
    images[0].save("a.gif", save_all=True, append_images=images[1:], duration=[40, 80, 120], loop=0)
    assert run_cli("video", "a.gif", "-q")[0] == 0
    with Image.open("a.negative.gif") as image:
        assert (image.n_frames, image.info["loop"], image.info["duration"]) == (3, 0, 40)


def test_an_interrupted_run_goes_on(catalog, clip, tmp_path):
    write_clip(clip, pictures(14), sound="aac")
    line = [sys.executable, "-c", SLOW, "video", "clip.mp4", "-m", str(catalog / "negative.onnx")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        line, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    parts = tmp_path / "clip.negative.mp4.parts"
    deadline_s = time.monotonic() + 60
    while not (parts / "pieces.json").exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "impasto: interrupted"
    assert not Path("clip.negative.mp4").exists()
    assert not list(tmp_path.glob(".impasto*"))
    done = subprocess.run(
        [*line, "--json"], env=environment, capture_output=True, text=True, check=True
    )
    row = json.loads(done.stdout)
    assert row["frames"] == 14 and row["resumed"] in (3, 6, 9)
    assert "went on after" in done.stderr
    assert frame_times("clip.negative.mp4") == frame_times(clip)
    assert not parts.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steady", "much"], "--steady must be off, light or strong, not 'much'"),
        (["--codec", "divx"], "--codec must be h264, hevc, vp9, av1 or prores, not 'divx'"),
        (["--crf", "99"], "--crf must lie between 0 and 63, not 99"),
        (["--start", "x"], "--start takes seconds, such as 12.5, not 'x'"),
        (["--start", "2", "--end", "1"], "--end 1 must come after --start 2"),
        (["--fps", "0"], "--fps must lie between 0.01 and 1000, not 0"),
        (["--fps", "0.001"], "--fps must lie between 0.01 and 1000, not 0.001"),
        (["-o", ""], "-o is empty: was a variable meant that is not set?"),
        (
            ["--codec", "h264", "-o", "b.webm"],
            ".webm cannot hold --codec h264: choose one of vp9, av1, or give -o a name that ends "
            "in .mp4 or .m4v or .mov or .mkv",
        ),
        (
            ["--codec", "vp9", "-o", "b.gif"],
            "--codec and --crf are for clips, and .gif is an animated picture: leave them out",
        ),
        (
            ["--upscale", "2", "--strength-at", "0:1"],
            "--upscale enlarges in place of painting: leave --strength-at out",
        ),
        (
            ["--upscale", "2", "--strength", "0"],
            "--upscale enlarges in place of painting: leave --strength out",
        ),
        (
            ["--style", "negative", "--style-at", "3:mirror"],
            "--style and --style-at contradict each other: begin with --style-at 0:negative",
        ),
        (
            ["--style-at", "0:negative", "--style-at", "1:mirror"],
            "the styles negative, mirror lie in different model files; only styles of one file "
            "blend",
        ),
        (
            ["-o", "b.avi"],
            "-o b.avi must end in one of .mp4 .m4v .mov .mkv .webm .gif .webp .png .apng",
        ),
        (
            ["-o", "clip.mp4", "--overwrite"],
            "clip.mp4 is an input and would be overwritten: choose another -o",
        ),
    ],
)
def test_bad_input_is_one_line(run_cli, catalog, clip, options, message):
    before = sorted(Path().iterdir())
    code, out, err = run_cli("video", clip, *options)
    assert (code, out, err) == (2, "", f"impasto: {message}\n")
    assert sorted(Path().iterdir()) == before


def test_an_unwritable_result_is_told_before_any_work(run_cli, catalog, clip, monkeypatch):
    Path("file").touch()
    monkeypatch.setattr("impasto.runtime.stylizer.StyleModel.paint_with", None)
    for name in ("x.mp4", "x.gif"):
        code, out, err = run_cli("video", clip, "-o", f"file/{name}", "--steady", "off")
        assert (code, out) == (1, "") and one_error_line(err)
        assert f"cannot write {Path('file', name)}: file is not a folder" in err


def test_frame_rates_of_television_are_meant():
    assert frame_rate(29.97) == Fraction(30_000, 1001)
    assert frame_rate(23.976) == Fraction(24_000, 1001)
    assert frame_rate(0.01) == Fraction(1, 100)
    assert (frame_rate(25), frame_rate(12.5), frame_rate(None)) == (25, Fraction(25, 2), None)


def test_without_the_extra_its_install_line_is_told():
    code = "import sys; sys.modules['av'] = None; from impasto.cli.app import main; main()"
    for command in (["video", "a.mp4"], ["evaluate", "video", "a.mp4"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stderr.startswith(
            f"impasto: impasto {' '.join(command[:-1])} needs the extra impasto[video], which"
        )
        assert done.stderr.count("\n") == 1


def test_a_photo_is_no_clip(run_cli, tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (48, 40), "teal").save(path)
    code, out, err = run_cli("video", path)
    assert (code, out) == (2, "")
    assert err == f"impasto: {path} is a photo and no clip: `impasto stylize` paints it\n"
    assert list(tmp_path.iterdir()) == [path]
