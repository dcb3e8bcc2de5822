"""`impasto batch` from end to end, on a cluster and with S3."""

import json
import re

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from impasto.images.reading import read_image

PROGRESS = re.compile(r"\d+ of \d+ photos")
NAMES = ["b.png", "sub/a.png", "深 处/照片 1.png"]


def manifest_of(place):
    """The rows of a manifest, by the photo's name below its folder."""
    with fsspec.open(f"{place}/manifest.parquet", use_listings_cache=False) as file:
        rows = pq.read_table(file).to_pylist()
    return {row["path"].rpartition("photos/")[2]: row for row in rows}


@pytest.fixture
def batch(run_cli, cluster, tiny_model, tmp_path, monkeypatch):
    """Runs `impasto batch` in a folder of its own, with the style that inverts colours.

    Of stderr it returns the lines that are not about progress.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments, model=tiny_model):
        code, out, err = run_cli("batch", *arguments, "--address", cluster, "--model", model)
        return code, out, [line for line in err.splitlines() if not PROGRESS.match(line)]

    return run


def test_folders_go_on_where_they_stopped(batch, make_photos, colors_of, tmp_path):
    colors = make_photos(tmp_path / "photos", *NAMES)
    inverted = {name: tuple(255 - c for c in color) for name, color in colors.items()}
    (tmp_path / "photos" / "a.jpg").write_text("not a picture")
    code, out, err = batch("photos", "out")
    assert (code, out) == (1, f"{tmp_path / 'out' / 'manifest.parquet'}\n")
    first, last = err
    assert first.startswith(f"impasto: {tmp_path / 'photos' / 'a.jpg'} is not a picture")
    assert last == "3 painted, 1 failed"
    assert colors_of(tmp_path / "out") == inverted
    rows = manifest_of(tmp_path / "out")
    assert list(rows) == ["a.jpg", *NAMES]
    assert [row["status"] for row in rows.values()] == ["failed", "done", "done", "done"]
    row = rows["sub/a.png"]
    assert row["output"] == str(tmp_path / "out" / "sub" / "a.png")
    assert (row["width"], row["height"], row["error"]) == (24, 16, None)
    assert row["size_bytes"] == (tmp_path / "photos" / "sub" / "a.png").stat().st_size
    assert 0 < row["elapsed_s"] < 60

    (tmp_path / "photos" / "a.jpg").unlink()
    (tmp_path / "out" / "b.png").unlink()
    kept = (tmp_path / "out" / "sub" / "a.png").stat().st_mtime_ns
    code, _, err = batch("photos", "out")
    assert (code, err[-1:]) == (
        0,
        ["1 painted, 2 were already there (--overwrite paints them again)"],
    )
    assert (tmp_path / "out" / "sub" / "a.png").stat().st_mtime_ns == kept
    statuses = [row["status"] for row in manifest_of(tmp_path / "out").values()]
    assert statuses == ["done", "skipped", "skipped"]

    code, out, err = batch("photos", "out", "--overwrite", "--strength", "0", "--json")
    assert (code, err) == (0, ["3 painted"])
    assert colors_of(tmp_path / "out") == colors
    row = json.loads(out)
    assert row.pop("elapsed_s") > 0
    assert row == {
        "source": str(tmp_path / "photos"),
        "destination": str(tmp_path / "out"),
        "manifest": str(tmp_path / "out" / "manifest.parquet"),
        "style": "negative",
        "actors": 2,
        "photos": 3,
        "done": 3,
        "skipped": 0,
        "failed": 0,
    }
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"b.png", "a.png", "照片 1.png", "manifest.parquet"}


def test_upscaling_within_a_store(batch, bucket, save_upscaler, rgb, tmp_path):
    model = save_upscaler(tmp_path / "x4.onnx")
    Image.fromarray(rgb).save(tmp_path / "a.png")
    for name in ("photos/a.png", "photos/sub/a.png"):
        bucket.put_file(str(tmp_path / "a.png"), f"pictures/{name}")
    bucket.pipe_file("pictures/photos/bad.webp", b"no")
    source, destination = "s3://pictures/photos", "s3://pictures/photos/large"
    code, out, err = batch(source, destination, "--upscale", "2", "--format", "webp", model=model)
    assert (code, out) == (1, f"{destination}/manifest.parquet\n")
    assert err[0].startswith(f"impasto: {source}/bad.webp is not a picture")
    assert err[1] == "2 upscaled, 1 failed"
    assert set(bucket.find("pictures/photos/large")) == {
        "pictures/photos/large/a.webp",
        "pictures/photos/large/manifest.parquet",
        "pictures/photos/large/sub/a.webp",
    }
    large = read_image(bucket.cat_file("pictures/photos/large/sub/a.webp"))
    assert (large.format, large.rgb.shape) == ("WEBP", (62, 80, 3))
    rows = manifest_of(destination)
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done",
        "bad.webp": "failed",
        "sub/a.png": "done",
    }
    assert (rows["a.png"]["width"], rows["a.png"]["height"]) == (80, 62)

    bucket.rm_file("pictures/photos/bad.webp")
    bucket.rm_file("pictures/photos/large/a.webp")
    code, _, err = batch(source, destination, "--upscale", "2", "--format", "webp", model=model)
    assert (code, err[-1:]) == (
        0,
        ["1 upscaled, 1 were already there (--overwrite upscales them again)"],
    )


def test_the_dials_of_painting(batch, make_photos, tmp_path):
    (color,) = make_photos(tmp_path / "photos", "a.png").values()
    options = ["--strength", "0.5", "--max-size", "12", "--format", "jpeg", "--quality", "100"]
    assert batch("photos", "out", *options, "--quiet") == (0, "", [])
    small = Image.open(tmp_path / "out" / "a.jpg")
    assert small.size == (12, 8)
    half = [(c + 255 - c) / 2 for c in color]
    np.testing.assert_allclose(np.asarray(small).reshape(-1, 3).mean(0), half, atol=2)
