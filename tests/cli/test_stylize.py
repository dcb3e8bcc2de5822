import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.images.reading import read_image

IMPASTO = [sys.executable, "-m", "impasto"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def leftovers(folder):
    return [path.name for path in Path(folder).rglob(".impasto-*")]


def one_error_line(err):
    return err.count("\n") == 1 and err.startswith("impasto: ")


def test_one_photo_with_the_default_style(run_cli, catalog, photo, rgb):
    code, out, err = run_cli("stylize", "photo.png")
    assert (code, out, err) == (0, "photo.negative.png\n", "")
    np.testing.assert_array_equal(read_image("photo.negative.png").rgb, 255 - rgb)
    assert leftovers(".") == []


def test_style_by_name_by_file_and_model(run_cli, catalog, tiny_model, photo):
    assert run_cli("stylize", photo, "--style", "mirror")[1].endswith("photo.mirror.png\n")
    for flag in ("--style", "--model"):
        assert run_cli("stylize", photo, flag, tiny_model, "-o", f"{flag}.png")[0] == 0
    assert run_cli("stylize", photo, "--model", tiny_model, "--style", "negative")[0] == 0
    code, _, err = run_cli("stylize", photo, "--model", tiny_model, "--style", "mirror")
    assert code == 2
    assert "the model holds no style 'mirror': it holds negative" in err


def test_never_overwrites_without_being_told(run_cli, tiny_model, photo, rgb):
    Path("out.png").write_text("precious")
    code, out, err = run_cli("stylize", photo, "-m", tiny_model, "-o", "out.png")
    assert (code, out) == (2, "")
    assert one_error_line(err)
    assert "--overwrite" in err
    assert Path("out.png").read_text() == "precious"
    assert run_cli("stylize", photo, "-m", tiny_model, "-o", "out.png", "--overwrite")[0] == 0
    np.testing.assert_array_equal(read_image("out.png").rgb, 255 - rgb)
    code, _, err = run_cli("stylize", photo, "-m", tiny_model, "-o", photo, "--overwrite")
    assert code == 2
    np.testing.assert_array_equal(read_image(photo).rgb, rgb)


def test_strength_and_keep_colors(run_cli, tiny_model):
    Image.new("RGB", (8, 8), (150, 100, 50)).save("a.png")
    run = ["stylize", "a.png", "-m", tiny_model, "--overwrite", "-o", "b.png"]
    run_cli(*run, "--strength", "0")
    assert tuple(read_image("b.png").rgb[0, 0]) == (150, 100, 50)
    run_cli(*run, "--strength", "0.2")
    assert tuple(read_image("b.png").rgb[0, 0]) == (141, 111, 81)
    run_cli(*run, "--keep-colors")
    np.testing.assert_allclose(read_image("b.png").rgb[0, 0].astype(int), (186, 136, 86), atol=1)


def test_folder_run_reports_bad_files_at_the_end_and_resumes(run_cli, tiny_model, rgb):
    for name in ("b.png", "深 处/照片 1.png", "z.png"):
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(Path("photos", name))
    Path("photos/a.jpg").write_text("not a picture")
    Path("photos/empty.png").touch()
    run = ["stylize", "photos", "-m", tiny_model, "-o", "out"]
    code, out, err = run_cli(*run)
    assert code == 1
    assert [Path(line) for line in out.splitlines()] == [
        Path("out/b.png"),
        Path("out/z.png"),
        Path("out/深 处/照片 1.png"),
    ]
    lines = err.splitlines()
    assert [line.startswith("impasto: photos") for line in lines] == [True, True, False]
    assert lines[-1] == "3 painted, 2 failed"
    assert leftovers(".") == []

    Path("out/z.png").unlink()
    before = Path("out/b.png").stat().st_mtime_ns
    code, out, err = run_cli(*run)
    assert (code, out.strip()) == (1, str(Path("out/z.png")))
    assert "2 were already there" in err
    assert Path("out/b.png").stat().st_mtime_ns == before


def test_json_lines(run_cli, tiny_model, photo):
    Path("bad.png").write_text("no")
    Path("out").mkdir()
    Path("out/done.png").touch()
    Image.new("RGB", (3, 3)).save("done.png")
    code, out, _ = run_cli(
        "stylize", "photo.png", "bad.png", "done.png", "-m", tiny_model, "-o", "out", "--json"
    )
    good, bad, done = map(json.loads, out.splitlines())
    assert code == 1
    assert list(good) == [
        "input",
        "output",
        "width",
        "height",
        "style",
        "device",
        "elapsed_s",
        "status",
        "error",
    ]
    assert good["elapsed_s"] > 0
    assert (good["input"], Path(good["output"])) == ("photo.png", Path("out/photo.png"))
    assert (good["width"], good["height"], good["status"]) == (40, 31, "done")
    assert (good["style"], good["device"], good["error"]) == ("negative", "cpu", None)
    assert bad["status"] == "failed"
    assert "not a picture" in bad["error"]
    assert done["status"] == "skipped"


def test_quiet_prints_nothing_but_errors(run_cli, tiny_model, photo):
    assert run_cli("stylize", photo, "-m", tiny_model, "-q") == (0, "", "")
    code, out, err = run_cli("stylize", photo, "missing.png", "-m", tiny_model, "-q", "-o", "out")
    assert (code, out, err) == (1, "", "impasto: no such file: missing.png\n")


def test_exif_alpha_and_size_survive(run_cli, tiny_model):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    Image.new("RGB", (37, 21), "red").save("a.jpg", exif=exif)
    run_cli("stylize", "a.jpg", "-m", tiny_model)
    with Image.open("a.negative.jpg") as painted:
        assert painted.size == (21, 37)
        assert dict(painted.getexif())[0x010F] == "Maker"
        assert 0x0112 not in painted.getexif()
    Image.new("RGBA", (3, 2), (200, 100, 0, 77)).save("b.webp", lossless=True)
    run_cli("stylize", "b.webp", "-m", tiny_model)
    assert set(read_image("b.negative.webp").alpha.ravel()) == {77}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_painted(run_cli, tiny_model, mode):
    Image.new(mode, (9, 7)).save("a.tif")
    assert run_cli("stylize", "a.tif", "-m", tiny_model)[0] == 0
    with Image.open("a.negative.tif") as painted:
        assert painted.size == (9, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "no such file: missing.png"),
        (["empty.png"], "empty.png is empty"),
        (["cut.png"], "cut.png is damaged or truncated"),
        (["text.jpg"], "text.jpg is not a picture"),
        (["nothing"], "no pictures in folder nothing"),
        (["长" * 100 + ".jpg"], "File name too long"),
        ([""], "a file name is empty"),
        (["photo.png", "--max-pixels", "100"], "above the limit of 100 pixels"),
        (["photo.png", "--style", "neggative"], "did you mean negative? known are negative"),
        (["photo.png", "--style", ""], "known are negative, mirror"),
        (["photo.png", "--style", "C:\\models\\x.onnx"], "no such model file: C:\\models\\x.onnx"),
        (["photo.png", "--style", "photo.png"], "`impasto train photo.png` makes it a style"),
        (["photo.png", "--model", "my 画.png"], "`impasto train 'my 画.png'` makes it a style"),
        (["photo.png", "--model", "missing.onnx"], "no such model file: missing.onnx"),
        (["photo.png", "--model", "nothing"], "nothing is a folder, not a model file"),
        (["photo.png", "--model", "foreign.onnx"], "not a model made by impasto"),
        (["photo.png", "--model", "newer.onnx"], "made by a newer impasto"),
        (["photo.png", "-o", "result"], "-o result must end in one of"),
        (["photo.png", "--mask", "missing.png"], "no such file: missing.png"),
        (["photo.png", "--mask", "nothing"], "nothing is a folder, not a picture"),
        (["photo.png", "--mask", "square.png"], "their shapes must agree"),
        (["photo.png", "--device", "warp"], "there is no device 'warp' here, there are auto"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    run_cli, catalog, save_model, metadata, photo, arguments, message
):
    Path("empty.png").touch()
    Path("text.jpg").write_text("hello")
    Path("cut.png").write_bytes(photo.read_bytes()[:-60])
    Path("my 画.png").write_bytes(photo.read_bytes())
    Path("nothing").mkdir()
    Image.new("L", (30, 30)).save("square.png")
    save_model("foreign.onnx", meta=False)
    newer = metadata.to_json().replace('"format_version": 3', '"format_version": 9')
    save_model("newer.onnx", meta=newer)
    before = sorted(Path().rglob("*"))
    code, out, err = run_cli("stylize", *arguments)
    assert (code, out) == (2, "")
    assert one_error_line(err)
    assert message in err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "--threads must lie between 1 and 1024, not 0"),
        (["-q", "-v"], "--quiet and --verbose contradict each other"),
        (["-o", "-", "--json"], "--json and the picture cannot both go to stdout"),
        (["-o", "x.png", "--format", "jpeg"], "-o x.png and --format jpeg contradict each other"),
        (["--quality", "80"], "this result is png"),
        (["--format", "tiff", "--quality", "80"], "this result is tiff"),
        (["-o", "x.bmp", "--quality", "80"], "this result is bmp"),
        (["-o", "-", "--quality", "80"], "this result is png"),
        (["-o", "mask.png", "--mask", "mask.png", "--overwrite"], "would be overwritten"),
    ],
)
def test_settings_that_contradict_or_leave_their_range(
    run_cli, tiny_model, photo, arguments, message
):
    Path("mask.png").write_bytes(photo.read_bytes())
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    code, out, err = run_cli("stylize", "photo.png", "-m", tiny_model, *arguments)
    assert (code, out) == (2, "")
    assert one_error_line(err)
    assert message in err
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_mask(run_cli, tiny_model, photo, rgb):
    mask = np.zeros((62, 80), np.uint8)
    mask[:, 40:] = 255
    Image.fromarray(mask).resize((40, 31), Image.Resampling.NEAREST).save("mask.png")
    assert run_cli("stylize", photo, "-m", tiny_model, "--mask", "mask.png", "-o", "a.png")[0] == 0
    painted = read_image("a.png").rgb
    np.testing.assert_array_equal(painted[:, :20], rgb[:, :20])
    np.testing.assert_array_equal(painted[:, 20:], 255 - rgb[:, 20:])


