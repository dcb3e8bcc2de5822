"""Going on with a run: its settings, and what may differ the second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from impasto.errors import ResumeError, UsageError
from impasto.training.checkpoints import load_checkpoint
from impasto.training.config import (
    NETWORK_SETTINGS,
    TrainingConfig,
    UpscalerConfig,
    default_run_folder,
    default_upscaler_folder,
)
from impasto.training.recipes import each_painting
from impasto.training.run_config import RunConfig, flag

_Config = TypeVar("_Config", TrainingConfig, UpscalerConfig)

RUNTIME_FIELDS = frozenset(
    [
        "output",
        "steps",
        "max_time_s",
        "device",
        "devices",
        "threads",
        "workers",
        "log_every",
        "preview_every_s",
        "checkpoint_every_s",
        "validation_photos",
    ]
)
"""Settings that may change when a run is resumed: they do not change what it computes."""

CHANGEABLE = RUNTIME_FIELDS | {"precision", "style_scale"}
"""Those, and what a later machine or a second look at the results may ask for."""


def read_config(run_folder: Path, values: dict[str, Any]) -> TrainingConfig | UpscalerConfig:
    """Rebuilds the settings of a run from its checkpoint's values.

    Raises:
        ResumeError: this version cannot read them.
    """
    try:
        kind = UpscalerConfig if "scale" in values.get("config", {}) else TrainingConfig
        needed = {"config", "step", "schedule_steps", "images_per_step"}
        if kind is TrainingConfig:
            needed |= {"references", "scales", "paintings_sha256"}
        if missing := sorted(needed - set(values)):
            raise UsageError(f"its checkpoint lacks {', '.join(missing)}")
        return kind.from_dict(values["config"])
    except (AttributeError, TypeError, ValueError, UsageError) as error:
        raise ResumeError(f"{run_folder} holds a run this version cannot read: {error}") from error


def resumed_config(paintings: Sequence[Path], given: dict[str, Any]) -> TrainingConfig:
    """Returns the settings of the run in a folder, with what was given in their place.

    The first painting names the run if no folder is given; None counts as not given.

    Raises:
        ResumeError: there is no run, or something given would make it another one.
    """
    paintings = each_painting(paintings)
    return _resumed(TrainingConfig, given | {"paintings": paintings}, default_run_folder(paintings))


def resumed_upscaler_config(given: dict[str, Any]) -> UpscalerConfig:
    """Does the same for a super-resolution run."""
    named = {key: given[key] for key in ("scale", "loss") if given.get(key) is not None}
    return _resumed(UpscalerConfig, given, default_upscaler_folder(**named))


def _resumed(kind: type[_Config], given: dict[str, Any], default_folder: Path) -> _Config:
    chosen = {name: value for name, value in given.items() if value is not None}
    folder = chosen.setdefault("output", default_folder)
    saved = read_config(folder, load_checkpoint(folder)[1])
    if not isinstance(saved, kind):
        raise ResumeError(f"{folder} holds a run of `impasto {saved.command}`: resume it with that")
    # The length that is saved belongs to the schedule; one that is given extends the run.
    kept = {"network": saved.network, "steps": None, "max_time_s": None}
    try:
        config = replace(saved, **saved.with_spec(kept | chosen))
    except UsageError as error:
        raise ResumeError(f"{error} (the run in {folder} has its own settings)") from error
    check_same_run(config, saved)
    return config


def check_same_run(config: RunConfig, saved: RunConfig) -> None:
    """Refuses settings that would turn a run into another one.

    Raises:
        ResumeError: the message names the first setting that differs, and both values.
    """
    given, kept = _flat(config), _flat(saved)
    for name in kept | given:
        if name not in CHANGEABLE and given.get(name) != kept.get(name):
            shown = name.upper() if name in ("paintings", "photos") else flag(name)
            raise ResumeError(
                f"{shown} is {_text(given.get(name))}, "
                f"the run in {config.run_folder} has {_text(kept.get(name))}; "
                "leave it out to go on, or start a new run with -o"
            )


def _flat(config: RunConfig) -> dict[str, Any]:
    """Lists the settings with the network's own among them, by the command line's names."""
    values = config.to_dict()
    # A network's output is not that of the run.
    names = {field: name for name, field in NETWORK_SETTINGS.items()}
    network = {names.get(field, field): value for field, value in values.pop("network").items()}
    return network | values


def _text(value: object) -> str:
    """Shows a value as the command line takes it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
