"""Beginning a run with a model that is there: a new style takes minutes instead of hours.

Dumoulin et al. 2017, section 3.2: with the convolutions frozen, a new style is learned as a set
of scales and shifts alone. It begins here at those of the nearest style of the model.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.catalog import shipped_styles
from impasto.catalog.own import weights_of
from impasto.errors import ModelError, UsageError
from impasto.networks import spec_from_dict
from impasto.networks.specs import ARCHITECTURES, MANY_STYLES
from impasto.runtime.model_file import read_model_file

if TYPE_CHECKING:
    from impasto.data import PhotoCrops
    from impasto.networks import Network
    from impasto.runtime.metadata import ModelMetadata
    from impasto.training.config import TrainingConfig
    from impasto.training.style_task import StyleTask

_TABLE = "style_parameters.table"

COMPARED_CROPS = 4
"""Crops that every style of the model paints to find the one nearest to a new painting."""


def is_style_table(parameter: str) -> bool:
    """Tells whether a parameter of a network holds all sets of scales and shifts."""
    return parameter.endswith(_TABLE)


def default_start() -> Path | None:
    """Returns the shipped model that holds many styles, or None if this version ships none."""
    models = dict.fromkeys(style.path for style in shipped_styles())
    return next((path for path in models if _holds_many(read_model_file(path)[1])), None)


def start_settings(model: Path, *, train_trunk: bool) -> dict[str, Any]:
    """Returns the settings that a run has because of the model it begins with.

    Args:
        model: an ``.onnx`` file, its plain weights beside it.
        train_trunk: learn the convolutions too, so that no old style can be kept.

    Returns:
        Fields of `TrainingConfig`.

    Raises:
        UsageError: its network holds one style, so that none can be added.
        ModelError: the model cannot be read, or its plain weights are missing or others.
    """
    metadata = read_model_file(model)[1]
    if not _holds_many(metadata):
        raise UsageError(
            f"{model} cannot be added to: its network holds one style, --network {MANY_STYLES} "
            "holds many"
        )
    sha256 = checked_weights(model)
    return {
        "add_to": model,
        "started_from": sha256,
        "kept_styles": () if train_trunk else metadata.styles,
        "network": spec_from_dict(metadata.network),
        "identity": metadata.strength == "identity",
        "style_size_px": _style_size(model, metadata.recipe.get("style_size_px")),
    }


def checked_weights(model: Path) -> str:
    """Returns the sha256 of the plain weights beside a model, hexadecimal.

    Raises:
        ModelError: the model cannot be read, or its plain weights are missing or others.
    """
    metadata = read_model_file(model)[1]
    weights = weights_of(model)
    try:
        sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f"the plain weights of {model} are missing: {weights} lies beside it when it is made"
        ) from error
    if sha256 != metadata.weights_sha256:
        raise ModelError(f"{weights} are not the weights of {model}: the two belong together")
    return sha256


def _holds_many(metadata: ModelMetadata) -> bool:
    """Tells whether a model's network is one that further styles can be added to."""
    spec = ARCHITECTURES.get(str(metadata.network.get("architecture")))
    return spec is not None and spec.holds_many


def _style_size(model: Path, size: object) -> int:
    if not isinstance(size, int):
        raise ModelError(f"{model} does not state the size of its paintings: it cannot be added to")
    return size


def begin(
    network: Network, model: Path, config: TrainingConfig, task: StyleTask, crops: PhotoCrops
) -> None:
    """Puts the weights of the model that a run begins with into its network.

    A painting begins at the parameter sets of the style of its name, else of the style whose
    results are nearest to it.

    Args:
        network: the run's network, on the CPU; changed in place.
        model: the ``.onnx`` file, its plain weights beside it.
        config: the settings.
        task: the run's losses.
        crops: photos that the model's styles are compared on.

    Raises:
        ModelError: the weights are not there, or not those that the settings were made from.
    """
    import torch

    from impasto.export import load_weights
    from impasto.training.config import style_name

    metadata = read_model_file(model)[1]
    if metadata.weights_sha256 != config.started_from:
        raise ModelError(f"{model} is not the model that the run was planned with")
    old = load_weights(weights_of(model))
    state = old.state_dict()
    names = [style.name for style in metadata.styles]
    wanted = [style_name(painting) for painting in config.paintings]
    nearest = [names.index(name) if name in names else None for name in wanted]
    if None in nearest:
        found = _nearest_styles(old, len(names), task, crops)
        pairs = zip(nearest, found, strict=True)
        nearest = [number if known is None else known for known, number in pairs]
    for name, table in state.items():
        if is_style_table(name):
            kept = table[: len(names)] if config.kept_styles else table[:0]
            identity = table[-1:] if config.identity else table[:0]
            state[name] = torch.cat([table[nearest], kept, identity])
    network.load_state_dict(state)


def _nearest_styles(network: Network, styles: int, task: StyleTask, crops: PhotoCrops) -> list[int]:
    """Finds for each painting the style whose results have the least style loss."""
    import torch

    device = task.device
    network = network.to(device)
    images = torch.stack([crops[number][0] for number in range(COMPARED_CROPS)]).to(device)
    choices = torch.eye(styles + task.config.identity, device=device)
    with torch.no_grad():
        distances = [task.style_losses(network(images, choice)) for choice in choices[:styles]]
    return [int(style) for style in torch.stack(distances).argmin(dim=0)]