def test_a_mask_that_fits_some_photos_stops_only_the_others(run_cli, tiny_model, photo):
    Image.new("L", (80, 62), "white").save("mask.png")
    Image.new("RGB", (40, 20)).save("wide.png")
    code, out, err = run_cli(
        "stylize", "wide.png", "photo.png", "-m", tiny_model, "--mask", "mask.png"
    )
    assert (code, out) == (1, "photo.negative.png\n")
    assert err.startswith("impasto: wide.png: the mask is 80x62 and the photo 40x20")


def test_max_size_makes_results_smaller_and_never_larger(run_cli, tiny_model):
    Image.new("RGB", (200, 100), (10, 20, 30)).save("a.png")
    Image.new("RGB", (30, 20), (10, 20, 30)).save("b.png")
    code, out, _ = run_cli(
        "stylize", "a.png", "b.png", "-m", tiny_model, "--max-size", "50", "--json"
    )
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["width"], row["height"]) for row in rows] == [(50, 25), (30, 20)]
    painted = read_image("a.negative.png").rgb
    np.testing.assert_array_equal(painted, np.full((25, 50, 3), (245, 235, 225)))


@pytest.mark.parametrize(
    ("name", "suffix", "written"),
    [
        ("jpeg", ".jpg", "JPEG"),
        ("JPG", ".jpg", "JPEG"),
        ("png", ".png", "PNG"),
        ("webp", ".webp", "WEBP"),
        ("tiff", ".tif", "TIFF"),
        ("avif", ".avif", "AVIF"),
        ("bmp", ".bmp", "BMP"),
    ],
)
def test_every_format(run_cli, tiny_model, name, suffix, written):
    Image.new("RGB", (8, 8)).save("a.gif")
    code, out, _ = run_cli("stylize", "a.gif", "-m", tiny_model, "--format", name)
    assert (code, out) == (0, f"a.negative{suffix}\n")
    with Image.open(f"a.negative{suffix}") as painted:
        assert painted.format == written


