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
    assert "does not hold the style 'mirror', it holds negative" in err


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
        (["photo.png", "--max-pixels", "100"], "above the limit of 100 pixels"),
        (["photo.png", "--strength", "1.5"], "--strength must lie between 0 and 1"),
        (["photo.png", "--strength", "nan"], "--strength must lie between 0 and 1"),
        (["photo.png", "--threads", "0"], "--threads must lie between 1 and 1024"),
        (["photo.png", "--max-pixels", "0"], "--max-pixels must be at least 1"),
        (["photo.png", "--style", "neggative"], "did you mean negative? known are negative"),
        (["photo.png", "--style", "photo.png"], "`impasto train photo.png` makes it a style"),
        (["photo.png", "--model", "photo.png"], "`impasto train photo.png` makes it a style"),
        (["photo.png", "--model", "missing.onnx"], "no such model file: missing.onnx"),
        (["photo.png", "--model", "foreign.onnx"], "not a model made by impasto"),
        (["photo.png", "--model", "newer.onnx"], "made by a newer impasto"),
        (["photo.png", "-o", "result"], "-o result must end in one of"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    run_cli, catalog, save_model, metadata, photo, arguments, message
):
    Path("empty.png").touch()
    Path("text.jpg").write_text("hello")
    Path("cut.png").write_bytes(photo.read_bytes()[:-60])
    Path("nothing").mkdir()
    save_model("foreign.onnx", meta=False)
    newer = metadata.to_json().replace('"format_version": 1', '"format_version": 9')
    save_model("newer.onnx", meta=newer)
    before = sorted(Path().rglob("*"))
    code, out, err = run_cli("stylize", *arguments)
    assert (code, out) == (2, "")
    assert one_error_line(err)
    assert message in err
    assert sorted(Path().rglob("*")) == before


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


def test_unwritable_output_is_exit_1(run_cli, tiny_model, photo):
    Path("file").touch()
    code, out, err = run_cli("stylize", photo, "-m", tiny_model, "-o", "file/x.png")
    assert (code, out) == (1, "")
    assert one_error_line(err)
    assert "cannot write" in err


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
