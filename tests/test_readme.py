"""The READMEs: every command runs, offline, and both languages say the same commands."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from clip_files import pictures, write_clip
from PIL import Image
from tiny_runs import COMMAND_LINE, flags, write_painting, write_photos

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
GUIDES = [ROOT / "docs" / f"{name}.md" for name in ("train", "faq", "video")]
PYTORCH_CPU = "pip install torch --index-url https://download.pytorch.org/whl/cpu"

# Found by every Python that a command starts: whoever asks for the network is written down.
NO_NETWORK = """
import socket

def refuse(*args, **kwargs):
    with open({log!r}, "a") as log:
        print(args, file=log)
    raise OSError("no network in this test")

socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
"""


def blocks(page, language):
    """The fenced code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page):
    """The lines of a page's shell blocks, without comments."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [line for line in (re.sub(r"(^|\s+)#.*", "", line) for line in lines) if line]


def runnable(line):
    """A command as this test runs it.

    `impasto` and `tensorboard` are those of this Python. A training is cut to two steps of a
    tiny network, and `tensorboard` prints what it would draw instead of serving it.
    """
    python = f'"{sys.executable}"'
    program, _, rest = line.partition(" ")
    if line.startswith("impasto train "):
        return shlex.join([sys.executable, "short.py", *shlex.split(rest), *flags(steps=2)])
    if program == "tensorboard":
        return f"{python} -m tensorboard.main --inspect {rest}"
    assert program == "impasto", f"this test does not know how to run {line!r}"
    return f"{python} -m impasto {rest}"


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what the README's commands name, for processes without a network."""
    site = tmp_path / "site"
    site.mkdir()
    log = tmp_path / "network.log"
    (site / "sitecustomize.py").write_text(NO_NETWORK.format(log=str(log)), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT / "tests")]))
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = tmp_path / "work"
    folder.mkdir()
    write_painting(folder / "painting.jpg")
    write_photos(folder / "photos")
    write_photos(folder / "holiday", count=2)
    Image.radial_gradient("L").resize((48, 40)).save(folder / "mask.png")
    Image.open(folder / "holiday" / "photo1.png").save(folder / "photo.jpg")
    write_clip(folder / "clip.mp4", pictures(2))
    (folder / "short.py").write_text(COMMAND_LINE, encoding="utf-8")
    attempt = "import socket; socket.create_connection(('127.0.0.1', 9))"
    subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False)
    assert log.read_text(encoding="utf-8").count("127.0.0.1") == 1, "the guard is not in place"
    log.unlink()
    yield folder
    assert not log.exists(), log.read_text(encoding="utf-8")


def run(command, folder, **options):
    result = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        **options,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_every_command_of_the_readme_runs(workplace):
    ours = [line for line in commands(ENGLISH) if not line.startswith("pip ")]
    printed = {line: run(runnable(line), workplace, shell=True) for line in ours}

    assert {path.name for path in workplace.glob("*.jpg")} == {
        "painting.jpg",
        "photo.jpg",
        "photo.great_wave.jpg",
        "photo.styles.jpg",
        "photo.starry_night.jpg",
        "softer.jpg",
        "mixed.jpg",
        "bolder.jpg",
        "own-colours.jpg",
        "partly.jpg",
        "small.jpg",
        "painted.jpg",
        "photo.painting.jpg",
        "photo.x2.jpg",
    }
    assert Image.open(workplace / "photo.x2.jpg").size == (96, 80)
    assert Image.open(workplace / "large.png").size == (192, 160)
    assert len(list((workplace / "large").iterdir())) == 2
    assert len(list((workplace / "painted").iterdir())) == 2
    assert (workplace / "runs" / "painting" / "preview.jpg").exists()
    assert Image.open(workplace / "painted.jpg").size == (48, 40)
    assert "loss" in printed["tensorboard --logdir runs/painting"]


def test_every_python_block_of_the_readme_runs(workplace):
    for code in blocks(ENGLISH, "python"):
        run([sys.executable, "-c", code], workplace)


def test_both_languages_show_the_same_commands_and_code():
    assert commands(CHINESE) == commands(ENGLISH)
    english, chinese = (
        [ast.dump(ast.parse(code)) for code in blocks(page, "python")]
        for page in (ENGLISH, CHINESE)
    )
    assert chinese == english
    pictures = [
        re.findall(r"\]\((docs/images/[^)]+)\)", page.read_text(encoding="utf-8"))
        for page in (ENGLISH, CHINESE)
    ]
    assert pictures[0] == pictures[1] != []


def test_pip_lines_install_from_the_clone_with_extras_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [line for line in commands(ENGLISH) if line.startswith("pip ")]
    assert PYTORCH_CPU in lines
    for line in lines:
        if line != PYTORCH_CPU:
            match = re.fullmatch(r'pip install (\.|"\.\[([\w,]+)\]")', line)
            assert match, line
            assert set((match[2] or "dev").split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("page", [ENGLISH, CHINESE, *GUIDES], ids=lambda path: path.name)
def test_pages_never_install_by_a_name_that_is_not_ours(page):
    assert not re.search(r"pip install ['\"]?impasto", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [ENGLISH, CHINESE, *GUIDES], ids=lambda path: path.name)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([\w-]+)`", page.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", [ENGLISH, CHINESE, *GUIDES], ids=lambda path: path.name)
def test_every_command_shown_anywhere_is_understood(page, run_cli):
    """Also those within sentences and tables: --help comes after unknown names and options."""
    shown = re.findall(r"`(impasto [^`]+)`", page.read_text(encoding="utf-8")) + commands(page)
    for line in shown:
        program, *arguments = shlex.split(line.partition(" < ")[0])
        if program == "impasto":
            code, _, err = run_cli(*arguments, "--help")
            assert code == 0, f"{line}\n{err}"