def test_quality(run_cli, tiny_model):
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    sizes = []
    for quality in ("10", "60", "100"):
        run_cli(
            "stylize",
            "noise.png",
            "-m",
            tiny_model,
            "-o",
            "x.jpg",
            "--overwrite",
            "--quality",
            quality,
        )
        sizes.append(Path("x.jpg").stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]
    # In a run of several formats, quality is for those that have one.
    Image.new("RGB", (8, 8)).save("a.jpg")
    assert run_cli("stylize", "a.jpg", "noise.png", "-m", tiny_model, "--quality", "60")[0] == 0


def test_animated_input_gives_its_first_frame_and_a_note(run_cli, tiny_model):
    frames = [Image.new("RGB", (8, 8), (level,) * 3) for level in (200, 100, 50)]
    frames[0].save("a b.gif", save_all=True, append_images=frames[1:])
    code, out, err = run_cli("stylize", "a b.gif", "-m", tiny_model)
    assert (code, out) == (0, "a b.negative.png\n")
    assert err == "a b.gif is animated (3 frames): the first one was painted\n"
    assert set(read_image("a b.negative.png").rgb.ravel()) == {55}
    assert run_cli("stylize", "a b.gif", "-m", tiny_model, "-q", "-o", "x.png")[2] == ""
    frames[0].save("a.tif", save_all=True, append_images=frames[1:])
    assert run_cli("stylize", "a.tif", "-m", tiny_model)[2] == (
        "a.tif has 3 pages: the first one was painted\n"
    )


