"""``impasto train``: a style of one's own."""

from __future__ import annotations

import inspect
import logging
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

from impasto.cli.console import print_note
from impasto.cli.extras import needs_extra
from impasto.data.examples import example_photos_folder
from impasto.errors import UsageError
from impasto.networks import NETWORKS, NetworkSpec
from impasto.runtime.loading import model_path
from impasto.training.config import (
    LISTS,
    NETWORK_SETTINGS,
    TrainingConfig,
    flag,
)
from impasto.training.recipes import make_config, read_recipe

if TYPE_CHECKING:
    from impasto.training import StepReport

UNITS_S = {"s": 1, "m": 60, "h": 3600}
LINE_EVERY_S = 30.0


def parse_duration(text: str) -> float:
    """Turns ``90s``, ``20m`` or ``2h`` into seconds.

    Raises:
        UsageError: the text is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"--max-time is {text!r}; give a time such as 90s, 20m or 2h")
    return float(match[1]) * UNITS_S[match[2]]


def _train(
    pictures: list[Path],
    *,
    output: Path | None,
    preset: str | None,
    recipe: Path | None,
    max_time: str | None,
    resume: bool,
    add_to: str | None,
    from_scratch: bool,
    train_trunk: bool,
    **settings: Any,
) -> None:
    """Train a style on your own painting, or several styles in one network.

    PHOTOS, the last of the inputs, is a folder, .zip or .tar of photos; the example photos
    when left out. The run is 20 minutes long unless --max-time, --steps or --preset says
    otherwise. With --add-to it begins with a model of many styles and adds the paintings to
    it, which takes 10 minutes. RUN_FOLDER gets preview.jpg, TensorBoard's curves, checkpoints
    and, at the end, the model.
    """
    settings = {name: _parsed(name, value) for name, value in settings.items()}
    paintings, photos = _split(pictures)
    settings |= {"photos": photos, "output": output, "preset": preset}
    if max_time is not None:
        settings["max_time_s"] = parse_duration(max_time)
    with needs_extra("train", "impasto train"):
        from impasto.training import train
        from impasto.training.resume import resumed_config
    beginning = {
        "--recipe": recipe,
        "--add-to": add_to,
        "--from-scratch": from_scratch,
        "--train-trunk": train_trunk,
    }
    if resume and (given := [name for name, value in beginning.items() if value]):
        raise UsageError(f"{given[0]} and --resume are both given; a resumed run has its settings")
    if resume:
        config = resumed_config(paintings, settings)
    else:
        config = make_config(
            *paintings,
            recipe=read_recipe(recipe) if recipe else None,
            add_to=None if add_to is None else model_path(add_to),
            from_scratch=from_scratch,
            train_trunk=train_trunk,
            **settings,
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with _reporter() as (on_step, on_note):
        model = train(config, resume=resume, on_step=on_step, on_note=on_note)
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return  # one of several processes of a run speaks
    examples, results = example_photos_folder(), config.run_folder / "examples"
    line = ("impasto", "stylize", examples, "--model", model, "-o", f"{results}/")
    print_note("paint the example photos with it, or your own:")
    print_note(f"  {shlex.join(map(str, line))}")
    typer.echo(model)


def _split(pictures: list[Path]) -> tuple[list[Path], Path | None]:
    """Tells the photos, which come last, from the paintings."""
    last = pictures[-1]
    photos = last if last.is_dir() or last.suffix.lower() in ("", ".zip", ".tar") else None
    if photos:
        pictures = pictures[:-1]
    if not pictures:
        raise UsageError(f"{photos} holds photos; name a painting before it")
    return pictures, photos


def _parsed(name: str, value: Any) -> Any:
    """Turns the options that are text on the command line into their types."""
    if name == "style_weight" and value not in (None, "auto"):
        try:
            return float(value)
        except ValueError:
            raise UsageError(f"--style-weight is {value!r}; give a number or auto") from None
    if name == "style_layers" and value is not None:
        return tuple(part.strip() for part in value.split(","))
    if name in LISTS and value is not None:
        real = name in ("crop_shares", "style_scale")
        kind, words = (float, "numbers") if real else (int, "whole numbers")
        try:
            return tuple(kind(part) for part in value.split(","))
        except ValueError:
            raise UsageError(
                f"{flag(name)} is {value!r}; give {words}, separated by commas"
            ) from None
    return value


@contextmanager
def _reporter() -> Iterator[tuple[Callable[[StepReport], None], Callable[[str], None]]]:
    """Shows steps and notes: a bar on a terminal, a line every half minute elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        last = time.monotonic()

        def on_step(report: StepReport) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY_S or report.step == report.total_steps:
                last = time.monotonic()
                print_note(describe(report))

        yield on_step, print_note
        return
    with Progress(
        BarColumn(), TextColumn("{task.description}"), console=console, transient=True
    ) as progress:
        task = progress.add_task("getting ready", total=None)

        def advance(report: StepReport) -> None:
            progress.update(
                task,
                completed=report.step,
                total=report.total_steps,
                description=describe(report),
            )

        yield advance, lambda text: console.out(text, highlight=False)


