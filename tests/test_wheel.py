"""The wheel holds what it needs and works where nothing but the core install is."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image, ImageChops

from impasto import __version__

ROOT = Path(__file__).parents[1]
PHOTO = "coffee.jpg"

# Runs at the start of every Python of the empty environment: what is not a core
# dependency is absent, and so is the network.
EMPTY_ENVIRONMENT = """
import socket, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def refuse(*arguments):
    raise OSError("this environment has no network")

sys.meta_path.insert(0, Absent())
socket.socket.connect = refuse
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment that has the wheel and the core dependencies, nothing else.

    The dependencies are those of the running Python, so that the test needs no network.
    A path in a ``.pth`` file does not read the ``.pth`` files of the folder it names:
    an editable install of this checkout stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], check=True)
    (site_packages,) = folder.glob("**/site-packages")
    (site_packages / "empty_environment.py").write_text(
        EMPTY_ENVIRONMENT.format(absent=absent_packages()), encoding="utf-8"
    )
    lines = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (site_packages / "dependencies.pth").write_text(
        "\n".join([*lines, "import empty_environment"]), encoding="utf-8"
    )
    return scripts


def absent_packages():
    """The top-level modules here that ``pip install impasto`` alone would not bring."""
    core = set()
    waiting = ["impasto"]
    while waiting:
        distribution = metadata.distribution(waiting.pop())
        for line in distribution.requires or []:
            requirement = Requirement(line)
            name = normalised(requirement.name)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and name not in core:
                core.add(name)
                waiting.append(name)
    core.add("impasto")
    return {
        module
        for module, distributions in metadata.packages_distributions().items()
        if core.isdisjoint(map(normalised, distributions))
    }


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def run(environment, tmp_path):
    """Runs a command of the environment in an empty folder."""
    home = tmp_path / "home"
    folder = tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    } | {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        variables.pop(name, None)

    def run(command, *arguments):
        return subprocess.run(
            [environment / command, *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )

    run.folder = folder
    return run


def test_it_holds_every_module_and_nothing_that_is_not_the_package(names):
    modules = {name for name in names if name.endswith(".py")}
    assert modules == {
        path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")
    }
    assert {name.partition("/")[0] for name in names} == {
        "impasto",
        f"impasto-{__version__}.dist-info",
    }
    kinds = {Path(name).suffix for name in names if name.startswith("impasto/")}
    page = {".html", ".css", ".js", ".svg"}
    assert kinds <= {".py", ".typed", ".toml", ".csv", ".onnx", ".safetensors", ".jpg", *page}
    assert "impasto/evaluation/faces.csv" in names
    assert "impasto/py.typed" in names


def test_it_holds_the_licences(names):
    folder = f"impasto-{__version__}.dist-info/licenses"
    assert {f"{folder}/LICENSE", f"{folder}/NOTICE"} <= names


def test_it_holds_the_loss_network_and_the_example_photos(names):
    assert "impasto/losses/vgg16_relu4_3.safetensors" in names
    photos = {path.name for path in (ROOT / "examples" / "photos").glob("*.jpg")}
    assert len(photos) >= 8
    assert photos == {
        Path(name).name for name in names if name.startswith("impasto/data/example_photos/")
    }


def test_it_holds_the_shipped_models_and_no_other(wheel, names):
    with zipfile.ZipFile(wheel) as archive:
        catalog = tomllib.loads(archive.read("impasto/catalog/catalog.toml").decode())
    files = {f"impasto/catalog/{row['file']}" for row in catalog["style"] + catalog["upscaler"]}
    assert files
    assert files == {name for name in names if name.endswith(".onnx")}
    targets = {name for name in names if name.endswith(".targets.safetensors")}
    assert targets == {"impasto/catalog/paper_great_wave.targets.safetensors"}


def test_the_installed_package_is_the_one_that_runs(run, environment):
    result = run("python", "-c", "import impasto; print(impasto.__file__)")
    assert environment.parent in Path(result.stdout.strip()).parents, result.stderr

    for module in ("torch", "onnx", "safetensors", "pytest"):
        result = run("python", "-c", f"import {module}")
        assert "ModuleNotFoundError" in result.stderr


def test_version(run):
    result = run("impasto", "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert __version__ in result.stdout


def test_every_shipped_style_paints_a_photo(run):
    photo = run.folder / PHOTO
    photo.write_bytes((ROOT / "examples" / "photos" / PHOTO).read_bytes())
    listing = run("impasto", "styles")
    assert listing.returncode == 0, listing.stderr

    for style in ("great_wave", "starry_night"):
        assert style in listing.stdout
        result = run("impasto", "stylize", PHOTO, "--style", style)

        assert result.returncode == 0, result.stderr
        output = run.folder / f"coffee.{style}.jpg"
        assert output.name in result.stdout
        with Image.open(photo) as before, Image.open(output) as after:
            assert after.size == before.size
            assert ImageChops.difference(before, after.convert("RGB")).getbbox() is not None


def test_training_names_the_extra_it_needs(run):
    (run.folder / PHOTO).write_bytes((ROOT / "examples" / "photos" / PHOTO).read_bytes())

    result = run("impasto", "train", PHOTO)

    assert result.returncode == 2
    assert "impasto[train]" in result.stderr
    assert "Traceback" not in result.stderr
