"""An optimisation's state as a file, so that a killed run goes on to the same picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from impasto.errors import ResumeError
from impasto.images.writing import atomic_path
from impasto.optimization.descent import Evaluation, State
from impasto.optimization.objective import ObjectiveValues
from impasto.optimization.solvers import make_solver

SUFFIX = ".state.safetensors"
FORMAT_VERSION = 1

_KEY = "optimization"
_SOLVER = "solver."


def save_state(state: State, path: Path, settings: Mapping[str, Any]) -> None:
    """Writes a state atomically.

    Args:
        state: as after an iteration.
        path: the file.
        settings: what the optimisation was begun with, JSON-ready, by name for people.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors, values = state.solver.state()
    named = {f"{_SOLVER}{name}": tensor for name, tensor in tensors.items()}
    named |= {"image": state.image, "best": state.best}
    stated = {
        "format_version": FORMAT_VERSION,
        "settings": dict(settings),
        "method": state.method,
        "best_total": state.best_total,
        "level": state.level,
        "curve": [(size_px, *terms) for size_px, terms in state.curve],
        "solver": values,
    }
    # Tensors that share memory, as image and best may, are refused.
    data = save(
        {name: tensor.detach().cpu().clone() for name, tensor in named.items()},
        metadata={_KEY: json.dumps(stated)},
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def load_state(
    path: Path, settings: Mapping[str, Any], device: torch.device | str = "cpu"
) -> State:
    """Reads a state.

    Args:
        path: the file.
        settings: what the optimisation goes on with.
        device: where.

    Raises:
        ResumeError: the file is missing or damaged, or was begun with other settings, which
            the message names.
    """
    if not path.is_file():
        raise ResumeError(f"there is nothing to resume: {path} is missing; leave --resume out")
    try:
        with safe_open(path, framework="pt") as file:
            stated = json.loads((file.metadata() or {})[_KEY])
            if int(stated["format_version"]) > FORMAT_VERSION:
                raise ResumeError(f"{path} was made by a newer impasto: update impasto")
            # A copy lies in memory as it did before: sums depend on that.
            tensors = {name: file.get_tensor(name).to(device).clone() for name in file.keys()}  # noqa: SIM118
        state = _rebuilt(stated, tensors)
        before = dict(stated["settings"])
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        raise ResumeError(
            f"{path} holds no state of an optimisation, or a damaged one: leave --resume out"
        ) from error
    for name in {**before, **settings}:
        if before.get(name) != settings.get(name):
            raise ResumeError(
                f"{name} is {settings.get(name)}, and was {before.get(name)} when {path} was "
                "begun: give what it was, or leave --resume out"
            )
    return state


def _rebuilt(stated: dict[str, Any], tensors: dict[str, Tensor]) -> State:
    solver = make_solver(stated["method"])
    remembered = {
        name.removeprefix(_SOLVER): tensor
        for name, tensor in tensors.items()
        if name.startswith(_SOLVER)
    }
    solver.restore(remembered, stated["solver"])
    return State(
        method=stated["method"],
        solver=solver,
        image=tensors["image"],
        best=tensors["best"],
        best_total=float(stated["best_total"]),
        curve=[Evaluation(size_px, ObjectiveValues(*terms)) for size_px, *terms in stated["curve"]],
        level=int(stated["level"]),
    )
