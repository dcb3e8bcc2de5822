"""The ``impasto`` command and the register of its commands.

Commands are lazy: ``impasto --help`` imports none of them, and one command never pays for
the imports of another. To add a command ``foo``:

1. write ``impasto/cli/foo.py`` with a function named ``command`` that `options.takes_options`
   makes known to Typer: its parameters are the arguments and options, its docstring is the help.
   With a dictionary `SUBCOMMANDS` of such functions beside it, ``foo`` is a group, and
   ``command`` runs alone (``impasto foo``) and before each of them (``impasto foo bar``);
2. import whatever is heavy (NumPy, ONNX Runtime, PyTorch) inside that function;
3. add one row to `COMMANDS`. A command that stands in the file of another one, under its own
   name, is in `_PLACES` too.

A command reports bad input and failures by raising `impasto.errors.ImpastoError`; `main`
prints it as one line ``impasto: ...`` on stderr and exits with the error's ``exit_code``, and
does the same with what Typer and the operating system raise. A command whose extra is not
installed raises ``MissingExtraError``. To exit with another code without a message, raise
``typer.Exit(code)``. Ctrl-C exits with 130.
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
from impasto.errors import ImpastoError, UsageError, shell_word

if TYPE_CHECKING:
    # Typer brings its own copy of click in some versions and uses the package in others.
    ClickCommand = Any
    ClickContext = Any
    ClickFormatter = Any

INTERRUPTED: Final = 130
_GC_THRESHOLD: Final = 50_000

COMMANDS: Final[dict[str, str]] = {
    "stylize": "Paint photos and folders of photos in a style.",
    "styles": "List the styles that are there, and add your own.",
    "upscale": "Upscale pictures.",
    "video": "Paint clips in a style, or upscale them.",
    "batch": "Paint or upscale collections of photos on many machines.",
    "app": "Open the web page that paints photos.",
    "webcam": "Paint what the camera sees, live, in the browser.",
    "serve": "Paint pictures that come over HTTP.",
    "train": "Train a style on your own painting.",
    "train-upscaler": "Train a super-resolution model.",
    "export": "Make a model file from a training run.",
    "evaluate": "Measure the quality of models.",
    "optimize": "Paint one photo by optimisation, without a trained network.",
    "invert": "Rebuild a picture from one layer of the loss network.",
    "reproduce": "Measure the paper's tables and figures on this machine.",
    "info": "Show versions, devices and folders.",
}

# The file and the function of commands that have no file of their own.
_PLACES: Final = {
    "app": ("serve", "app"),
    "webcam": ("serve", "webcam"),
    "train-upscaler": ("train", "train_upscaler"),
    "invert": ("optimize", "invert"),
}
# What all of Typer's complaints about a command line derive from. Typer uses the package click in
# some versions and a copy of its own in others, so they are known by what they carry.
_PARSE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]


class Group(typer.core.TyperGroup):
    """A group that says which commands it has when one is not among them."""

    def get_command(self, ctx: ClickContext, cmd_name: str) -> ClickCommand:
        """Finds one command; that there is none is a UsageError."""
        known = self.list_commands(ctx)
        if cmd_name in known:
            return self.find(ctx, cmd_name)
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        raise UsageError(_unknown_command(cmd_name, known, ctx.command_path))

    def find(self, ctx: ClickContext, cmd_name: str) -> ClickCommand:
        """Returns one of the commands that `list_commands` names."""
        return super().get_command(ctx, cmd_name)


class LazyGroup(Group):
    """Finds commands in `COMMANDS` and imports their module when one is asked for."""

    def list_commands(self, ctx: ClickContext) -> list[str]:  # noqa: ARG002
        """Returns the names in the order of the register."""
        return list(COMMANDS)

    def find(self, ctx: ClickContext, cmd_name: str) -> ClickCommand:  # noqa: ARG002
        """Imports one command."""
        stem, function = _PLACES.get(cmd_name, (cmd_name, "command"))
        module = importlib.import_module(f"impasto.cli.{stem}")
        subcommands = getattr(module, "SUBCOMMANDS", None)
        if subcommands is None:
            single = _typer(add_completion=False)
            single.command(cmd_name)(getattr(module, function))
            return typer.main.get_command(single)
        group = _typer(name=cmd_name, cls=Group, add_completion=False, invoke_without_command=True)
        group.callback()(module.command)
        for name, function in subcommands.items():
            group.command(name)(function)
        return typer.main.get_command(group)

    def format_commands(self, ctx: ClickContext, formatter: ClickFormatter) -> None:  # noqa: ARG002
        """Writes the register's one-line helps, which need no import."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: ClickContext) -> Any:
        """Runs the command; an interrupt is told in every version of Typer."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


def _typer(**settings: Any) -> typer.Typer:
    # Plain help: Typer's rich help would import rich, and its tracebacks hide our errors.
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


app = _typer(cls=LazyGroup)


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
    """Runs the command line and exits: 0 done, 1 something failed, 2 bad input, 130 interrupted.

    Args:
        args: the arguments without the program's name; None takes them from ``sys.argv``.
            No arguments are ``--help``.
    """
    _prepare_streams()
    if args is None:
        # Imports make many objects that stay; collecting among them finds nothing.
        gc.set_threshold(_GC_THRESHOLD)
    # Pillow reports odd metadata by warnings and log lines in the middle of our output.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        code = _run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # what was printed cannot be written: the reader has gone, the disk is full
        _drop_stdout()
        code = 1
    finally:
        if args is None:
            gc.freeze()  # the interpreter's last collections would walk through every module
    raise SystemExit(code)


def _run(args: Sequence[str] | None) -> int:
    """Runs the command line; returns the exit code after printing what went wrong."""
    if not (sys.argv[1:] if args is None else args):
        args = ["--help"]
    try:
        command = typer.main.get_command(app)
        return command.main(args=args, prog_name="impasto", standalone_mode=False) or 0
    except ImpastoError as error:
        print_error(str(error))
        return error.exit_code
    except _PARSE_ERROR as error:
        print_error(_explain(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted")
        return INTERRUPTED
    except MemoryError:
        print_error("not enough memory")
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        # Without a name it is what was printed that cannot be written.
        print_error(f"{error.filename or 'cannot write to stdout'}: {error.strerror or error}")
        raise


def _explain(error: Any) -> str:
    """Says in one line what Typer found wrong: what was given and what is allowed."""
    context = getattr(error, "ctx", None)
    helping = "--help" if context is None else f"`{context.command_path} --help`"
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        close = _close_option(option, context)
        guess = f"did you mean {close!r}? " if close else ""
        return f"there is no option {option!r}: {guess}{helping} lists them"
    parameter = getattr(error, "param", None)
    if parameter is not None and hasattr(error, "param_type"):  # a missing one
        return f"{parameter.metavar or parameter.name} is missing: {helping} says what it takes"
    text = error.format_message().strip().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}: {helping} says what it takes"


def _close_option(option: str, context: Any) -> str | None:
    if context is None or not option.startswith("--"):
        return None
    known = [name for item in context.command.get_params(context) for name in item.opts]
    return next(iter(difflib.get_close_matches(option, known, n=1)), None)


def _unknown_command(name: str, known: list[str], group: str) -> str:
    if group == "impasto" and Path(name).exists():
        return f"{name!r} is not a command: did you mean `impasto stylize {shell_word(name)}`?"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    return f"there is no command {name!r} of {group}: {hint}"


def _prepare_streams() -> None:
    """Makes any file name printable: undecodable bytes pass through, the rest is escaped.

    Where stderr is closed, what is said there goes nowhere.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "").lower()
        errors = "surrogateescape" if encoding in ("utf-8", "utf8") else "backslashreplace"
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]


def _drop_stdout() -> None:
    """Lets the interpreter's last flush go nowhere, since the reader has gone."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
