import json
from pathlib import Path

import pytest
from clip_files import pictures, write_clip
from PIL import Image


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_moves_over_a_photo_in_every_mode(run_cli, catalog, photo):
    code, out, err = run_cli(
        "evaluate", "video", photo, "--frames", "4", "--max-size", "64", "--json"
    )
    assert (code, err) == (0, "")
    rows = json.loads(out)["results"]
    named = [(row["clip"], row["painting"]) for row in rows]
    modes = ("unpainted", "off", "light", "strong")
    assert named == [(move, mode) for move in ("pan", "zoom", "object") for mode in modes]
    errors = {name: row["warp_error"] for name, row in zip(named, rows, strict=True)}
    for move in ("pan", "zoom", "object"):
        # A negative follows as well as what it is one of.
        assert errors[move, "off"] == pytest.approx(errors[move, "unpainted"], rel=1e-3)
        assert errors[move, "strong"] < errors[move, "off"]
    assert {row["pairs"] for row in rows} == {3}


def test_a_painted_clip_beside_the_unpainted_one(run_cli):
    write_clip(Path("a.mp4"), pictures(4), options={"crf": "1"})
    flicker = [255 - p if n % 2 else p for n, p in enumerate(pictures(4))]
    write_clip(Path("b.mp4"), flicker, options={"crf": "1"})
    code, out, _ = run_cli("evaluate", "video", "a.mp4", "--painted", "b.mp4")
    head, _, unpainted, painted = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()
    )
    assert code == 0
    assert head == ["clip", "painting", "warp error", "times unpainted", "followed", "pairs"]
    assert unpainted[:2] == ["a.mp4", "unpainted"] and painted[:2] == ["a.mp4", "b.mp4"]
    assert float(unpainted[2]) < 0.01 < 0.1 < float(painted[2])


def test_a_painting_must_have_the_clips_frames(run_cli, catalog):
    write_clip(Path("a.mp4"), pictures(20))
    for options, count in {"--fps 50": 40, "--start 0.2": 15, "--end 0.4": 10}.items():
        assert run_cli("video", "a.mp4", "-o", "b.mkv", "--overwrite", "-q", *options.split()) == (
            0,
            "",
            "",
        )
        # As many frames are measured of each, and yet they are not the same.
        line = ["evaluate", "video", "a.mp4", "--painted", "b.mkv", "--frames", "8"]
        assert run_cli(*line) == (
            2,
            "",
            f"impasto: b.mkv has {count} frames, and a.mp4 has 20: --painted takes a painting that "
            "was made without --fps, --start and --end\n",
        )
    assert run_cli("video", "a.mp4", "-o", "b.mkv", "--overwrite", "-q") == (0, "", "")
    code, out, err = run_cli(*line, "--json")
    assert (code, err) == (0, "")
    assert [row["pairs"] for row in json.loads(out)["results"]] == [7, 7]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animated_pictures_are_clips_and_still_ones_photos(run_cli, catalog, suffix):
    images = [Image.fromarray(picture) for picture in pictures(5)]
    path = Path(f"a{suffix}")
    images[0].save(path, save_all=True, append_images=images[1:], duration=40)
    assert run_cli("video", path, "-o", f"b{suffix}", "-q") == (0, "", "")
    line = ["evaluate", "video", path, "--json"]
    code, out, err = run_cli(*line, "--painted", f"b{suffix}")
    assert (code, err) == (0, "")
    rows = json.loads(out)["results"]
    assert [row["clip"] for row in rows] == [path.name] * 2
    assert rows[0]["pairs"] == rows[1]["pairs"] >= 3
    images[0].save(path)
    code, out, err = run_cli(*line, "--steady", "off", "--frames", "2")
    assert (code, err) == (0, "")
    assert {row["clip"] for row in json.loads(out)["results"]} == {"pan", "zoom", "object"}


def test_bad_input(run_cli, catalog, photo):
    write_clip(Path("a.mp4"), pictures(3))
    write_clip(Path("small.mp4"), pictures(3, 32, 32))
    Image.new("RGB", (8, 8)).save("small.png")
    for options, message in {
        "a.mp4 --frames 1": "--frames must be at least 2, since neighbours are compared, not 1",
        "a.mp4 --steady x": "--steady must be off, light or strong, not 'x'",
        "a.mp4 --painted b.mp4 -s negative": "--painted is painted already: leave --style and "
        "--steady out",
        "a.mp4 --painted none.mp4": "no such file: none.mp4",
        "small.png --painted a.mp4": "--painted goes with a clip, and small.png is a picture",
        "a.mp4 --painted small.mp4": "the painted frames are 32x32, and the clip's 64x48: they "
        "must be of one size",
    }.items():
        assert run_cli("evaluate", "video", *options.split()) == (2, "", f"impasto: {message}\n")
