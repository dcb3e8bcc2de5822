"""``impasto train-upscaler``: a super-resolution model of one's own."""

from __future__ import annotations

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
    reporter,
    run_options,
    setting_options,
)
from impasto.data.examples import example_photos_folder
from impasto.errors import UsageError
from impasto.networks import UPSCALERS, FastUpscalerSpec
from impasto.training.config import UpscalerConfig
from impasto.training.recipes import make_upscaler_config, read_recipe
from impasto.training.run_config import choices


def _train(
    photos: Path | None,
    *,
    output: Path | None,
    preset: str | None,
    recipe: Path | None,
    max_time: str | None,
    resume: bool,
    **settings: Any,
) -> None:
    """Train a super-resolution model, which `impasto upscale` takes.

    PHOTOS is a folder, .zip or .tar of photos, or a quoted pattern of .tar shards that are
    streamed, such as 's3://bucket/{000..099}.tar'; the example photos when left out. The run is
    20 minutes long unless --max-time, --steps or --preset says otherwise. RUN_FOLDER gets
    preview.jpg (low resolution, bicubic, result, original), TensorBoard's curves, checkpoints
    and, at the end, the model.
    """
    settings |= {"photos": photos, "output": output}
    if max_time is not None:
        settings["max_time_s"] = parse_duration(max_time)
    with needs_extra("train", "impasto train-upscaler"):
        from impasto.training import train
        from impasto.training.resume import resumed_upscaler_config
    given = [name for name, value in (("--recipe", recipe), ("--preset", preset)) if value]
    if resume and given:
        raise UsageError(f"{given[0]} and --resume are both given; a resumed run has its settings")
    if resume:
        config = resumed_upscaler_config(settings)
    else:
        config = make_upscaler_config(
            recipe=read_recipe(recipe, UpscalerConfig) if recipe else None,
            preset=preset,
            **settings,
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with reporter() as (on_step, on_note):
        model = train(config, resume=resume, on_step=on_step, on_note=on_note)
    scale = ("--scale", config.scale)
    line = ("impasto", "upscale", example_photos_folder(), "--model", model, *scale)
    finish(model, config.run_folder, *line)


def _options() -> Options:
    run = run_options("runs/x4-feature, by scale and loss")
    return {
        "photos": (
            Annotated[
                Path | None,
                typer.Argument(metavar="[PHOTOS]", help="Folder, .zip or .tar of photos."),
            ],
            None,
        ),
        "output": run.pop("output"),
        "preset": (
            Annotated[
                str | None,
                typer.Option("--preset", metavar="paper", help="Full schedule of the paper."),
            ],
            None,
        ),
        "network": choice_option(
            "network", list(UPSCALERS), "The network. [default: fast, or the preset's]"
        ),
        **_network(),
        **run,
        **setting_options(UpscalerConfig),
    }


def _network() -> Options:
    """Options that change the network's spec."""
    hints = get_type_hints(FastUpscalerSpec)
    helps = {
        "width": "Channels of the network.",
        "residual_blocks": "Number of residual blocks.",
        "skip": "How the copy of the input in --network fast is enlarged.",
    }
    return {
        name: choice_option(name, choices(hints[name]), f"{text} [default: the network's own]")
        for name, text in helps.items()
    }


def command(**arguments: Any) -> None:
    """Filled in below: its parameters are the fields of the config."""
    _train(**arguments)


command.__doc__ = _train.__doc__
give_signature(command, _options())
