import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, rgb_profile
from PIL import Image

from impasto.images.reading import read_image

IMPASTO = [sys.executable, "-m", "impasto"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def repeated(array, scale):
    return array.repeat(scale, axis=0).repeat(scale, axis=1)


def one_error_line(err):
    return err.count("\n") == 1 and err.startswith("impasto: ")


def test_one_photo_twice_as_large_beside_it(run_cli, upscalers, photo, rgb):
    assert run_cli("upscale", "photo.png") == (0, "photo.x2.png\n", "")
    np.testing.assert_array_equal(read_image("photo.x2.png").rgb, repeated(rgb, 2))
    assert not list(Path().rglob(".impasto-*"))


@pytest.mark.parametrize(("scale", "model"), [(2, "photo"), (4, "sharp"), (8, "sharp")])
def test_scales_and_models_by_name(run_cli, upscalers, photo, rgb, scale, model):
    code, out, err = run_cli("upscale", photo, "--scale", scale, "--model", model)
    assert (code, Path(out.strip()).name, err) == (0, f"photo.x{scale}.png", "")
    np.testing.assert_array_equal(read_image(f"photo.x{scale}.png").rgb, repeated(rgb, scale))


def test_a_model_file_and_tiles(run_cli, save_upscaler, photo):
    path = save_upscaler("conv.onnx", see_px=2)
    run = ["upscale", photo, "--model", path, "--scale", "4", "-o"]
    assert run_cli(*run, "whole.png")[0] == 0
    assert run_cli(*run, "tiles.png", "--tile", "7")[0] == 0
    whole, tiles = (read_image(name).rgb.astype(int) for name in ("whole.png", "tiles.png"))
    assert np.abs(whole - tiles).max() <= 1
    assert (whole != tiles).mean() < 1e-3
    code, _, err = run_cli(*run, "mere_halo.png", "--tile", "1")
    assert (code, err.count("\n")) == (2, 1)
    assert "the side of a tile must be at least 2 px with conv.onnx, not 1: make it larger" in err
    assert run_cli(*run, "matched.png", "--match-histogram")[0] == 0
    means = [read_image(name).rgb.mean() for name in (photo, "whole.png", "matched.png")]
    assert abs(means[2] - means[0]) < 3 < abs(means[1] - means[0])


def test_folders_go_on_where_they_stopped(run_cli, upscalers, rgb):
    for name in ("b.png", "深 处/照片 1.png", "z.png"):
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(Path("photos", name))
    Path("photos/a.jpg").write_text("not a picture")
    code, out, err = run_cli("upscale", "photos")
    assert code == 1
    assert [Path(line) for line in out.splitlines()] == [
        Path("photos.x2/b.png"),
        Path("photos.x2/z.png"),
        Path("photos.x2/深 处/照片 1.png"),
    ]
    lines = err.splitlines()
    assert lines[0].startswith("impasto: photos")
    assert lines[1:] == ["3 upscaled, 1 failed"]
    Path("photos.x2/z.png").unlink()
    code, out, err = run_cli("upscale", "photos")
    assert (code, Path(out.strip())) == (1, Path("photos.x2/z.png"))
    assert err.splitlines()[-1] == (
        "1 upscaled, 2 were already there (--overwrite upscales them again), 1 failed"
    )


def test_json_lines(run_cli, upscalers, photo):
    Path("bad.png").write_text("no")
    Path("out").mkdir()
    Path("out/done.png").touch()
    Image.new("RGB", (3, 3)).save("done.png")
    code, out, _ = run_cli("upscale", "photo.png", "bad.png", "done.png", "-o", "out", "--json")
    good, bad, done = map(json.loads, out.splitlines())
    assert code == 1
    keys = "input output width height model scale device elapsed_s status error"
    assert [" ".join(row) for row in (good, bad, done)] == [keys] * 3
    assert good.pop("elapsed_s") > 0
    assert good == {
        "input": "photo.png",
        "output": str(Path("out/photo.png")),
        "width": 80,
        "height": 62,
        "model": "photo",
        "scale": 2,
        "device": "cpu",
        "status": "done",
        "error": None,
    }
    assert (bad["status"], bad["width"], done["status"]) == ("failed", None, "skipped")
    assert "not a picture" in bad["error"]


def test_quiet_and_verbose(run_cli, upscalers, photo):
    assert run_cli("upscale", "photo.png", "-q", "-o", "a.png") == (0, "", "")
    code, out, err = run_cli("upscale", "photo.png", "-v", "--device", "cpu")
    assert (code, out) == (0, "photo.x2.png\n")
    first, second = err.splitlines()
    assert first == "model photo on cpu"
    assert second.startswith("photo.png: 40x31 PNG, read in 0.")
    assert "upscaled in 0." in second


def test_exif_orientation_profile_and_alpha(run_cli, upscalers):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769)[0xA002] = 37
    profile = rgb_profile(DISPLAY_P3)
    Image.new("RGB", (37, 21), "red").save("a.jpg", exif=exif, icc_profile=profile)
    assert run_cli("upscale", "a.jpg")[0] == 0
    with Image.open("a.x2.jpg") as large:
        assert (large.size, large.info["icc_profile"]) == ((42, 74), profile)
        stated = large.getexif()
        assert (stated[0x010F], 0x0112 in stated) == ("Maker", False)
        assert stated.get_ifd(0x8769)[0xA002] == 42
    alpha = Image.new("L", (12, 9), 255)
    alpha.paste(0, (0, 0, 6, 9))
    image = Image.new("RGB", (12, 9), (200, 100, 0))
    image.putalpha(alpha)
    image.save("b.webp", lossless=True)
    assert run_cli("upscale", "b.webp", "--scale", "4")[0] == 0
    large = read_image("b.x4.webp")
    expected = alpha.resize((48, 36), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(large.alpha, np.asarray(expected))
    assert run_cli("upscale", "b.webp", "--format", "jpeg")[1] == "b.x2.jpg\n"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode(run_cli, upscalers, mode):
    Image.new(mode, (9, 7)).save("a.tif")
    assert run_cli("upscale", "a.tif")[0] == 0
    with Image.open("a.x2.tif") as large:
        assert large.size == (18, 14)


def test_animated_input_gives_its_first_frame_and_a_note(run_cli, upscalers):
    frames = [Image.new("RGB", (8, 8), (level,) * 3) for level in (200, 100)]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    code, out, err = run_cli("upscale", "a.gif")
    assert (code, out) == (0, "a.x2.png\n")
    assert err == "a.gif is animated (2 frames): the first one was upscaled\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "no such file: missing.png"),
        (["empty.png"], "empty.png is empty"),
        (["text.jpg"], "text.jpg is not a picture"),
        (["nothing"], "no pictures in folder nothing"),
        (
            ["photo.png", "--scale", "8", "--model", "photo"],
            "no upscaling model 'photo' for scale 8 is there: for t",
        ),
        (["photo.png", "-m", "phto"], "did you mean photo? for that scale there are photo, sharp;"),
        (["photo.png", "-m", ""], "no upscaling model '' for scale 2 is there"),
        (["photo.png", "-m", "missing.onnx"], "no such model file: missing.onnx"),
        (["photo.png", "-m", "photo.png"], "photo.png: that is a picture, not a model: give a mod"),
        (["photo.png", "-m", "text.jpg"], "text.jpg: not an ONNX model, or a damaged one"),
        (["photo.png", "-m", "style.onnx"], "style.onnx: the model is of kind style, not upscale:"),
        (
            ["photo.png", "-m", "x8.onnx"],
            "scale and model disagree: x8.onnx enlarges by 8, not by 2: choose another",
        ),
        (["photo.png", "-m", "whole.onnx", "--tile", "9"], "photo.png: whole.onnx needs the whole"),
        (["photo.png", "--max-pixels", "100"], "photo.png is 40x31, above the limit of 100 pixels"),
        (
            ["photo.png", "--max-pixels", "4000"],
            "photo.png: the result would be 80x62, above the limit of 4,000 pixels (--max-pixels",
        ),
        (["photo.png", "--threads", "0"], "--threads must lie between 1 and 1024, not 0"),
        (["photo.png", "--device", "warp"], "there is no device 'warp' here"),
        (["photo.png", "--quality", "80"], "this result is png"),
        (["photo.png", "-q", "-v"], "--quiet and --verbose contradict each other"),
        (["photo.png", "-o", "-", "--json"], "--json and the picture cannot both go to stdout"),
        (["photo.png", "-o", "photo.png", "--overwrite"], "is an input and would be overwritten"),
        (["photo.png", "-o", "text.jpg"], "text.jpg is already there: --overwrite replaces it"),
        (["photo.png", "-o", "result"], "-o result must end in one of"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    run_cli, upscalers, save_model, save_upscaler, metadata, photo, arguments, message
):
    Path("empty.png").touch()
    Path("text.jpg").write_text("hello")
    Path("nothing").mkdir()
    save_model("style.onnx")
    save_upscaler("x8.onnx", scale=8)
    save_upscaler("whole.onnx", tiling=metadata.tiling)
    before = sorted(Path().rglob("*"))
    code, out, err = run_cli("upscale", *arguments)
    assert (code, out) == (2, "")
    assert one_error_line(err)
    assert message in err
    assert sorted(Path().rglob("*")) == before


def test_a_result_that_its_format_cannot_hold_is_refused_before_the_work(
    run_cli, upscalers, monkeypatch
):
    monkeypatch.setattr("impasto.runtime.upscaler.UpscaleModel.upscale", None)
    Image.new("RGB", (9000, 1)).save("wide.webp")
    code, out, err = run_cli("upscale", "wide.webp")
    assert (code, out) == (1, "")
    assert err == (
        "impasto: wide.webp: WEBP cannot hold a picture of 18000x2, only sides of up to 16383 px: "
        "choose another format, such as PNG\n"
    )


def test_without_shipped_models(run_cli, catalog, photo):
    code, out, err = run_cli("upscale", "photo.png")
    assert (code, out) == (2, "")
    assert err == "impasto: no upscaling model for scale 2 is shipped: give a model file\n"


def test_too_little_memory_is_one_line(run_cli, upscalers, photo, monkeypatch):
    def upscale(*args, **settings):
        raise MemoryError

    monkeypatch.setattr("impasto.runtime.upscaler.UpscaleModel.upscale", upscale)
    code, out, err = run_cli("upscale", "photo.png")
    assert (code, out, err) == (2, "", "impasto: photo.png does not fit into memory\n")


def test_stdin_and_stdout(tiny_upscaler, photo, rgb):
    def run(*arguments):
        return subprocess.run(
            [*IMPASTO, "upscale", *arguments, "-m", tiny_upscaler],
            input=photo.read_bytes(),
            capture_output=True,
            check=False,
        )

    through = run("-")
    assert (through.returncode, through.stderr) == (0, b"")
    with Image.open(io.BytesIO(through.stdout)) as large:
        assert large.format == "PNG"
        np.testing.assert_array_equal(np.asarray(large), repeated(rgb, 2))
    row = json.loads(run("-", "-o", "out.png", "--json").stdout)
    assert (row["input"], row["output"], row["status"]) == ("-", "out.png", "done")
    assert row["model"] == str(tiny_upscaler)


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_no_picture_comes_from_a_terminal(tiny_upscaler):
    import pty

    main, terminal = pty.openpty()
    result = subprocess.run(
        [*IMPASTO, "upscale", "-", "-o", "x.png", "-m", tiny_upscaler],
        stdin=terminal,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(terminal)
    os.close(main)
    assert result.returncode == 2
    assert one_error_line(result.stderr)
    assert "`impasto upscale - < photo.jpg`" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_progress_bar_says_what_is_done(tiny_upscaler, rgb):
    import pty

    Path("photos").mkdir()
    for number in range(3):
        Image.fromarray(rgb).save(f"photos/{number}.png")
    main, terminal = pty.openpty()
    subprocess.run(
        [*IMPASTO, "upscale", "photos", "-m", tiny_upscaler],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        check=True,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # at the end, on Linux
        while part := os.read(main, 100_000):
            shown += part
    os.close(main)
    shown = shown.decode()
    assert "upscaling" in shown
    assert "3 upscaled" in shown
    assert "painting" not in shown


def test_torch_is_never_imported(tiny_upscaler, photo):
    code = (
        "import sys\n"
        "from impasto.cli.app import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    print('code', end.code)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    arguments = ["upscale", str(photo), "-m", str(tiny_upscaler), "--match-histogram"]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    _, status, modules = result.stdout.splitlines()
    assert status == "code 0"
    loaded = set(modules.split())
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "onnx", "rich", "lightning_fabric", "safetensors", "matplotlib"}
