"""Going on after a stop, whatever became of what was finished, and one run at a time."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from clip_files import frame_times, packets, pictures, write_clip

from impasto.dials import Painting
from impasto.errors import OutputError
from impasto.video import pieces
from impasto.video.changes import FramePainter
from impasto.video.clips import Clip
from impasto.video.joining import join
from impasto.video.pieces import PieceFolder
from impasto.video.rendering import VideoSettings, render
from impasto.video.steadiness import MODES

LOSSLESS = VideoSettings(crf=1)

# Paints nothing, in pieces of three frames, where files can have so many bytes only.
ON_A_SMALL_DISK = """
import resource, sys
from pathlib import Path
from impasto.video import pieces
from impasto.video.rendering import VideoSettings, render

class Same:
    steadiness, scale = None, 1
    def apply(self, frame): return frame
    def settings(self): return {}

pieces.PIECE_FRAMES = 3
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
render(Path("a.mp4"), Path("b.mp4"), Same(), VideoSettings())
"""


def check_same_pictures(result, whole):
    """x264 itself is not the same to the bit from run to run, about once in a hundred."""
    frames = [[frame.rgb.astype(int) for frame in Clip(path).frames()] for path in (result, whole)]
    assert len(frames[0]) == len(frames[1])
    for one, other in zip(*frames, strict=True):
        assert np.abs(one - other).mean() < 0.5


def stop_before_joining(monkeypatch, path, result, change, settings=LOSSLESS):
    """Makes all pieces of a result, and not the result."""

    def fail(*_args, **_settings):
        raise OutputError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("impasto.video.rendering.join", fail)
        with pytest.raises(OutputError, match="the disk is full"):
            render(path, result, change, settings)


@pytest.mark.parametrize("steady", ["off", "strong"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path, negative, monkeypatch, steady):
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 4)
    negative.steadiness = MODES[steady]
    path = write_clip(tmp_path / "a.mp4", pictures(14), sound="aac")
    whole, result = tmp_path / "whole.mp4", tmp_path / "b.mp4"
    assert render(path, whole, negative, LOSSLESS).frames == 14

    class Stops(FramePainter):
        def apply(self, frame):
            if frame.pts * Fraction(1, 12_800) >= Fraction(10, 25):
                raise KeyboardInterrupt
            return super().apply(frame)

    with pytest.raises(KeyboardInterrupt):
        render(path, result, Stops(**vars(negative)), LOSSLESS)
    assert not result.exists()
    (folder,) = tmp_path.glob("*.parts")
    kept = {file.name for file in folder.glob("*.mp4")}
    assert kept and kept <= {"00000.mp4", "00001.mp4"}
    outcome = render(path, result, negative, LOSSLESS)
    assert (outcome.frames, outcome.resumed) == (14, 4 * len(kept))
    check_same_pictures(result, whole)
    assert packets(result, "audio") == packets(whole, "audio")
    assert frame_times(result) == frame_times(whole)
    assert not folder.exists()


def test_other_settings_or_another_clip_begin_anew(tmp_path, negative, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 3)
    path = write_clip(tmp_path / "a.mp4", pictures(7))
    result = tmp_path / "b.mp4"

    def fail(*_args, **_settings):
        raise OutputError("the disk is full")

    def stopped():
        with monkeypatch.context() as patched:
            patched.setattr("impasto.video.rendering.join", fail)
            with pytest.raises(OutputError):
                render(path, result, negative, LOSSLESS)

    stopped()
    assert render(path, result, negative, VideoSettings(crf=2)).resumed == 0
    stopped()
    timeline = negative.timeline
    negative.timeline = dataclasses.replace(timeline, dials=Painting(keep_colors=True))
    assert render(path, result, negative, LOSSLESS).resumed == 0
    negative.timeline = timeline
    stopped()
    assert render(path, result, negative, LOSSLESS).resumed == 7
    stopped()
    os.utime(path, (1, 1))
    assert render(path, result, negative, LOSSLESS).resumed == 0


def test_damaged_pieces_begin_anew(tmp_path, negative):
    folder = tmp_path / "b.mp4.parts"
    folder.mkdir()
    (folder / "pieces.json").write_text('{"made_by": [], "pieces": 3}', encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    path = write_clip(tmp_path / "a.mp4", pictures(3))
    assert render(path, tmp_path / "b.mp4", negative, LOSSLESS).resumed == 0
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


def test_a_full_disk_leaves_the_old_result_and_what_was_finished(tmp_path, negative, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 3)
    path, result = write_clip(tmp_path / "a.mp4", pictures(7)), tmp_path / "b.mp4"
    result.write_bytes(b"old")
    write = pieces.PieceWriter.write

    def full(self, frame):
        if frame.pts > 0 and self.durations.keys() == {0} and self._first_pts > 0:
            raise OutputError("no space left") from OSError(errno.ENOSPC, "no space left")
        write(self, frame)

    monkeypatch.setattr(pieces.PieceWriter, "write", full)
    with pytest.raises(OutputError, match="no space left"):
        render(path, result, negative, LOSSLESS)
    assert result.read_bytes() == b"old"
    assert sorted(file.name for file in (tmp_path / "b.mp4.parts").glob("*.mp4")) == ["00000.mp4"]


@pytest.mark.parametrize(
    ("damaged", "resumed"),
    [
        (["00002.mp4"], 6),
        (["memory.2.npz"], 6),
        (["memory.2.npz", "00001.mp4"], 0),
        (["00000.mp4"], 0),
        (["memory.1.npz", "memory.2.npz"], 0),
    ],
)
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_what_is_damaged_is_made_anew(tmp_path, negative, monkeypatch, damaged, resumed, how):
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 3)
    negative.steadiness = MODES["strong"]
    path = write_clip(tmp_path / "a.mp4", pictures(8))
    whole, result = tmp_path / "whole.mp4", tmp_path / "b.mp4"
    render(path, whole, negative, LOSSLESS)
    stop_before_joining(monkeypatch, path, result, negative)
    for name in damaged:
        file = tmp_path / "b.mp4.parts" / name
        if how == "cut":
            file.write_bytes(file.read_bytes()[:60])
        else:
            file.unlink()
    outcome = render(path, result, negative, LOSSLESS)
    assert (outcome.frames, outcome.resumed) == (8, resumed)
    check_same_pictures(result, whole)


def test_a_memory_of_the_right_size_that_is_no_archive_is_made_anew(
    tmp_path, negative, monkeypatch
):
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 3)
    negative.steadiness = MODES["light"]
    path = write_clip(tmp_path / "a.mp4", pictures(8))
    stop_before_joining(monkeypatch, path, tmp_path / "b.mp4", negative)
    file = tmp_path / "b.mp4.parts" / "memory.2.npz"
    file.write_bytes(bytes(file.stat().st_size))
    assert render(path, tmp_path / "b.mp4", negative, LOSSLESS).resumed == 6


def test_pieces_are_on_the_disk_before_they_are_listed(tmp_path, negative, monkeypatch):
    synced = []
    fsync = os.fsync

    def noted(descriptor):
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    def listed(result, made, *_args, **_settings):
        folder = made.path
        for row in json.loads((folder / "pieces.json").read_text())["pieces"]:
            assert (folder / row["name"]).stat().st_ino in synced
        for file in [*folder.glob("memory.*"), folder / "pieces.json"]:
            assert file.stat().st_ino in synced
        join(result, made, *_args, **_settings)

    monkeypatch.setattr(pieces, "PIECE_FRAMES", 2)
    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr("impasto.video.rendering.join", listed)
    render(write_clip(tmp_path / "a.mp4", pictures(5)), tmp_path / "b.mp4", negative, LOSSLESS)
    assert (tmp_path / "b.mp4").stat().st_ino in synced


def test_two_runs_to_one_result_do_not_mix(tmp_path, negative):
    path, result = write_clip(tmp_path / "a.mp4", pictures(3)), tmp_path / "b.mp4"
    with PieceFolder(result, {}):
        with pytest.raises(OutputError, match=r"another run is making .*b\.mp4: wait until it"):
            render(path, result, negative, LOSSLESS)
        assert (tmp_path / "b.mp4.parts").is_dir() and not result.exists()
        render(path, tmp_path / "c.mp4", negative, LOSSLESS)
    assert render(path, result, negative, LOSSLESS).frames == 3
    assert not list(tmp_path.glob("*.parts"))


def test_the_lock_of_a_run_that_was_killed_is_free(tmp_path, negative):
    holds = (
        "import os, signal, sys; from pathlib import Path\n"
        "from impasto.video.pieces import PieceFolder\n"
        "PieceFolder(Path(sys.argv[1]), {}).joined.write_bytes(b'half')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    result = tmp_path / "b.mp4"
    subprocess.run([sys.executable, "-c", holds, str(result)], check=False)
    folder = tmp_path / "b.mp4.parts"
    assert sorted(file.name for file in folder.iterdir()) == ["joined.mp4", "lock"]
    path = write_clip(tmp_path / "a.mp4", pictures(3))
    assert render(path, result, negative, LOSSLESS).frames == 3
    # What it had begun to join is gone as well.
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize(("limit", "kept"), [(12_000, 0), (40_000, 4)], ids=["piece", "join"])
def test_a_disk_that_is_really_full(tmp_path, limit, kept):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (96, 128, 3)).astype(np.uint8) for _ in range(12)]
    write_clip(tmp_path / "a.mp4", noise, sound="aac")
    (tmp_path / "b.mp4").write_bytes(b"old")

    def run(limit):
        return subprocess.run(
            [sys.executable, "-c", ON_A_SMALL_DISK, str(limit)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    done = run(limit)
    assert done.returncode == 1
    (message,) = [line for line in done.stderr.splitlines() if "OutputError: " in line]
    assert "OutputError: cannot write b.mp4" in message and "too large" in message.lower()
    assert (tmp_path / "b.mp4").read_bytes() == b"old"
    left = sorted(file.name for file in tmp_path.glob("b.mp4.parts/*.mp4"))
    assert left == [f"{number:05}.mp4" for number in range(kept)]
    assert not list(tmp_path.glob(".impasto*"))
    assert run(10_000_000).returncode == 0
    assert len(frame_times(tmp_path / "b.mp4")) == 12
    assert not list(tmp_path.glob("*.parts"))