def describe(report: StepReport) -> str:
    """Says in one line where a run stands."""
    losses = " ".join(f"{name} {value:.3g}" for name, value in report.losses.items() if value)
    return (
        f"step {report.step}/{report.total_steps}, {report.images_per_s:.2f} images/s, "
        f"{_clock(report.remaining_s)} left, {losses}"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _parameters() -> list[inspect.Parameter]:
    """Arguments and options: the fixed ones, then one option per setting of the config."""
    fixed: dict[str, tuple[Any, Any]] = {
        "pictures": (
            Annotated[
                list[Path],
                typer.Argument(
                    metavar="PAINTING... [PHOTOS]",
                    help="Paintings to learn, or a file of their style targets; then a folder, "
                    ".zip or .tar of photos.",
                ),
            ],
            inspect.Parameter.empty,
        ),
        "output": (
            Annotated[
                Path | None,
                typer.Option(
                    "-o",
                    "--output",
                    metavar="RUN_FOLDER",
                    help="Folder of the run. [default: runs/PAINTING]",
                ),
            ],
            None,
        ),
        "preset": (
            Annotated[
                str | None,
                typer.Option(
                    "--preset", metavar="paper|released", help="Full schedule of that name."
                ),
            ],
            None,
        ),
        "network": (
            Annotated[
                str | None,
                typer.Option(
                    "--network",
                    metavar="|".join(NETWORKS),
                    help="The network; fast holds many styles. [default: shipped]",
                ),
            ],
            None,
        ),
        **{name: (Annotated[kind | None, option], None) for name, kind, option in _network()},
        "recipe": (
            Annotated[
                Path | None,
                typer.Option("--recipe", metavar="FILE.toml", help="Settings of a shipped style."),
            ],
            None,
        ),
        "add_to": (
            Annotated[
                str | None,
                typer.Option(
                    "--add-to",
                    metavar="MODEL",
                    help="Style or model file that the paintings are added to; its own styles "
                    "stay as they are. [default: the shipped model of many styles, if any]",
                ),
            ],
            None,
        ),
        "from_scratch": (
            Annotated[
                bool,
                typer.Option("--from-scratch", help="Begin with no model: train a whole network."),
            ],
            False,
        ),
        "train_trunk": (
            Annotated[
                bool,
                typer.Option(
                    "--train-trunk",
                    help="Begin with that model and train all of it; only PAINTINGS are kept.",
                ),
            ],
            False,
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
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in fixed.items()
    ]
    return parameters + [
        _setting_parameter(item) for item in fields(TrainingConfig) if item.metadata["cli"]
    ]


def _network() -> Iterator[tuple[str, type, Any]]:
    """Yields the options that change the network's spec."""
    hints = get_type_hints(NetworkSpec)
    helps = {
        "width": "Channels of the network's first layer; of the trunk of --network fast.",
        "residual_blocks": "Number of residual blocks.",
        "norm": "Normalisation.",
        "upsampling": "Upsampling.",
        "padding": "Padding.",
        "output_scaling": "Scaling of the output.",
    }
    for name, field in NETWORK_SETTINGS.items():
        words = _choices(hints[field])
        text = f"{helps[name]} [default: the network's own]"
        yield name, str if words else int, typer.Option(flag(name), help=text, metavar=words)


def _setting_parameter(item: Any) -> inspect.Parameter:
    hint = get_type_hints(TrainingConfig)[item.name]
    kinds: dict[Any, type] = {
        int: int,
        float: float,
        int | None: int,
        float | None: float,
        Path | None: Path,
    }
    kind = kinds.get(hint, str)
    default = item.default
    text: str = item.metadata["help"]
    if default not in (None, MISSING):
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        text += f" [default: {shown}]"
    option = typer.Option(flag(item.name), help=text, metavar=_choices(hint))
    return inspect.Parameter(
        item.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _choices(hint: Any) -> str | None:
    """Shows the allowed words of a Literal in the help."""
    words = [word for word in get_args(hint) if isinstance(word, str)]
    return "|".join(words) if words and len(words) == len(get_args(hint)) else None


def command(**arguments: Any) -> None:
    """Filled in below: its parameters are the fields of the config."""
    _train(**arguments)


command.__doc__ = _train.__doc__
_PARAMETERS = _parameters()
command.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]
command.__annotations__ = {item.name: item.annotation for item in _PARAMETERS}
