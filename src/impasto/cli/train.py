"""``impasto train``: a style of one's own."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from impasto.cli.extras import needs_extra
from impasto.cli.training import (
    Options,
    choice_option,
    finish,
    give_signature,
    parse_duration,
    parse_setting,
    reporter,
    run_options,
    setting_options,
)
from impasto.data.examples import example_photos_folder
from impasto.errors import UsageError
from impasto.networks import NETWORKS, NetworkSpec
from impasto.networks.specs import MANY_STYLES
from impasto.runtime.loading import model_path
from impasto.training.config import NETWORK_SETTINGS, TrainingConfig
from impasto.training.recipes import make_config, read_recipe
from impasto.training.run_config import choices


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

    PHOTOS, the last of the inputs, is a folder, .zip or .tar of photos, or a quoted pattern of
    .tar shards that are streamed, such as 's3://bucket/{000..099}.tar'; the example photos when
    left out. The run begins with the shipped gallery and adds the paintings to it, which takes
    10 minutes; --add-to names another model. With --from-scratch, --preset or --network it
    trains a whole network, for 20 minutes unless --max-time, --steps or --preset says
    otherwise. RUN_FOLDER gets preview.jpg, TensorBoard's curves, checkpoints and, at the end,
    the model.
    """
    settings = {
        name: parse_setting(TrainingConfig, name, value) for name, value in settings.items()
    }
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
    with reporter() as (on_step, on_note):
        model = train(config, resume=resume, on_step=on_step, on_note=on_note)
    finish(
        model, config.run_folder, "impasto", "stylize", example_photos_folder(), "--model", model
    )


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


def _options() -> Options:
    """Arguments and options: the fixed ones, then one option per setting of the config."""
    run = run_options("runs/PAINTING")
    return {
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
        "output": run.pop("output"),
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
                    help=f"The network; one style but for {MANY_STYLES}. [default: {MANY_STYLES}]",
                ),
            ],
            None,
        ),
        **_network(),
        "recipe": run.pop("recipe"),
        "add_to": (
            Annotated[
                str | None,
                typer.Option(
                    "--add-to",
                    metavar="MODEL",
                    help="Style or model file that the paintings are added to; its own styles "
                    "stay as they are. [default: the shipped gallery]",
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
        **run,
        **setting_options(TrainingConfig),
    }


def _network() -> Options:
    """Options that change the network's spec."""
    hints = get_type_hints(NetworkSpec)
    helps = {
        "width": "Channels of the first layer; of the trunk of draft_refine.",
        "residual_blocks": "Number of residual blocks.",
        "norm": "Normalisation.",
        "upsampling": "Upsampling.",
        "padding": "Padding.",
        "output_scaling": "Scaling of the output.",
    }
    return {
        name: choice_option(
            name, choices(hints[field]), f"{helps[name]} [default: the network's own]"
        )
        for name, field in NETWORK_SETTINGS.items()
    }


def command(**arguments: Any) -> None:
    """Filled in below: its parameters are the fields of the config."""
    _train(**arguments)


command.__doc__ = _train.__doc__
give_signature(command, _options())
