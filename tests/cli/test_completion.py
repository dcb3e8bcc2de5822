import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from impasto.cli.app import COMMANDS

IMPASTO = [sys.executable, "-m", "impasto"]


@pytest.fixture
def offered(run_cli, catalog, monkeypatch):
    """Returns what bash is offered for the last word of a line."""

    def offer(line):
        words = line.split(" ")
        monkeypatch.setenv("_IMPASTO_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        code, out, err = run_cli(*words[1:])
        assert (code, err) == (0, "")
        return out.split()

    return offer


def test_commands_and_options(offered):
    assert offered("impasto ") == list(COMMANDS)
    assert offered("impasto st") == ["stylize", "styles"]
    assert offered("impasto styles ") == ["add", "remove"]
    assert offered("impasto stylize --st") == ["--style", "--strength", "--stroke-size"]
    assert offered("impasto nothing ") == list(COMMANDS)


def test_values(offered, save_gallery, data_folder, catalog):
    save_gallery(data_folder / "styles" / "mine.onnx", {"mine": 10, "oil": 20})
    assert offered("impasto stylize a.jpg --style ") == ["negative", "mirror", "mine", "oil"]
    assert offered("impasto stylize a.jpg -s mi") == ["mirror", "mine"]
    assert offered("impasto styles remove ") == ["mine"]
    assert offered("impasto stylize --format j") == ["jpeg"]
    assert offered("impasto stylize --device ")[0] == "auto"
    assert "cpu" in offered("impasto stylize --device c")
    (catalog / "catalog.toml").write_text("damaged")
    assert offered("impasto stylize a.jpg --style ") == []


def test_upscaling_models(offered, upscalers):
    assert offered("impasto upscale a.jpg --model ") == ["photo", "sharp"]
    assert offered("impasto upscale a.jpg -m s") == ["sharp"]
    (upscalers / "catalog.toml").write_text("damaged")
    assert offered("impasto upscale a.jpg --model ") == []


def test_files_are_left_to_the_shell(offered):
    for line in ("impasto stylize ", "impasto stylize a.jpg -o ", "impasto styles add "):
        assert offered(line) == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_installed_script_works_in_bash(tmp_path, catalog):
    """What `--install-completion` writes is read by a new shell and asks `impasto`."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    program = programs / "impasto"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m impasto "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {
        "HOME": str(home),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    line = f'"{program}" --install-completion; true'  # the shell stays, to be recognised
    installed = subprocess.run(
        ["bash", "-c", line], env=environment, capture_output=True, text=True, check=True
    )
    assert "bash completion installed" in installed.stdout
    asked = (
        f'source "{home}/.bashrc"; COMP_WORDS=(impasto stylize a.jpg --style great); COMP_CWORD=4; '
        '_impasto_completion impasto; echo "${COMPREPLY[*]}"'
    )
    offered = subprocess.run(
        ["bash", "-c", asked], env=environment, capture_output=True, text=True, check=True
    )
    assert offered.stdout == "great_wave\n"


def test_completion_of_names_loads_nothing_heavy(tmp_path):
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('#', *sys.modules))\n"
        "from impasto.cli.app import main\n"
        "main(['stylize', '--style', ''])\n"
    )
    environment = os.environ | {
        "_IMPASTO_COMPLETE": "complete_bash",
        "COMP_WORDS": "impasto stylize --style ",
        "COMP_CWORD": "3",
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    names, modules = result.stdout.split("#")
    assert "great_wave" in names.split()
    assert not set(modules.split()) & {"numpy", "PIL", "onnxruntime", "rich"}