def test_verbose_says_where_time_goes(run_cli, tiny_model, photo):
    code, out, err = run_cli("stylize", "photo.png", "-m", tiny_model, "-v", "--device", "cpu")
    assert (code, out) == (0, "photo.negative.png\n")
    first, second = err.splitlines()
    assert first == "style negative on cpu"
    assert second.startswith("photo.png: 40x31 PNG, read in 0.")
    assert second.endswith(" s")


def test_stdin_and_stdout(tiny_model, photo, rgb):
    def run(*arguments):
        return subprocess.run(
            [*IMPASTO, "stylize", *arguments, "-m", tiny_model],
            input=photo.read_bytes(),
            capture_output=True,
            check=False,
        )

    through = run("-")
    assert (through.returncode, through.stderr) == (0, b"")
    with Image.open(io.BytesIO(through.stdout)) as painted:
        assert painted.format == "PNG"
        np.testing.assert_array_equal(np.asarray(painted), 255 - rgb)
    written = run("-", "-o", "out.png", "--json")
    row = json.loads(written.stdout)
    assert (row["input"], row["output"], row["status"]) == ("-", "out.png", "done")
    np.testing.assert_array_equal(read_image("out.png").rgb, 255 - rgb)
    named = run("photo.png", "-o", "-", "--format", "jpeg", "--quality", "50", "-v")
    assert Image.open(io.BytesIO(named.stdout)).format == "JPEG"
    assert named.stderr.decode().splitlines()[0] == "style negative on cpu"


@pytest.fixture
def piped(monkeypatch):
    """Gives the command these bytes on stdin."""

    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def test_bad_stdin(run_cli, tiny_model, piped, monkeypatch, photo):
    run = ["stylize", "-", "-m", tiny_model]
    for data, message in [
        (b"", "stdin is empty"),
        (b"no picture", "stdin is not a picture"),
        (photo.read_bytes()[:-60], "stdin is damaged or truncated"),
    ]:
        piped(data)
        code, out, err = run_cli(*run)
        assert (code, out) == (2, "")
        assert one_error_line(err)
        assert message in err
    monkeypatch.setattr("impasto.cli.running.MAX_STDIN_BYTES", 10)
    piped(photo.read_bytes())
    assert "stdin holds more than" in run_cli(*run)[2]
    monkeypatch.setattr(sys, "stdin", None)
    code, out, err = run_cli(*run)
    assert (code, out) == (2, "")
    assert "`impasto stylize - < photo.jpg`" in err


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_pictures_neither_come_from_nor_go_to_a_terminal(tiny_model, photo):
    import pty

    main, terminal = pty.openpty()
    for arguments, message in [
        (["-", "-o", "x.png"], "`impasto stylize - < photo.jpg`"),
        (["photo.png", "-o", "-"], "give -o FILE, or redirect it"),
    ]:
        result = subprocess.run(
            [*IMPASTO, "stylize", *arguments, "-m", tiny_model],
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert result.returncode == 2
        assert one_error_line(result.stderr)
        assert message in result.stderr
    os.close(terminal)
    os.close(main)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", ["1", "2"])
def test_closed_streams_stop_nothing(tiny_model, photo, rgb, closed):
    Path("b.png").write_bytes(photo.read_bytes())
    line = [*IMPASTO, "stylize", "photo.png", "b.png", "-m", str(tiny_model), "-o", "out/"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *line],
        check=True,
        capture_output=True,
        text=True,
    )
    paths = "out/photo.png\nout/b.png\n"
    said = {"1": ("", "2 painted\n"), "2": (paths, "")}
    assert (done.stdout, done.stderr) == said[closed]
    np.testing.assert_array_equal(read_image("out/b.png").rgb, 255 - rgb)


