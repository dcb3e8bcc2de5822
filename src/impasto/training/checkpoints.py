"""Checkpoints: written whole or not at all, loaded without running code from the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from impasto.errors import OutputError, ResumeError

FOLDER = "checkpoints"
KEPT = 2


def save_checkpoint(
    run_folder: Path, step: int, tensors: dict[str, dict[str, Tensor]], values: dict[str, Any]
) -> Path:
    """Writes a checkpoint beside the older ones, removes all but the newest two, returns its path.

    The files go to a hidden folder that is renamed when it is complete: one ``.safetensors`` for
    each group of tensors, and ``state.json`` for the JSON-ready values.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    folder = run_folder / FOLDER
    final = folder / f"step-{step:08d}"
    partial = folder / f".{final.name}.partial"
    try:
        for left in folder.glob(".step-*.partial"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, group in tensors.items():
            # save_file reports a full disk as its own error type
            save_file(
                {k: v.detach().cpu().contiguous() for k, v in group.items()},
                partial / f"{name}.safetensors",
            )
        (partial / "state.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write checkpoint {final}: {error}") from error
    finally:  # an interrupt included
        shutil.rmtree(partial, ignore_errors=True)
    for old in _checkpoints(run_folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def load_checkpoint(run_folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Reads the newest checkpoint of a run: tensors by file and name, and the values.

    Raises:
        ResumeError: there is none, or it cannot be read.
    """
    found = _checkpoints(run_folder)
    if not found:
        raise ResumeError(
            f"{run_folder} holds no checkpoint: `impasto train` without --resume starts a run"
        )
    newest = found[-1]
    try:
        values = json.loads((newest / "state.json").read_text(encoding="utf-8"))
        tensors = {file.stem: load_file(file) for file in sorted(newest.glob("*.safetensors"))}
    except (OSError, ValueError, SafetensorError) as error:
        remedy = "remove it to go on from the one before" if len(found) > 1 else "start a new run"
        raise ResumeError(f"checkpoint {newest} cannot be read ({error}): {remedy}") from error
    return tensors, values


def has_checkpoint(run_folder: Path) -> bool:
    """Tells whether a run can be resumed."""
    return bool(_checkpoints(run_folder))


def _checkpoints(run_folder: Path) -> list[Path]:
    return sorted((run_folder / FOLDER).glob("step-*"))


def split_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], Any]:
    """Splits an optimizer's state into its tensors by their path, and everything else.

    The second is JSON-ready, with a tensor's path and strides in its place.
    """
    tensors: dict[str, Tensor] = {}

    def split(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            tensors[path] = value
            return {"tensor": path, "strides": value.stride()}
        if isinstance(value, dict):
            return {str(name): split(entry, f"{path}.{name}") for name, entry in value.items()}
        if isinstance(value, list | tuple):
            return [split(entry, f"{path}.{number}") for number, entry in enumerate(value)]
        return value

    return tensors, split(optimizer.state_dict(), "optimizer")


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], values: Any
) -> None:
    """Puts `split_state` back into an optimizer of the same parameters.

    Raises:
        KeyError, ValueError: a tensor is missing, or they are those of other parameters.
    """

    def join(value: Any) -> Any:
        if isinstance(value, list):
            return [join(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"tensor", "strides"}:
            tensor = tensors[value["tensor"]]
            # Files hold contiguous tensors; another layout than before may round differently.
            return torch.empty_strided(tensor.shape, value["strides"], dtype=tensor.dtype).copy_(
                tensor
            )
        return {int(n) if n.isdecimal() else n: join(entry) for n, entry in value.items()}

    state = join(values)
    parameters = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    for number, entries in state["state"].items():  # what had no gradient yet has no state
        parameter = parameters.get(number)
        if parameter is None or parameter.shape != entries["exp_avg"].shape:
            raise ValueError("the optimizer's tensors belong to other parameters")
    optimizer.load_state_dict(state)
