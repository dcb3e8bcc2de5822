"""The ``impasto`` command and the register of its commands.

Commands are lazy: ``impasto --help`` imports none of them, and one command never pays for
the imports of another. To add a command ``foo``:

1. write ``impasto/cli/foo.py`` with a plain function named ``command`` whose parameters are
   ``Annotated[..., typer.Option(...)]`` or ``typer.Argument``; its docstring is the long help;
2. import whatever is heavy (NumPy, ONNX Runtime, PyTorch) inside that function;
3. add one row to `COMMANDS`.

A command reports bad input and failures by raising `impasto.errors.ImpastoError`; `main`
prints it as one line ``impasto: ...`` on stderr and exits with the error's ``exit_code``. A
command whose extra is not installed raises ``MissingExtraError``. To exit with another code
without a message, raise ``typer.Exit(code)``. Ctrl-C exits with 130.
"""

from __future__ import annotations

import contextlib
import difflib
import gc
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import typer.core

from impasto._version import __version__
from impasto.cli.console import print_error
from impasto.errors import ImpastoError, UsageError

if TYPE_CHECKING:
    # Typer brings its own copy of click in some versions and uses the package in others.
    ClickCommand = Any
    ClickContext = Any
    ClickFormatter = Any

INTERRUPTED: Final = 130
_GC_THRESHOLD: Final = 50_000

COMMANDS: Final[dict[str, str]] = {
    "stylize": "Paint photos and folders of photos in a style.",
    "styles": "List the styles that are there.",
    "train": "Train a style on your own painting.",
    "export": "Make a model file from a training run.",
}


class LazyGroup(typer.core.TyperGroup):
    """Finds commands in `COMMANDS` and imports their module when one is asked for."""

    def list_commands(self, ctx: ClickContext) -> list[str]:  # noqa: ARG002
        """Returns the names in the order of the register."""
        return list(COMMANDS)

    def get_command(self, ctx: ClickContext, cmd_name: str) -> ClickCommand:
        """Imports one command.

        Raises:
            UsageError: there is no such command.
        """
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing or cmd_name.startswith("-"):
                return None
            raise UsageError(_unknown_command(cmd_name))
        module = importlib.import_module(f"impasto.cli.{cmd_name}")
        single = _typer(add_completion=False)
        single.command(cmd_name)(module.command)
        return typer.main.get_command(single)

    def format_commands(self, ctx: ClickContext, formatter: ClickFormatter) -> None:  # noqa: ARG002
        """Writes the register's one-line helps, which need no import."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: ClickContext) -> Any:
        """Runs the command; an interrupt becomes exit code 130 in every version of Typer."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print_error("interrupted")
            raise SystemExit(INTERRUPTED) from None


def _typer(**settings: Any) -> typer.Typer:
    # Plain help: Typer's rich help would import rich, and its tracebacks hide our errors.
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


app = _typer(cls=LazyGroup, no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def impasto(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Paint photos in the style of a painting, and train new styles on your own."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line and exits.

    Args:
        args: the arguments without the program's name; None takes them from ``sys.argv``.

    Raises:
        SystemExit: always; 0 done, 1 something failed, 2 bad input, 130 interrupted.
    """
    _prepare_streams()
    if args is None:
        # Imports make many objects that stay; collecting among them finds nothing.
        gc.set_threshold(_GC_THRESHOLD)
    # Pillow reports odd metadata by warnings and log lines in the middle of our output.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        typer.main.get_command(app).main(args=args, prog_name="impasto")
    except ImpastoError as error:
        print_error(str(error))
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        _drop_stdout()
        raise SystemExit(1) from None
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_stdout()
        if args is None:
            gc.freeze()  # the interpreter's last collections would walk through every module


def _unknown_command(name: str) -> str:
    if Path(name).exists():
        return f"{name!r} is not a command: did you mean `impasto stylize {name}`?"
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COMMANDS)}"
    return f"there is no command {name!r}: {hint}"


def _prepare_streams() -> None:
    """Makes any file name printable: undecodable bytes pass through, the rest is escaped."""
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "").lower()
        errors = "surrogateescape" if encoding in ("utf-8", "utf8") else "backslashreplace"
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]


def _drop_stdout() -> None:
    """Lets the interpreter's last flush go nowhere, since the reader has gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
