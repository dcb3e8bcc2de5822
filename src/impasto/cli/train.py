"""``impasto train`` learns a style, ``impasto train-upscaler`` learns to enlarge."""

from __future__ import annotations

import inspect
import logging
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer

from impasto.cli.console import clock, print_note, steps_shown
from impasto.cli.options import Given, keyword, needs_extra, option, takes_options
from impasto.data.examples import example_photos_folder
from impasto.errors import UsageError
from impasto.networks import NETWORKS, UPSCALERS, FastUpscalerSpec, NetworkSpec
from impasto.networks.specs import MANY_STYLES
from impasto.runtime.loading import model_path
from impasto.training.config import TrainingConfig, UpscalerConfig
from impasto.training.recipes import make_config, make_upscaler_config, read_recipe
from impasto.training.run_config import RunConfig, choices, entry_type, flag

if TYPE_CHECKING:
    from impasto.training import StepReport

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600}


def _choice(name: str, words: Sequence[Any], text: str) -> inspect.Parameter:
    """Makes an option of some words, or of whole numbers where there are none."""
    kind = type(words[0]) if words else int
    return keyword(name, kind | None, option("|".join(map(str, words)) or None, text, flag(name)))


def _network_options(
    spec: type, spec_fields: Mapping[str, str], **helps: str
) -> list[inspect.Parameter]:
    """Makes the options that change a field of a network's spec."""
    hints = get_type_hints(spec)
    return [
        _choice(name, choices(hints[spec_fields[name]]), f"{text} [default: the network's own]")
        for name, text in helps.items()
    ]


def _setting_options(config: type[RunConfig]) -> list[inspect.Parameter]:
    """Makes one option per setting of a config: those of its task, then those of any run."""
    common = {item.name for item in fields(RunConfig)}
    items = sorted(fields(config), key=lambda item: item.name in common)
    hints = get_type_hints(config)
    return [_setting(item, hints[item.name]) for item in items if item.metadata["cli"]]


def _setting(item: Any, hint: Any) -> inspect.Parameter:
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
        return _choice(item.name, words, text)
    return keyword(item.name, kinds.get(hint, str) | None, option(None, text, flag(item.name)))


_STYLE_NETWORK: Final = [
    keyword(
        "network",
        str | None,
        option(
            "|".join(NETWORKS),
            f"The network; one style but for {MANY_STYLES}. [default: {MANY_STYLES}]",
        ),
    ),
    *_network_options(
        NetworkSpec,
        TrainingConfig.network_settings,
        width="Channels of the first layer; of the trunk of draft_refine.",
        residual_blocks="Number of residual blocks.",
        norm="Normalisation.",
        upsampling="Upsampling.",
        padding="Padding.",
        output_scaling="Scaling of the output.",
    ),
]
_UPSCALER_NETWORK: Final = [
    _choice("network", list(UPSCALERS), "The network. [default: fast, or the preset's]"),
    *_network_options(
        FastUpscalerSpec,
        UpscalerConfig.network_settings,
        width="Channels of the network.",
        residual_blocks="Number of residual blocks.",
        skip="How the copy of the input in --network fast is enlarged.",
    ),
]


@takes_options
def command(
    pictures: list[Path],
    *,
    output: Path | None = None,
    preset: str | None = None,
    network: Annotated[Given, _STYLE_NETWORK],
    recipe: Path | None = None,
    add_to: str | None = None,
    from_scratch: bool = False,
    train_trunk: bool = False,
    max_time: str | None = None,
    resume: bool = False,
    given: Annotated[Given, _setting_options(TrainingConfig)],
) -> None:
    """Train a style on your own painting, or several styles in one network.

    PHOTOS, the last of the inputs, is a folder, .zip or .tar of photos, or a quoted pattern of
    .tar shards that are streamed, such as 's3://bucket/{000..099}.tar'; the example photos when
    left out. The run begins with the shipped gallery and adds the paintings to it, which takes
    10 minutes; --add-to names another model. With --from-scratch, --preset or --network it
    trains a whole network, for 20 minutes unless --max-time, --steps or --preset says
    otherwise. RUN_FOLDER gets preview.jpg, TensorBoard's curves, checkpoints and, at the end,
    the model.

    Options:
        pictures (PAINTING... [PHOTOS]): Paintings to learn, or a file of their style targets; then
            a folder, .zip or .tar of photos.
        output (RUN_FOLDER, -o, --output): Folder of the run. [default: runs/PAINTING]
        preset (paper|released): Full schedule of that name.
        recipe (FILE.toml): Settings of a shipped model.
        add_to (MODEL): Style or model file that the paintings are added to; its own styles stay as
            they are. [default: the shipped gallery]
        from_scratch: Begin with no model: train a whole network.
        train_trunk: Begin with that model and train all of it; only PAINTINGS are kept.
        max_time (90s|20m|2h): Length of the run.
        resume: Go on from the run's newest checkpoint.
    """
    settings = _parsed(TrainingConfig, network | given, max_time)
    paintings, photos = _split(pictures)
    settings |= {"photos": photos, "output": output, "preset": preset}
    with needs_extra("train", "impasto train"):
        from impasto.training import train
        from impasto.training.resume import resumed_config
    beginning = {
        "--recipe": recipe,
        "--add-to": add_to,
        "--from-scratch": from_scratch,
        "--train-trunk": train_trunk,
    }
    if resume:
        _check_resumed(beginning)
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
    with reporter() as (on_step, on_note):
        model = train(config, resume=resume, on_step=on_step, on_note=on_note)
    _tell(model, config, "stylize")


