"""`impasto batch` as a process of its own: interrupted, and on a cluster with a token."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

LIMIT_S = 500


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(tiny_model):
    """The line that paints ``photos`` into ``out``."""
    return [
        *(sys.executable, "-m", "impasto", "batch", "photos", "out"),
        *("--model", str(tiny_model), "--actors", "1"),
    ]


# --- signals


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("sent", "code", "told"),
    [(signal.SIGINT, 130, "impasto: interrupted\n"), (signal.SIGTERM, signal.SIGTERM, "")],
)
def test_an_interrupted_batch_leaves_its_manifest_and_no_process(command, sent, code, told):
    Path("photos").mkdir()
    first = Path("photos/000.png")
    Image.effect_noise((1500, 1000), 50).save(first)
    for number in range(1, 100):
        os.link(first, f"photos/{number:03}.png")
    batch = subprocess.Popen(
        [*command, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end_s = time.monotonic() + LIMIT_S
    while len(list(Path("out").glob("0*.png"))) < 8 and time.monotonic() < end_s:
        time.sleep(0.05)
    batch.send_signal(sent)
    assert batch.communicate(timeout=LIMIT_S) == ("", told)
    assert batch.returncode == code

    rows = pq.read_table("out/manifest.parquet").to_pylist()
    assert [Path(row["path"]).name for row in rows] == [f"{n:03}.png" for n in range(100)]
    done = [row for row in rows if row["status"] == "done"]
    assert 1 <= len(done) < 100
    assert all(Image.open(row["output"]).size == (1500, 1000) for row in done)
    others = [(row["status"], row["error"], row["attempts"]) for row in rows if row not in done]
    assert set(others) == {("failed", "was not reached: run the same line again", 0)}

    workers = {int(row["worker"].rpartition(":")[2]) for row in done}
    end_s = time.monotonic() + 30
    while any(map(is_running, workers)) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


# --- a token, as docs/cluster.md says


def test_a_batch_on_a_cluster_with_a_token(guarded_cluster, command, make_photos, colors_of):
    address, token = guarded_cluster
    (color,) = make_photos(Path("photos"), "a.png").values()
    line = [*command, "--address", address, "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert colors_of(Path("out")) == {"a.png": tuple(255 - c for c in color)}

    token.write_text("f" * 64)
    line = [*line, "--overwrite"]
    stranger = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (stranger.returncode, stranger.stdout, stranger.stderr.count("\n")) == (1, "", 1)
    assert "and a token must be the same on all machines" in stranger.stderr
