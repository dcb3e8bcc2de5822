import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys

import pytest
import typer

from impasto import __version__
from impasto.cli import app
from impasto.cli.app import COMMANDS
from impasto.cli.console import print_error
from impasto.cli.options import needs_extra
from impasto.errors import ImpastoError, MissingExtraError

MISSING = (
    "this needs the extra impasto[train], which is not installed: "
    'run `pip install ".[train]"` in a clone of the repository'
)


def test_version(run_cli):
    assert run_cli("--version") == (0, f"{__version__}\n", "")


def test_python_dash_m():
    result = subprocess.run(
        [sys.executable, "-m", "impasto", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{__version__}\n"


def test_help_lists_every_command(run_cli):
    text = run_cli("--help")[1]
    for name, line in COMMANDS.items():
        assert name in text
        assert line in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module(name):
    stem, _ = app._PLACES.get(name, (name, "command"))
    assert importlib.util.find_spec(f"impasto.cli.{stem}") is not None


def test_unknown_commands_get_a_hint(run_cli, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    photo.with_name("my photo.png").touch()
    for argument, hint in [
        ("stylise", "did you mean 'stylize'?"),
        ("photo.png", "did you mean `impasto stylize photo.png`?"),
        ("my photo.png", "did you mean `impasto stylize 'my photo.png'`?"),
        ("xyz", "there are stylize, styles"),
    ]:
        code, out, err = run_cli(argument)
        assert (code, out) == (2, "")
        assert hint in err
        assert err.count("\n") == 1


def test_no_arguments_are_a_request_for_help(run_cli):
    assert run_cli() == run_cli("--help")
    assert run_cli()[0] == 0


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS), ["styles", "add"]])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_every_command(run_cli, arguments, flag):
    code, out, err = run_cli(*arguments, flag)
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(["Usage: impasto", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "there is no option '--nonsense': `impasto --help` lists them"),
        (
            ["stylize", "--strenght", "1", "a.jpg"],
            "there is no option '--strenght': did you mean '--strength'? "
            "`impasto stylize --help` lists them",
        ),
        (
            ["stylize", "-y", "a.jpg"],
            "there is no option '-y': `impasto stylize --help` lists them",
        ),
        (["stylize"], "INPUT is missing: `impasto stylize --help` says what it takes"),
        (["styles", "add"], "FILE is missing: `impasto styles add --help` says what it takes"),
        (["train"], "PAINTING... [PHOTOS] is missing: `impasto train --help` says what it takes"),
        (["stylize", "a.jpg", "--threads", "few"], "invalid value for '--threads': "),
        (["stylize", "a.jpg", "--style"], "option '--style' requires an argument: "),
        (["styles", "add", "a", "b"], "got unexpected extra argument"),
        (["styles", "ad"], "there is no command 'ad' of impasto styles: did you mean 'add'?"),
        (["styles", "x"], "there is no command 'x' of impasto styles: there are add, remove"),
    ],
)
def test_mistakes_in_a_command_line_are_one_line(run_cli, arguments, message):
    code, out, err = run_cli(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"impasto: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (typer.Abort(), 130, "interrupted"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(5, "Input/output error", "/x/y"), 1, "/x/y: Input/output error"),
        (ImpastoError("two\nlines"), 2, "two?lines"),
        (
            typer.BadParameter("7 is odd."),
            2,
            "invalid value: 7 is odd: `impasto styles --help` says what it takes",
        ),
        (MissingExtraError("train", "this"), 2, MISSING),
    ],
)
def test_whatever_a_command_raises_is_one_line(run_cli, monkeypatch, raised, code, line):
    def list_styles():
        raise raised

    monkeypatch.setattr("impasto.catalog.list_styles", list_styles)
    assert run_cli("styles") == (code, "", f"impasto: {line}\n")


def test_a_missing_extra_prints_the_line_that_installs_it(run_cli, monkeypatch, photo):
    class WithoutTorch:
        def __getattr__(self, name):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

    importlib.import_module("impasto.cli.train")
    monkeypatch.setitem(sys.modules, "impasto.training", WithoutTorch())
    for arguments in (["train", photo], ["export", "runs/x"]):
        code, out, err = run_cli(*arguments)
        assert (code, out) == (2, "")
        assert err == (
            f"impasto: impasto {arguments[0]} needs the extra impasto[train], which is not "
            'installed: run `pip install ".[train]"` in a clone of the repository\n'
        )


def test_errors_are_red_on_a_terminal_only_and_never_with_no_color(monkeypatch, capfd):
    print_error("text")
    assert capfd.readouterr().err == "impasto: text\n"
    if os.name == "nt":
        return
    import pty

    def seen(code_env):
        main, terminal = pty.openpty()
        subprocess.run(
            [sys.executable, "-m", "impasto", "nonsense"],
            stderr=terminal,
            env={k: v for k, v in os.environ.items() if k != "NO_COLOR"} | code_env,
            check=False,
        )
        os.close(terminal)
        text = os.read(main, 10_000).decode()
        os.close(main)
        return text

    assert seen({}).startswith("\x1b[31mimpasto: ")
    assert seen({"NO_COLOR": "1"}).startswith("impasto: ")


def test_a_missing_module_of_our_own_is_a_bug_and_not_an_extra():
    with pytest.raises(ModuleNotFoundError, match=r"impasto\.nothing"), needs_extra("train", "it"):
        importlib.import_module("impasto.nothing")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_its_help(name):
    stem, function = app._PLACES.get(name, (name, "command"))
    module = importlib.import_module(f"impasto.cli.{stem}")
    for told in (getattr(module, function), *getattr(module, "SUBCOMMANDS", {}).values()):
        single = typer.Typer(add_completion=False)
        single.command()(told)
        for parameter in typer.main.get_command(single).params:
            assert getattr(parameter, "help", None), parameter.name
        lines = re.findall(r"^    (\w+)(?: \(.*?\))?: ", inspect.getdoc(inspect.unwrap(told)), re.M)
        assert set(lines) <= set(inspect.signature(inspect.unwrap(told)).parameters)