@takes_options
def train_upscaler(
    photos: Path | None = None,
    *,
    output: Path | None = None,
    preset: str | None = None,
    network: Annotated[Given, _UPSCALER_NETWORK],
    recipe: Path | None = None,
    max_time: str | None = None,
    resume: bool = False,
    given: Annotated[Given, _setting_options(UpscalerConfig)],
) -> None:
    """Train a super-resolution model, which `impasto upscale` takes.

    PHOTOS is a folder, .zip or .tar of photos, or a quoted pattern of .tar shards that are
    streamed, such as 's3://bucket/{000..099}.tar'; the example photos when left out. The run is
    20 minutes long unless --max-time, --steps or --preset says otherwise. RUN_FOLDER gets
    preview.jpg (low resolution, bicubic, result, original), TensorBoard's curves, checkpoints
    and, at the end, the model.

    Options:
        photos ([PHOTOS]): Folder, .zip or .tar of photos.
        output (RUN_FOLDER, -o, --output): Folder of the run. [default: runs/x4-feature, by scale
            and loss]
        preset (paper): Full schedule of the paper.
        recipe (FILE.toml): Settings of a shipped model.
        max_time (90s|20m|2h): Length of the run.
        resume: Go on from the run's newest checkpoint.
    """
    settings = _parsed(UpscalerConfig, network | given, max_time)
    settings |= {"photos": photos, "output": output}
    with needs_extra("train", "impasto train-upscaler"):
        from impasto.training import train
        from impasto.training.resume import resumed_upscaler_config
    if resume:
        _check_resumed({"--recipe": recipe, "--preset": preset})
        config = resumed_upscaler_config(settings)
    else:
        config = make_upscaler_config(
            recipe=read_recipe(recipe, UpscalerConfig) if recipe else None,
            preset=preset,
            **settings,
        )
    with reporter() as (on_step, on_note):
        model = train(config, resume=resume, on_step=on_step, on_note=on_note)
    _tell(model, config, "upscale", "--scale", config.scale)


def _split(pictures: list[Path]) -> tuple[list[Path], Path | None]:
    """Tells the photos, which come last, from the paintings."""
    last = pictures[-1]
    photos = last if last.is_dir() or last.suffix.lower() in ("", ".zip", ".tar") else None
    if photos:
        pictures = pictures[:-1]
    if not pictures:
        raise UsageError(f"{photos} holds photos; name a painting before it")
    if shards := [path for path in pictures if path.suffix.lower() == ".tar"]:
        raise UsageError(
            f"{shards[0]} is no painting; put a pattern of shards in quotes, as in "
            "'photos/{000..099}.tar'"
        )
    return pictures, photos


def _check_resumed(beginning: Mapping[str, Any]) -> None:
    if given := [name for name, value in beginning.items() if value]:
        raise UsageError(f"{given[0]} and --resume are both given; a resumed run has its settings")


def _tell(model: Path, config: RunConfig, trial: str, *more: object) -> None:
    """Prints where the model is, and the command that tries it on the example photos."""
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if os.environ.get("RANK" if by_torchrun else "LOCAL_RANK", "0") != "0":
        return  # one of several processes of a run speaks
    results = f"{config.run_folder}/examples/"
    line = ("impasto", trial, example_photos_folder(), "--model", model, *more, "-o", results)
    print_note("try it on the example photos, or on your own:")
    print_note(f"  {shlex.join(map(str, line))}")
    typer.echo(model)


@contextmanager
def reporter() -> Iterator[tuple[Callable[[StepReport], None], Callable[[str], None]]]:
    """Shows steps and notes, and keeps Lightning's own from being shown."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with steps_shown() as (show, note):
        yield lambda report: show(report.step, report.total_steps, describe(report)), note


def describe(report: StepReport) -> str:
    """Says in one line where a run stands."""
    losses = " ".join(f"{name} {value:.3g}" for name, value in report.losses.items() if value)
    return (
        f"step {report.step}/{report.total_steps}, {report.images_per_s:.2f} images/s, "
        f"{clock(report.remaining_s)} left, {losses}"
    )


def parse_duration(text: str) -> float:
    """Turns ``90s``, ``20m`` or ``2h`` into seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"--max-time is {text!r}; give a time such as 90s, 20m or 2h")
    return float(match[1]) * UNITS_S[match[2]]


def _parsed(
    config: type[RunConfig], settings: Mapping[str, Any], max_time: str | None
) -> dict[str, Any]:
    """Turns options that are text on the command line into their settings' types."""
    parsed = {name: _parse(config, name, value) for name, value in settings.items()}
    return parsed | ({} if max_time is None else {"max_time_s": parse_duration(max_time)})


def _parse(config: type[RunConfig], name: str, value: Any) -> Any:
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
