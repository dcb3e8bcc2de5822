"""From presets, recipes and what was given to a `TrainingConfig`."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from impasto.errors import UsageError
from impasto.networks import NETWORKS
from impasto.training.config import (
    DEFAULT_NETWORK,
    NETWORK_SETTINGS,
    Preset,
    TrainingConfig,
    is_style_targets,
)
from impasto.training.run_config import (
    RunConfig,
    chosen_settings,
    entry_type,
    flag,
    listed,
    with_spec,
)
from impasto.training.start import default_start, start_settings
from impasto.training.upscaler_config import NETWORK_SETTINGS as UPSCALER_SETTINGS

# A row of the style tables alone is learned in few, large steps: a run that does not slow down all
# along ends far from where it could be.
ADDING: Final[dict[str, Any]] = {
    "schedule": "cosine",
    "max_time_s": 600.0,
}


def preset_settings(preset: Preset) -> dict[str, Any]:
    """Returns the settings a preset changes.

    ``paper``: Johnson et al. 2016: 40,000 steps of batch 4 at 256 px, Adam 1e-3. The paper
    prints no style weight and no size of the style image; ours are 8e-5 on the sum of squared
    Gram differences, the gallery's balance for The Great Wave, and 256 px. The released code's
    balance, near 3e-4, leaves little of a photo.
    ``released``: the models of jcjohnson/fast-neural-style: style weight 5 on the mean of
    squared Gram differences, style image at 384 px. Its total variation strength of 1e-6 is
    summed over a batch of 4, hence 4e-6 on our mean. Both resize photos to the crop.

    Raises:
        UsageError: there is no such preset.
    """
    if preset not in get_args(Preset):
        raise UsageError(f"--preset is {preset!r}; allowed are {', '.join(get_args(Preset))}")
    common: dict[str, Any] = {
        "crop_px": (256,),
        "crop_ratio": 1.0,
        "max_zoom": 1.0,
        "batch_size": 4,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "averaging": 0.0,
        "lattice_weight": 0.0,
        "octaves": 1,
        "window_px": None,
        "clip_gradients": None,
        "keep": None,
        "steps": 40_000,
    }
    if preset == "paper":
        losses = {
            "style_weight": 8e-5,
            "style_reduction": "sum",
            "tv_weight": 1e-6,
            "style_size_px": 256,
        }
    else:
        losses = {
            "style_weight": 5.0,
            "style_reduction": "mean",
            "tv_weight": 4e-6,
            "style_size_px": 384,
        }
    return common | losses | {"preset": preset, "network": preset}


def make_config(
    *paintings: Path,
    recipe: dict[str, Any] | None = None,
    from_scratch: bool = False,
    train_trunk: bool = False,
    **given: Any,
) -> TrainingConfig:
    """Builds a config: defaults, then the preset, then the recipe, then what was given.

    A run begins with the shipped model of many styles and adds the paintings to it, unless a
    preset, a recipe, a network or a setting of one is given.

    Args:
        *paintings: the paintings' paths; a file of style targets stands for all its paintings.
        recipe: settings that `read_recipe` returned.
        from_scratch: begin with no model.
        train_trunk: learn the convolutions of the model that the run begins with too, so that
            the result holds the paintings alone.
        **given: fields of `TrainingConfig`, or of the network's spec; ``network`` may be a
            name: paper, released, shipped, draft_refine. None counts as not given.

    Raises:
        UsageError: a value is out of range, or two contradict each other.
    """
    chosen = chosen_settings(recipe or {}, given)
    settings = preset_settings(chosen["preset"]) if "preset" in chosen else {}
    if "max_time_s" in chosen and "steps" not in chosen:
        settings.pop("steps", None)
    if chosen.get("style_weight") == "auto" or "style_scale" in chosen:
        settings.pop("style_weight", None)
    start = _start(given, recipe, from_scratch=from_scratch)
    if start is not None:
        for name in {"network", *NETWORK_SETTINGS} & chosen.keys():
            del chosen[name]  # a recipe's, which the model has of its own
        settings |= _begun_settings(start, chosen, train_trunk=train_trunk)
    elif train_trunk:
        raise UsageError("--train-trunk needs a model to begin with: name one by --add-to")
    settings = with_spec(settings | chosen, DEFAULT_NETWORK, NETWORKS, NETWORK_SETTINGS)
    for name in ("style_scale", "crop_px"):
        if name in settings:
            settings[name] = listed(settings[name])  # one number is a list of one
    return TrainingConfig(paintings=each_painting(paintings), **settings)


def each_painting(paintings: Sequence[Path]) -> tuple[Path, ...]:
    """Puts ``FILE.targets.safetensors/NAME`` in place of a file of style targets.

    Raises:
        DataError: the file cannot be read.
    """
    found: list[Path] = []
    for path in paintings:
        if is_style_targets(path):
            from impasto.losses.style_targets import load_style_targets

            found += [path / name for name in load_style_targets(path)]
        else:
            found.append(path)
    return tuple(found)


def _start(
    given: dict[str, Any], recipe: dict[str, Any] | None, *, from_scratch: bool
) -> Path | None:
    """Decides which model a run begins with.

    Raises:
        UsageError: one is named, and something that forbids one.
    """
    settings = ("preset", "network", *NETWORK_SETTINGS)
    against = [name for name in settings if given.get(name) is not None]
    named: Path | None = given.get("add_to")
    if named is None:
        return None if from_scratch or against or recipe is not None else default_start()
    if from_scratch or against:
        other = flag(against[0]) if against else "--from-scratch"
        raise UsageError(f"--add-to and {other} contradict each other: give one of them")
    return named


def _begun_settings(start: Path, chosen: dict[str, Any], *, train_trunk: bool) -> dict[str, Any]:
    """Returns the settings of a run that begins with a model.

    Raises:
        UsageError: the model has others that cannot be changed.
        ModelError: the model cannot be used.
    """
    settings = start_settings(start, train_trunk=train_trunk)
    size = chosen.pop("style_size_px", settings["style_size_px"])
    if size != settings["style_size_px"]:
        raise UsageError(
            f"--style-size-px is {size}; the model that the run begins with has "
            f"{settings['style_size_px']}: leave it out, or train a whole network with "
            "--from-scratch"
        )
    if not train_trunk:
        settings |= ADDING
        if "steps" in chosen:
            settings.pop("max_time_s")
    return settings


def read_recipe(path: Path, config: type[RunConfig] = TrainingConfig) -> dict[str, Any]:
    """Reads a recipe: a TOML file whose ``[settings]`` are fields of a config.

    Args:
        path: the file.
        config: `TrainingConfig` or `UpscalerConfig`.

    Raises:
        UsageError: the file cannot be read, or names a setting there is not.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("settings")
    except (OSError, ValueError) as error:
        raise UsageError(f"the recipe {path} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"the recipe {path} has no [settings]")
    hints = get_type_hints(config)
    known = {item.name for item in fields(config)} - {"paintings", "photos", "output"}
    known |= set(NETWORK_SETTINGS if config is TrainingConfig else UPSCALER_SETTINGS)
    if unknown := sorted(set(settings) - known):
        raise UsageError(f"the recipe {path} has unknown settings: {', '.join(unknown)}")
    for name, value in settings.items():
        if entry_type(hints.get(name)):
            settings[name] = tuple(_as_list(value, name, path))
    return settings


def _as_list(value: Any, name: str, path: Path) -> list[Any]:
    """Takes a list, or one number for a list of one."""
    if isinstance(value, int | float) and name != "style_layers":
        return [value]
    if not isinstance(value, list):
        raise UsageError(f"the recipe {path} must give {name} as a list, not {value!r}")
    return value
