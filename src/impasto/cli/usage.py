"""One line for each mistake that Typer finds in a command line.

Typer uses the package click in some versions and a copy of its own in others, so its errors
are known by what they carry and not by their class's place.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Final

import typer

from impasto.errors import shell_word

# What all of them derive from: click's UsageError, in whichever copy.
PARSE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def explain(error: Any) -> str:
    """Returns what was given, what is allowed and what to do, as one line.

    Args:
        error: a `PARSE_ERROR`.
    """
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


def unknown_command(name: str, known: list[str], group: str = "impasto") -> str:
    """Returns what is said about a command that there is none of.

    Args:
        name: what was given.
        known: the commands of the group.
        group: the group's command line.
    """
    if group == "impasto" and Path(name).exists():
        return f"{name!r} is not a command: did you mean `impasto stylize {shell_word(name)}`?"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    return f"there is no command {name!r} of {group}: {hint}"


def _close_option(option: str, context: Any) -> str | None:
    if context is None or not option.startswith("--"):
        return None
    known = [name for item in context.command.get_params(context) for name in item.opts]
    return next(iter(difflib.get_close_matches(option, known, n=1)), None)
