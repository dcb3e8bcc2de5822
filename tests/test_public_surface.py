"""What scripts and people rely on and the pages in docs/ do not hold.

docs/cli.md and docs/api.md, which may not be stale, hold names, signatures and help texts. This
is the rest: errors, exit codes, messages and keys of JSON. A change here is a change for users:
CHANGELOG.md tells them.
"""

import inspect
import json
import re
import shlex
import struct
import zlib

import pytest
from PIL import Image

from impasto import errors
from impasto.images.opening import READABLE

ERRORS = {
    "ImpastoError": ("Exception", 2),
    "UsageError": ("ImpastoError", 2),
    "ImageError": ("ImpastoError", 2),
    "ImageReadError": ("ImageError", 2),
    "ImageTooLargeError": ("ImageError", 2),
    "VideoError": ("ImpastoError", 2),
    "OutputError": ("ImpastoError", 1),
    "TemporarySpaceError": ("OutputError", 1),
    "ModelError": ("ImpastoError", 2),
    "UnknownStyleError": ("ModelError", 2),
    "NewerFormatError": ("ModelError", 2),
    "DataError": ("ImpastoError", 2),
    "TrainingError": ("ImpastoError", 1),
    "ResumeError": ("TrainingError", 2),
    "DivergedError": ("TrainingError", 1),
    "ExportError": ("ImpastoError", 1),
    "ClusterError": ("ImpastoError", 1),
    "MissingExtraError": ("ImpastoError", 2),
}

# What stands after "impasto: ", and the exit code. "..." is another package's text.
MESSAGES = {
    "stylize missing.jpg": (2, "no such file: missing.jpg"),
    "stylize empty.jpg": (2, "empty.jpg is empty"),
    "stylize text.jpg": (
        2,
        "text.jpg is not a picture, or a damaged one (readable: JPEG, PNG, WebP, TIFF, AVIF, "
        "HEIC, BMP, GIF, JPEG 2000, PPM)",
    ),
    "stylize cut.png": (2, "cut.png is damaged or truncated: ..."),
    "stylize huge.png": (
        2,
        "huge.png is 60000x60000, above the limit of 200,000,000 pixels (--max-pixels or "
        "max_pixels raises it)",
    ),
    "stylize nothing": (2, f"no pictures in folder nothing (readable: {READABLE})"),
    "stylize": (2, "INPUT is missing: `impasto stylize --help` says what it takes"),
    "stylise photo.png": (2, "there is no command 'stylise' of impasto: did you mean 'stylize'?"),
    "photo.png": (2, "'photo.png' is not a command: did you mean `impasto stylize photo.png`?"),
    "stylize photo.png --strenght 1": (
        2,
        "there is no option '--strenght': did you mean '--strength'? "
        "`impasto stylize --help` lists them",
    ),
    "stylize photo.png -s monet": (
        2,
        "there is no style 'monet': known are great_wave, composition_1913, ...",
    ),
    "stylize photo.png -s photo.png": (
        2,
        "photo.png: that is a picture, not a model: `impasto train photo.png` makes it a style",
    ),
    "stylize photo.png -m text.jpg": (2, "text.jpg: not an ONNX model, or a damaged one"),
    "stylize photo.png -m none.onnx": (2, "no such model file: none.onnx"),
    "stylize photo.png -o photo.png --overwrite": (
        2,
        "photo.png is an input and would be overwritten: choose another -o",
    ),
    "stylize photo.png -o text.jpg": (2, "text.jpg is already there: --overwrite replaces it"),
    "stylize photo.png -o text.jpg/x.jpg": (
        1,
        "photo.png: cannot write text.jpg/x.jpg: text.jpg is not a folder",
    ),
    "stylize photo.png -o x.xyz": (
        2,
        "-o x.xyz must end in one of .jpg .jpeg .png .webp .tif .tiff .avif .bmp, "
        "or in / for a folder",
    ),
    "stylize photo.png -o x.png --format jpeg": (
        2,
        "-o x.png and --format jpeg contradict each other: leave --format out, "
        "or change the ending",
    ),
    "stylize photo.png -o x.png --quality 80": (
        2,
        "--quality is for jpeg, webp and avif, and this result is png: leave it out, "
        "or choose another --format",
    ),
    "stylize photo.png -q -v": (
        2,
        "--quiet and --verbose contradict each other: give one of them",
    ),
    "stylize photo.png --json -o -": (
        2,
        "--json and the picture cannot both go to stdout: give -o FILE",
    ),
    "stylize photo.png --strength 2": (2, "--strength must lie between 0 and 1.5, not 2.0"),
    "stylize photo.png --max-size 0": (2, "--max-size must be at least 1, not 0"),
    "stylize photo.png --mask flat.png": (
        2,
        "photo.png: the mask is 48x10 and the photo 48x40: their shapes must agree within 2 %; "
        "crop the mask as the photo",
    ),
    "stylize photo.png --device abacus": (2, "there is no device 'abacus' here, ..."),
    "upscale missing.jpg -m x4.onnx": (2, "no such file: missing.jpg"),
    "upscale photo.png --scale 3": (2, "--scale must be 2, 4 or 8, not 3"),
    "upscale photo.png --scale 8 -m x4.onnx": (
        2,
        "scale and model disagree: x4.onnx enlarges by 2 or 4, not by 8: choose another of the two",
    ),
    "upscale photo.png -m none.onnx": (2, "no such model file: none.onnx"),
    "upscale photo.png -m photo.png": (
        2,
        "photo.png: that is a picture, not a model: give a model file, or a name such as photo",
    ),
    "upscale photo.png -m monet": (
        2,
        "no upscaling model 'monet' for scale 2 is there: ...; or give a model file",
    ),
    "upscale photo.png -m x4.onnx --tile 0": (2, "--tile must be at least 1, not 0"),
    "upscale photo.png -m x4.onnx --max-pixels 7000": (
        2,
        "photo.png: the result would be 96x80, above the limit of 7,000 pixels (--max-pixels or "
        "max_pixels raises it)",
    ),
    "stylize photo.png -m x4.onnx": (2, "x4.onnx: the model is of kind upscale, not style"),
    "styles --sheet missing.jpg": (2, "no such file: missing.jpg"),
    "styles --sheet nothing": (2, "--sheet takes one photo, and nothing is a folder"),
    "styles --sheet photo.png -o text.jpg": (
        2,
        "text.jpg is already there: --overwrite replaces it",
    ),
    "styles --sheet photo.png -o photo.png --overwrite": (
        2,
        "photo.png is an input and would be overwritten: choose another -o",
    ),
    "styles --sheet photo.png -o -": (
        2,
        "--sheet takes a photo's file and -o a file or a folder, not -",
    ),
    "styles --sheet photo.png -o x.xyz": (
        2,
        "-o x.xyz must end in one of .jpg .jpeg .png .webp .tif .tiff .avif .bmp, "
        "or in / for a folder",
    ),
    "styles --sheet photo.png --json": (
        2,
        "--sheet and --json contradict each other: give one of them",
    ),
    "styles -o x.png": (2, "-o is for a sheet: give --sheet PHOTO with it"),
    "styles --sheet photo.png add text.jpg": (
        2,
        "--sheet is for the list of styles, not for `styles add`: `impasto styles add --help` "
        "says what that takes",
    ),
    "styles add text.jpg": (2, "text.jpg: not an ONNX model, or a damaged one"),
    "styles remove monet": (2, "there is no own style 'monet': you have none of your own"),
    "styles remove great_wave": (2, "the style 'great_wave' is shipped with impasto and stays"),
    "train missing.jpg": (2, "no such file: missing.jpg"),
    "train photo.png nothing": (
        2,
        "no photos in nothing; .jpg, .jpeg, .png, .webp files are read",
    ),
    "train photo.png --steps 3 --max-time 20m": (
        2,
        "--steps and --max-time are both given; a run has one length",
    ),
    "train photo.png --max-time soon": (
        2,
        "--max-time is 'soon'; give a time such as 90s, 20m or 2h",
    ),
    "train photo.png --crop-px 1": (2, "--crop-px is 1; allowed is 32 to 8192"),
    "train photo.png --resume": (
        2,
        "runs/photo holds no checkpoint: `impasto train` without --resume starts a run",
    ),
    "export nothing -o x.pth": (2, "-o is x.pth; a model file ends in .onnx"),
}

