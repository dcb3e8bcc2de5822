"""The end of a training run: its model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from impasto._version import __version__
from impasto.catalog.own import weights_of
from impasto.errors import ModelError, ResumeError, UsageError
from impasto.export import export_network, load_weights, save_weights
from impasto.images.writing import atomic_path
from impasto.networks import Network
from impasto.runtime.metadata import ModelMetadata, StyleEntry, Tiling
from impasto.training.checkpoints import load_checkpoint
from impasto.training.config import TrainingConfig, UpscalerConfig, style_name
from impasto.training.recipes import checked_weights
from impasto.training.resume import RUNTIME_FIELDS, read_config
from impasto.training.run_config import RunConfig

# Where a run happened says nothing about the model and does not belong into its file.
MACHINE_FIELDS = (RUNTIME_FIELDS - {"steps", "max_time_s"}) | {
    "photos",
    "add_to",
    "start_from",
    "loss_network",
}

WORKING_PX = 512
"""Longer side of a draft, at which training photos and paintings have their usual sizes."""


def export_run(
    run_folder: Path,
    path: Path | None = None,
    *,
    scores: dict[str, object] | None = None,
    float16: bool = False,
    mix: tuple[Path, float] | None = None,
) -> Path:
    """Exports the newest checkpoint of a run: ``.onnx``, and ``.safetensors`` beside it.

    Args:
        run_folder: a folder that training wrote.
        path: the ``.onnx`` to write; into the run folder when omitted.
        scores: measured quality to keep in the file, JSON-ready.
        float16: store the weights in 16 bits, which halves both files.
        mix: a model of the same network, its plain weights beside it, and the share of its
            weights in the result, between 0 and 1 (network interpolation, Wang et al. 2018);
            of networks that enlarge.

    Returns:
        The path of the ``.onnx``.

    Raises:
        ResumeError: the folder holds no run, or one of another network.
        UsageError: the run is one of a style, which cannot be mixed.
        ModelError: the model to mix in cannot be used, or is another network.
        ExportError: ONNX Runtime and PyTorch differ.
    """
    tensors, values = load_checkpoint(run_folder)
    config = read_config(run_folder, values)
    network = config.network.build()
    try:
        network.load_state_dict(tensors["averaged"])
    except (KeyError, RuntimeError) as error:
        raise ResumeError(
            f"the weights in {run_folder} belong to another network than its settings describe"
        ) from error
    mixed: dict[str, Any] = {}
    if mix is not None:
        if isinstance(config, TrainingConfig):
            raise UsageError(f"--mix is for models that enlarge; {run_folder} holds a style")
        mixed = _mix_in(network, *mix)
    if float16:
        network.half().float()  # what is compared with ONNX Runtime is what the files hold
    # A run folder may have been moved since its settings were saved.
    path = path or run_folder / config.model_path.name
    with atomic_path(path.with_suffix(".safetensors")) as weights:
        weights_sha256 = save_weights(network, weights, float16=float16)
        metadata = _metadata(config, values, weights_sha256)
        metadata = replace(metadata, recipe=metadata.recipe | mixed, scores=scores or {})
        export_network(network, metadata, path, float16=float16)
    return path


@torch.no_grad()
def _mix_in(network: Network, model: Path, share: float) -> dict[str, Any]:
    """Moves weights towards another model's; returns what the recipe states about it."""
    sha256 = checked_weights(model)
    other = load_weights(weights_of(model)).state_dict()
    own = network.state_dict()
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in other.items()}:
        raise ModelError(f"--mix {model} is another network than the run's: only like ones mix")
    for name, value in own.items():
        if value.is_floating_point():
            value.lerp_(other[name], share)
    return {"mixed_with": sha256, "mixed_share": share}


def export_style_targets(run_folder: Path, model: Path) -> Path:
    """Writes the Gram matrices of a run's paintings beside its model.

    Returns:
        The path of the file, ``<model>.targets.safetensors``.

    Raises:
        ResumeError: the folder holds no run of a style, or a painting is another picture now.
        ImageError: a painting cannot be read.
        OutputError: the file cannot be written.
    """
    from impasto.losses import LossNetwork, StyleTarget, save_style_targets
    from impasto.losses.style_targets import SUFFIX
    from impasto.training.pictures import read_painting

    values = load_checkpoint(run_folder)[1]
    config = read_config(run_folder, values)
    if not isinstance(config, TrainingConfig):
        raise ResumeError(f"{run_folder} holds a run without paintings: there are no style targets")
    network = LossNetwork(config.loss_network)
    targets = {}
    for path, learned_sha256 in zip(config.paintings, values["paintings_sha256"], strict=True):
        painting = read_painting(path)
        grams = {
            size_px: painting.at(size_px).grams(network, config.style_layers, size_px)
            for size_px in config.style_sizes_px
        }
        if painting.sha256 != learned_sha256:
            raise ResumeError(f"{path} is not the painting that the run in {run_folder} learned")
        targets[style_name(path)] = StyleTarget(painting.sha256, grams)
    file = model.with_suffix(SUFFIX)
    save_style_targets(targets, file)
    return file


def _metadata(
    config: TrainingConfig | UpscalerConfig, values: dict[str, Any], weights_sha256: str
) -> ModelMetadata:
    """Returns what the model file of a run states about itself."""
    spec = config.network
    common: dict[str, Any] = {
        "min_size_px": spec.min_size_px,
        "network": spec.to_dict(),
        "weights_sha256": weights_sha256,
        "recipe": _recipe(config, values),
    }
    if isinstance(config, UpscalerConfig):
        halo_px = config.network.receptive_radius_px
        tiling = Tiling(halo_px is not None, halo_px)
        return ModelMetadata(kind="upscale", scale=config.scale, styles=(), tiling=tiling, **common)
    common["recipe"] |= {
        "paintings": [path.name for path in config.paintings],
        "references": values["references"],
        "scales": values["scales"],
    }
    named = zip(map(style_name, config.paintings), values["paintings_sha256"], strict=True)
    learned = (StyleEntry(name, _title(name), sha256) for name, sha256 in named)
    return ModelMetadata(
        styles=(*learned, *config.kept_styles),
        working_px=None if spec.halo_px is None else WORKING_PX,
        halo_px=spec.halo_px,
        strength="identity" if config.identity else "fade",
        **common,
    )


def _recipe(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run and how far it came."""
    return {
        "impasto": __version__,
        **{k: v for k, v in config.to_dict().items() if k not in MACHINE_FIELDS},
        "steps_done": values["step"],
        "steps_planned": values["schedule_steps"],
        "images_seen": values["step"] * values["images_per_step"],
    }


def _title(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").strip().capitalize() or name
