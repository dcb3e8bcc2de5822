"""What `impasto batch` refuses and plans, and that it needs no other machine."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from impasto.cli.batch_running import make_plan
from impasto.dials import Writing
from impasto.errors import UsageError

# Found by every Python that the command starts: whoever asks for another machine is written down.
LOOPBACK_ONLY = """
import socket

LOOPBACK = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None)
connect, lookup = socket.socket.connect, socket.getaddrinfo

def refuse(what):
    with open({log!r}, "a") as log:
        print(what, file=log)
    raise OSError("no network in this test")

def checked_connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in LOOPBACK:
        refuse(address)
    return connect(self, address)

def checked_lookup(host, *arguments, **names):
    return refuse(host) if host not in LOOPBACK else lookup(host, *arguments, **names)

socket.socket.connect, socket.getaddrinfo = checked_connect, checked_lookup
"""
LIMIT_S = 500


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photos(photo):
    folder = Path("photos")
    folder.mkdir()
    photo.rename(folder / "a.png")
    return folder


@pytest.fixture
def no_ray(monkeypatch):
    """Fails where Ray would start."""
    monkeypatch.setattr("impasto.cluster.running._start", lambda actors: pytest.fail("it started"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "out"], "missing is no folder: give the folder that the photos are in"),
        (["nothing", "out"], "no pictures in folder nothing (readable: JPEG"),
        (["", "out"], "a folder's name is empty"),
        (["photos", "photos"], "photos has the photos in it: choose another DESTINATION"),
        (["photos", "link"], "link has the photos in it: choose another DESTINATION"),
        (["photos", "local://photos", "--overwrite"], "photos has the photos in it: choose"),
        (["photos", "simplecache::local://photos", "--overwrite"], "photos has the photos in it"),
        (["outer/photos", "local://outer"], "a.png is a photo and would be overwritten: choose"),
        (["photos", "warp://out"], "cannot use warp://out: Protocol not known: warp"),
        (["s3://", "out"], "s3:// names no folder"),
        (["outer/photos", "outer"], "a.png is a photo and would be overwritten: choose another"),
        (["photos", "out", "--actors", "0"], "--actors must be at least 1, not 0"),
        (["photos", "out", "--quality", "80"], "this result is png"),
        (["photos", "out", "--mask", "out/a.png", "--overwrite"], "a.png is the mask and would be"),
        (["photos", "out", "--mask", "missing.png"], "no such file: missing.png"),
        (["photos", "out", "--style", "mirrr"], "there is no style 'mirrr': did you mean mirror?"),
        (["photos", "out", "-m", "missing.onnx"], "no such model file: missing.onnx"),
        (["photos", "out", "--upscale", "8", "-m", "photo"], "no upscaling model 'photo' for sca"),
        (
            ["photos", "out", "--upscale", "2", "--strength", "0"],
            "--upscale enlarges in place of painting: leave --strength out",
        ),
        (
            ["photos", "out", "--upscale", "2", "--max-size", "9"],
            "--upscale enlarges in place of painting: leave --max-size out",
        ),
        (
            ["photos", "out", "--address", "ray://head"],
            "--address takes HOST:PORT, such as 10.0.0.1:6379, not 'ray://head'",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run_cli, upscalers, photos, no_ray, arguments, message):
    Path("nothing").mkdir()
    Path("link").symlink_to(photos)
    Path("outer/photos/photos").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save("outer/photos/a.png")
    Image.new("RGB", (9, 9)).save("outer/photos/photos/a.png")
    if "out/a.png" in arguments:
        Path("out").mkdir()
        Image.new("L", (9, 9)).save("out/a.png")
    before = sorted(path for path in Path().rglob("*") if path.name != "out")
    code, out, err = run_cli("batch", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("impasto: ")
    assert message in err
    assert err.count("\n") == 1
    after = sorted(path for path in Path().rglob("*") if path.name != "out")
    assert after == before


def test_a_destination_where_one_cannot_write(run_cli, catalog, photos, no_ray):
    Path("file").touch()
    code, out, err = run_cli("batch", "photos", "file")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "cannot write in" in err


def test_nobody_is_asked_where_nothing_is_left_to_do(run_cli, catalog, photos, no_ray):
    Path("out").mkdir()
    (Path("out") / "a.png").touch()
    code, out, err = run_cli("batch", "photos", "out")
    assert (code, out) == (0, f"{Path('out/manifest.parquet').resolve()}\n")
    assert err == "0 painted, 1 were already there (--overwrite paints them again)\n"
    (row,) = pq.read_table("out/manifest.parquet").to_pylist()
    assert (row["status"], row["attempts"], row["worker"]) == ("skipped", 0, None)


def test_results_never_share_a_name_and_are_named_as_stylize_names_them(catalog, photos):
    for name in ("a.jpg", "b.HEIC", "b.jpg", "sub/c.gif"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).touch()
    plan = make_plan("photos", "out", Writing())
    out = Path("out").resolve()
    names = {
        Path(job.path).relative_to(photos.resolve()).as_posix(): Path(job.output)
        .relative_to(out)
        .as_posix()
        for job in plan.jobs
    }
    assert names == {
        "a.jpg": "a.jpg",
        "a.png": "a.png",
        "b.HEIC": "b.jpg",
        "b.jpg": "b.2.jpg",
        "sub/c.gif": "sub/c.png",
    }
    plan = make_plan("photos", "out", Writing(format="png"))
    assert len({job.output for job in plan.jobs}) == len(plan.jobs) == 5


def test_the_results_of_a_store_lie_below_the_destination(bucket, tmp_path):
    names = [f"{tmp_path}/x.png", "/a.png", "a.png", "b//c.png", "b/../d.png"]
    for name in names:
        bucket.pipe_file(f"pictures/photos/{name}", b"")
    plan = make_plan("s3://pictures/photos", "out", Writing())
    found = {job.path.removeprefix("s3://pictures/photos/"): job.output for job in plan.jobs}
    below = {
        names[0]: names[0].lstrip("/"),
        "/a.png": "a.png",
        "a.png": "a.2.png",
        "b//c.png": "b/c.png",
    }
    assert found == {name: str(tmp_path / "out" / result) for name, result in below.items()}


@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [
        ("outer/photos", "outer/photos", "outer/photos has the photos in it"),
        ("outer/photos", "outer", "outer/photos/a.png is a photo and would be overwritten"),
    ],
)
def test_photos_of_a_store_are_not_replaced_under_another_name(
    bucket, source, destination, message
):
    for name in ("a.png", "photos/a.png"):
        bucket.pipe_file(f"pictures/outer/photos/{name}", b"")
    with pytest.raises(UsageError, match=message):
        make_plan(
            f"s3://pictures/{source}", f"s3a://pictures/{destination}", Writing(overwrite=True)
        )


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_name_that_is_no_text_fails_alone(run_cli, catalog, photos, no_ray):
    (photos / "a.png").rename(os.fsdecode(b"photos/\xff.png"))
    code, _, err = run_cli("batch", "photos", "out")
    assert (code, "a manifest cannot hold" in err) == (1, True)
    (row,) = pq.read_table("out/manifest.parquet").to_pylist()
    assert row["path"].endswith("photos/\\udcff.png")
    assert row["status"] == "failed"


def test_many_failures_are_left_to_the_manifest(run_cli, catalog, no_ray):
    Path("photos").mkdir()
    for number in range(12):
        Path(os.fsdecode(b"photos/\xff%d.png" % number)).touch()
    code, _, err = run_cli("batch", "photos", "out", "-q")
    *lines, last = err.splitlines()
    assert (code, len(lines)) == (1, 10)
    assert last == f"impasto: 2 more failed, as {Path('out/manifest.parquet').resolve()} tells"


def test_without_the_extra_the_line_that_installs_it(run_cli, catalog, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    for name in [name for name in sys.modules if name.startswith("impasto.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "impasto.cli.batch_running", raising=False)
    monkeypatch.delattr("impasto.cli.batch_running", raising=False)
    code, _, err = run_cli("batch", "photos", "out")
    assert code == 2
    assert "`impasto batch` needs the extra impasto[cluster], which is not installed" in err


def test_two_actors_on_two_cores_finish_without_another_machine(tiny_model, photos):
    """A plan with a task that reads would wait for good: the workers hold both cores."""
    for name in ("b.png", "c.png", "d.png"):
        Image.new("RGB", (9, 9)).save(photos / name)
    Path("site").mkdir()
    log = Path("network.log").resolve()
    Path("site/sitecustomize.py").write_text(LOOPBACK_ONLY.format(log=str(log)), encoding="utf-8")
    Path("home").mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(Path("site").resolve()),
        "HOME": str(Path("home").resolve()),
    }
    environment.pop("RAY_AUTH_MODE", None)
    attempt = "import socket; socket.socket().connect(('192.0.2.1', 9))"
    subprocess.run(
        [sys.executable, "-c", attempt], env=environment, check=False, capture_output=True
    )
    assert log.read_text(encoding="utf-8") == "('192.0.2.1', 9)\n", "the guard is not in place"
    log.unlink()
    line = [sys.executable, "-m", "impasto", "batch", "photos", "out", "--model", str(tiny_model)]
    done = subprocess.run(
        [*line, "--actors", "2"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{Path('out/manifest.parquet').resolve()}\n"
    *progress, last = done.stderr.splitlines()
    assert last == "4 painted"
    assert all(" of 4 photos" in text for text in progress), done.stderr
    assert not log.exists(), log.read_text(encoding="utf-8")
    assert not list(Path("home").rglob("*"))
    rows = pq.read_table("out/manifest.parquet").to_pylist()
    assert {row["status"] for row in rows} == {"done"}
