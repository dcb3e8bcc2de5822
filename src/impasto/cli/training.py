"""What the commands that train have in common: their options, and how a run is shown."""

from __future__ import annotations

import inspect
import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from impasto.cli.console import clock, print_note, steps_shown
from impasto.errors import UsageError
from impasto.training.run_config import RunConfig, choices, entry_type, flag

if TYPE_CHECKING:
    from impasto.training import StepReport

UNITS_S = {"s": 1, "m": 60, "h": 3600}

Options = dict[str, tuple[Any, Any]]
"""Annotation and default by parameter."""


def parse_duration(text: str) -> float:
    """Turns ``90s``, ``20m`` or ``2h`` into seconds.

    Raises:
        UsageError: the text is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"--max-time is {text!r}; give a time such as 90s, 20m or 2h")
    return float(match[1]) * UNITS_S[match[2]]


def parse_setting(config: type[RunConfig], name: str, value: Any) -> Any:
    """Turns an option that is text on the command line into its setting's type.

    Raises:
        UsageError: the text is none of that type.
    """
    if value is None:
        return None
    if name == "style_weight" and value != "auto":
        try:
            return float(value)
        except ValueError:
            raise UsageError(f"--style-weight is {value!r}; give a number or auto") from None
    kind = entry_type(get_type_hints(config).get(name))
    if kind is None:
        return value
    if kind is str:
        return tuple(part.strip() for part in value.split(","))
    words = "whole numbers" if kind is int else "numbers"
    try:
        return tuple(kind(part) for part in value.split(","))
    except ValueError:
        raise UsageError(f"{flag(name)} is {value!r}; give {words}, separated by commas") from None


@contextmanager
def reporter() -> Iterator[tuple[Callable[[StepReport], None], Callable[[str], None]]]:
    """Shows steps and notes."""
    with steps_shown() as (show, note):
        yield lambda report: show(report.step, report.total_steps, describe(report)), note


def describe(report: StepReport) -> str:
    """Says in one line where a run stands."""
    losses = " ".join(f"{name} {value:.3g}" for name, value in report.losses.items() if value)
    return (
        f"step {report.step}/{report.total_steps}, {report.images_per_s:.2f} images/s, "
        f"{clock(report.remaining_s)} left, {losses}"
    )


def run_options(folder: str) -> Options:
    """Returns the options of any run that are no settings of its config.

    Args:
        folder: the run folder where none is named, for the help.
    """
    return {
        "output": (
            Annotated[
                Path | None,
                typer.Option(
                    "-o",
                    "--output",
                    metavar="RUN_FOLDER",
                    help=f"Folder of the run. [default: {folder}]",
                ),
            ],
            None,
        ),
        "recipe": (
            Annotated[
                Path | None,
                typer.Option("--recipe", metavar="FILE.toml", help="Settings of a shipped model."),
            ],
            None,
        ),
        "max_time": (
            Annotated[
                str | None,
                typer.Option("--max-time", metavar="90s|20m|2h", help="Length of the run."),
            ],
            None,
        ),
        "resume": (
            Annotated[
                bool, typer.Option("--resume", help="Go on from the run's newest checkpoint.")
            ],
            False,
        ),
    }


def choice_option(name: str, words: Sequence[Any], help_text: str) -> tuple[Any, Any]:
    """Returns an option of some words, or of whole numbers where there are none."""
    metavar = "|".join(map(str, words)) or None
    option = typer.Option(flag(name), help=help_text, metavar=metavar)
    kind = int if not words else type(words[0])
    return Annotated[kind | None, option], None


def setting_options(config: type[RunConfig]) -> Options:
    """Returns one option per setting of a config: those of its task, then those of any run."""
    common = {item.name for item in fields(RunConfig)}
    items = sorted(fields(config), key=lambda item: item.name in common)
    hints = get_type_hints(config)
    return {
        item.name: _setting_option(item, hints[item.name]) for item in items if item.metadata["cli"]
    }


def _setting_option(item: Any, hint: Any) -> tuple[Any, Any]:
    kinds: dict[Any, type] = {
        int: int,
        float: float,
        int | None: int,
        float | None: float,
        Path | None: Path,
    }
    text: str = item.metadata["help"]
    if item.default not in (None, MISSING):
        several = isinstance(item.default, tuple)
        text += f" [default: {','.join(map(str, item.default)) if several else item.default}]"
    if words := choices(hint):
        return choice_option(item.name, words, text)
    option = typer.Option(flag(item.name), help=text)
    return Annotated[kinds.get(hint, str) | None, option], None


def give_signature(command: Callable[..., None], options: Options) -> None:
    """Makes a function of keyword arguments look as if they were written out, for Typer."""
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in options.items()
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}


def finish(model: Path, run_folder: Path, *line: object) -> None:
    """Prints where the model is, and the command that tries it on the example photos."""
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if os.environ.get("RANK" if by_torchrun else "LOCAL_RANK", "0") != "0":
        return  # one of several processes of a run speaks
    print_note("try it on the example photos, or on your own:")
    print_note(f"  {shlex.join(map(str, (*line, '-o', f'{run_folder}/examples/')))}")
    typer.echo(model)