def test_a_stdout_that_is_full(tiny_model, photo):
    for arguments in (["stylize", "photo.png", "-m", tiny_model, "-o", "-"], ["styles"]):
        with Path("/dev/full").open("w") as full:
            result = subprocess.run(
                [*IMPASTO, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert result.returncode == 1
        assert one_error_line(result.stderr)
        assert "cannot write to stdout: No space left on device" in result.stderr


def test_what_pillow_logs_does_not_reach_the_terminal(tiny_model):
    Image.new("RGB", (8, 8)).save("a.tif")
    data = Path("a.tif").read_bytes()
    samples = b"\x15\x01\x03\x00\x01\x00\x00\x00"  # tag 277, one short
    assert samples + b"\x03" in data
    Path("a.tif").write_bytes(data.replace(samples + b"\x03", samples + b"\x40"))
    result = subprocess.run(
        [*IMPASTO, "stylize", "a.tif", "-m", tiny_model],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert one_error_line(result.stderr)


def test_unwritable_output_is_exit_1_before_any_work(run_cli, tiny_model, photo, monkeypatch):
    Path("file").touch()
    monkeypatch.setattr("impasto.runtime.stylizer.StyleModel.paint_with", None)
    run = ["stylize", photo, "-m", tiny_model, "-o"]
    code, out, err = run_cli(*run, "file/x.png")
    assert (code, out) == (1, "")
    assert one_error_line(err)
    assert f"cannot write {Path('file/x.png')}: file is not a folder" in err
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != "locked")
    Path("locked").mkdir()
    code, out, err = run_cli(*run, "locked/new/x.png")
    assert (code, out) == (1, "")
    assert one_error_line(err)
    assert "no permission to write in locked" in err
    assert list(Path("locked").iterdir()) == []


def test_a_result_whose_name_is_too_long(run_cli, tiny_model, photo):
    name = "长" * 82 + ".png"  # 250 bytes; with the style's name more than a disk takes
    photo.rename(name)
    code, out, err = run_cli("stylize", name, "-m", tiny_model)
    assert (code, out) == (1, "")
    assert one_error_line(err)
    assert "File name too long" in err
    assert leftovers(".") == []


def test_control_characters_in_names_do_not_reach_the_terminal(run_cli, tiny_model):
    code, _, err = run_cli("stylize", "\x1b[31m\nname.png", "-m", tiny_model)
    assert code == 2
    assert one_error_line(err)
    assert "\x1b" not in err


@pytest.mark.skipif(os.name == "nt", reason="file size limits are a POSIX thing")
def test_full_disk_half_way(tiny_model):
    import resource

    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    result = subprocess.run(
        [*IMPASTO, "stylize", "noise.png", "-m", tiny_model, "-o", "out/x.png"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert one_error_line(result.stderr)
    assert "cannot write" in result.stderr
    assert list(Path("out").iterdir()) == []


def test_a_full_disk_ends_a_run(run_cli, tiny_model, rgb, monkeypatch):
    Path("photos").mkdir()
    for number in range(4):
        Image.fromarray(rgb).save(f"photos/{number}.png")
    write_bytes = Path.write_bytes
    written = []

    def write(path, data):
        written.append(path)
        if len(written) < 2:
            return write_bytes(path, data)
        write_bytes(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    code, out, err = run_cli("stylize", "photos", "-m", tiny_model, "-o", "out")
    assert (code, Path(out.strip())) == (1, Path("out/0.png"))
    lines = err.splitlines()
    assert "no space left on the disk" in lines[0]
    assert lines[0].startswith("impasto: photos")
    assert lines[1:] == [
        "impasto: stopped, since the disk is full: 2 more were not begun",
        "1 painted, 1 failed",
    ]
    assert len(written) == 2
    assert [path.name for path in Path("out").iterdir()] == ["0.png"]


def test_too_little_memory_is_one_line(run_cli, tiny_model, photo, monkeypatch):
    def paint(*args, **settings):
        raise MemoryError

    monkeypatch.setattr("impasto.runtime.stylizer.StyleModel.paint_with", paint)
    code, out, err = run_cli("stylize", "photo.png", "-m", tiny_model)
    assert (code, out, err) == (2, "", "impasto: photo.png does not fit into memory\n")


def test_torch_is_never_imported(tiny_model, photo):
    code = (
        "import sys\n"
        "from impasto.cli.app import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    print('code', end.code)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    arguments = ["stylize", str(photo), "-m", str(tiny_model)]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    _, status, modules = result.stdout.splitlines()
    assert status == "code 0"
    loaded = set(modules.split())
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "onnx", "rich", "lightning_fabric", "safetensors", "matplotlib"}


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_interrupt_exits_130_and_leaves_nothing_half_written(tiny_model, rgb):
    Path("photos").mkdir()
    for number in range(300):
        Image.fromarray(rgb).resize((700, 500)).save(f"photos/{number}.png")
    process = subprocess.Popen(
        [*IMPASTO, "stylize", "photos", "-m", tiny_model, "-o", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 30
    while not list(Path().glob("out/*.png")) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "impasto: interrupted\n"
    assert leftovers(".") == []
    for path in Path("out").glob("*.png"):
        assert read_image(path).rgb.shape == (500, 700, 3)


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_progress_bar_stays_on_stderr(tiny_model, rgb):
    import pty

    Path("photos").mkdir()
    for number in range(5):
        Image.fromarray(rgb).save(f"photos/{number}.png")
    main, terminal = pty.openpty()
    result = subprocess.run(
        [*IMPASTO, "stylize", "photos", "-m", tiny_model, "-o", "out"],
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        check=True,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(terminal)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert [Path(line).name for line in result.stdout.splitlines()] == [
        f"{n}.png" for n in range(5)
    ]
    assert "painting" in shown
    assert "5 painted" in shown


@pytest.mark.skipif(os.name == "nt", reason="pipes close differently")
def test_a_closed_pipe_is_quiet(tiny_model, rgb):
    Path("photos").mkdir()
    for number in range(20):
        Image.fromarray(rgb).save(f"photos/{number}.png")
    process = subprocess.Popen(
        [*IMPASTO, "stylize", "photos", "-m", tiny_model, "-o", "out", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=30) == 1


def test_libraries_add_no_lines_of_their_own_to_an_error(rgb, catalog, tmp_path, run_cli):
    path = tmp_path / "cut.tif"
    Image.fromarray(rgb).save(path, compression="tiff_deflate")
    data = bytearray(path.read_bytes())
    data[20:60] = bytes(40)
    path.write_bytes(data)
    code, _, err = run_cli("stylize", path)
    assert code == 2
    assert len(err.splitlines()) == 1, err
    assert err.startswith(f"impasto: {path} is damaged")


def test_memory_reaches_the_painter(run_cli, photo, monkeypatch):
    from impasto.runtime.stylizer import StyleModel

    seen = []
    paint = StyleModel.paint_with
    monkeypatch.setattr(StyleModel, "paint_with", lambda *a: seen.append(a[2].memory) or paint(*a))
    assert run_cli("stylize", photo, "--memory", "1.5GiB")[0] == 0
    assert run_cli("stylize", photo, "--memory", "512 mib", "--overwrite")[0] == 0
    assert run_cli("stylize", photo, "--overwrite")[0] == 0
    assert seen == [3 * 2**29, 2**29, None]
