import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "impasto"
SERVING_SIDE = ("errors", "images", "runtime", "catalog")
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


@pytest.mark.parametrize(
    "arguments", [["--help"], ["stylize", "--help"], ["upscale", "--help"], ["styles"]]
)
def test_commands_of_the_core_install_load_no_training_package(arguments):
    code = f"""
import sys
from impasto.cli.app import main
sys.argv[1:] = {arguments}
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""
    assert loaded_after(code) == set()


@pytest.mark.parametrize("name", ["stylize", "upscale", "load_model", "list_styles"])
def test_the_python_interface_needs_no_training_package(name):
    assert loaded_after(f"import impasto\nassert callable(impasto.{name})") == set()