# Of a --json line, in this order; METADATA is the JSON inside a model file.
KEYS = {
    "stylize": "input output width height style device elapsed_s status error",
    "upscale": "input output width height model scale device elapsed_s status error",
    "styles": "name title artist year source licence path origin recipe scores",
    "info": "impasto python onnxruntime pillow numpy platform extras devices providers device "
    "cores data_folder models warnings",
}
METADATA = (
    "format_version kind scale styles min_size_px value_range tiling working_px halo_px "
    "strength network weights_sha256 recipe licence scores"
)


@pytest.fixture
def workplace(tmp_path, monkeypatch, save_upscaler):
    """A folder of usable and unusable files, and a data folder without own styles."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    Image.linear_gradient("L").resize((48, 40)).convert("RGB").save("photo.png")
    Image.new("L", (48, 10)).save("flat.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "huge.png").write_bytes(png_header(60_000, 60_000))
    (tmp_path / "nothing").mkdir()
    save_upscaler("x4.onnx")
    return tmp_path


def png_header(width, height):
    """A PNG that states a size and has next to no pixels."""

    def chunk(name, data):
        checked = name + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_error_tree():
    defined = {
        name: (thing.__base__.__name__, thing.exit_code)
        for name, thing in inspect.getmembers(errors, inspect.isclass)
        if thing.__module__ == errors.__name__
    }
    assert defined == ERRORS
    drawn = re.findall(r"(\w+Error)\b", errors.__doc__.partition("A message")[0])
    assert sorted(drawn) == sorted(ERRORS)


@pytest.mark.parametrize("line", MESSAGES)
def test_messages_and_exit_codes(line, workplace, run_cli):
    before = sorted(workplace.rglob("*"))
    expected_code, message = MESSAGES[line]
    code, out, err = run_cli(*shlex.split(line))
    assert (code, out) == (expected_code, "")
    pattern = ".+".join(map(re.escape, message.split("...")))
    assert re.fullmatch(f"impasto: {pattern}\n", err), err
    assert sorted(workplace.rglob("*")) == before


@pytest.mark.parametrize(
    "line",
    [
        "stylize photo.png --json",
        "stylize empty.jpg --json",
        "upscale photo.png -m x4.onnx --json",
        "styles --json",
        "info --json",
    ],
)
def test_keys_of_json_lines(line, workplace, run_cli):
    _, out, _ = run_cli(*line.split())
    assert out
    for text in out.splitlines():
        assert " ".join(json.loads(text)) == KEYS[line.split()[0]]


def test_keys_of_a_models_metadata(metadata):
    stated = json.loads(metadata.to_json())
    assert " ".join(stated) == METADATA
    assert " ".join(stated["styles"][0]) == "name title style_image_sha256"
    assert " ".join(stated["tiling"]) == "allowed halo_px"
