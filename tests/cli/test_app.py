import importlib.util
import os
import subprocess
import sys

import pytest

from impasto import __version__
from impasto.cli.app import COMMANDS
from impasto.cli.console import print_error


def test_version(run_cli):
    assert run_cli("--version") == (0, f"{__version__}\n", "")


def test_python_dash_m():
    result = subprocess.run(
        [sys.executable, "-m", "impasto", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{__version__}\n"


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from impasto.cli.app import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('#', *sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    text, modules = result.stdout.split("#")
    for name, line in COMMANDS.items():
        assert name in text
        assert line in text
    loaded = set(modules.split())
    assert not loaded & {"numpy", "PIL", "onnxruntime", "torch", "rich", "impasto.cli.stylize"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module(name):
    assert importlib.util.find_spec(f"impasto.cli.{name}") is not None


def test_unknown_commands_get_a_hint(run_cli, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    for argument, hint in [
        ("stylise", "did you mean 'stylize'?"),
        ("photo.png", "did you mean `impasto stylize photo.png`?"),
        ("xyz", "there are stylize, styles"),
    ]:
        code, out, err = run_cli(argument)
        assert (code, out) == (2, "")
        assert hint in err
        assert err.count("\n") == 1


def test_unknown_option(run_cli):
    code, out, err = run_cli("stylize", "--nonsense")
    assert (code, out) == (2, "")
    assert "--nonsense" in err
    assert "Traceback" not in err


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
