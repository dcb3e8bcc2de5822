import json
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "impasto"
SERVING_SIDE = ("errors", "dials", "images", "runtime", "catalog", "video", "server", "cluster")
TRAINING_ONLY = (
    "torch",
    "lightning_fabric",
    "safetensors",
    "tensorboard",
    "onnx",
    "onnxscript",
    "torchmetrics",
    "matplotlib",
)

# What commands may import from outside Python's own library, so that they start at once.
FOR_HELP = {"typer", "annotated_doc", "shellingham", "click"}
FOR_OPTIONS = FOR_HELP | {
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_extensions",
    "typing_inspection",
}
FOR_PICTURES = FOR_OPTIONS | {"numpy", "PIL", "onnxruntime"}
# Of Python's own, packages that take long and that no command needs.
SLOW = {"asyncio", "http", "multiprocessing", "ssl", "unittest", "xml"}
# Those that Pillow tries first; one of a format of its own brings in all the others.
PLUGINS = {f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "Ppm", "Tiff")}

REPORT = """
import json, sys
before = set(sys.modules)  # what the environment itself brings in
from impasto.cli.app import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print("#" + json.dumps({name: files[name] for name in files.keys() - before}))
"""


def modules_of(*parts):
    """The dotted names of every module in these parts of the package."""
    for part in parts:
        place = SOURCE / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
            names = path.relative_to(SOURCE.parent).with_suffix("").parts
            yield ".".join(names[:-1] if names[-1] == "__init__" else names)


def loaded_after(code):
    """Which packages of the extra ``train`` a fresh Python has loaded after this code."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split()) & set(TRAINING_ONLY)


def test_imports_keep_to_the_layers(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0


def test_the_serving_side_loads_no_training_package():
    modules = list(modules_of(*SERVING_SIDE))
    assert len(modules) > len(SERVING_SIDE)
    assert loaded_after("import impasto, " + ", ".join(modules)) == set()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos and a model that enlarges."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("place")
    (folder / "photos").mkdir()
    for name in ("photo.jpg", "photos/one.jpg", "photos/two.png"):
        Image.radial_gradient("L").resize((48, 40)).convert("RGB").save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], FOR_HELP),
        (["stylize", "--help"], FOR_OPTIONS),
        (["upscale", "--help"], FOR_OPTIONS),
        (["styles"], FOR_OPTIONS | {"platformdirs"}),
        (["info"], FOR_PICTURES | {"platformdirs"}),
        (["stylize", "photo.jpg", "-o", "painted.jpg"], FOR_PICTURES),
        (["stylize", "photos", "-o", "painted"], FOR_PICTURES),
        (["upscale", "photo.jpg", "--model", "enlarge.onnx"], FOR_PICTURES),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_commands_import_only_what_they_need(place, save_upscaler, arguments, allowed):
    if "enlarge.onnx" in arguments:
        save_upscaler(place / "enlarge.onnx")
    result = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    modules = json.loads(result.stdout.rpartition("#")[2])
    others = {name.partition(".")[0] for name, file in modules.items() if "site-packages" in file}
    assert others <= allowed
    assert ("impasto.cli.stylize" in modules) == (arguments[0] == "stylize")
    assert "typer.rich_utils" not in modules
    assert not SLOW & modules.keys()
    assert {name for name in modules if name.endswith("ImagePlugin")} <= PLUGINS


@pytest.mark.parametrize("name", ["stylize", "upscale", "load_model", "list_styles"])
def test_the_python_interface_needs_no_training_package(name):
    assert loaded_after(f"import impasto\nassert callable(impasto.{name})") == set()
