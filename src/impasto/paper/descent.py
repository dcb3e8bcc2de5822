"""The loop: evaluate a picture, ask a solver for the next one.

Johnson et al. 2016, section 4.1, compare their networks with this, the method of Gatys et al.:
the same objective, minimised over the pixels of one picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import DivergedError, ResumeError, UsageError
from impasto.images.writing import atomic_path
from impasto.paper.objective import Objective, ObjectiveValues
from impasto.paper.solvers import Method, Solver, make_solver

ITERATIONS = 500
"""As many as the paper gives the baseline at most."""

COARSEST_PX = 256
"""Coarse-to-fine begins at this longer side or up to twice as much."""

FORMAT_VERSION: Final = 1
"""Of the files of states."""

_KEY: Final = "optimization"
_SOLVER: Final = "solver."


class Evaluation(NamedTuple):
    """One iteration: the picture's longer side in px, and the objective's terms."""

    size_px: int
    values: ObjectiveValues


@dataclass
class State:
    """Where an optimisation stands; all that going on needs.

    Attributes:
        method: of the solver.
        solver: what it remembers.
        image: ``(1, 3, H, W)`` in [0, 1], to be evaluated next.
        best: the picture of the lowest objective so far at this size.
        best_total: its objective.
        curve: one entry per iteration, over all sizes.
        level: number of the size, from 0.
    """

    method: Method
    solver: Solver
    image: Tensor
    best: Tensor
    best_total: float = math.inf
    curve: list[Evaluation] = field(default_factory=list)
    level: int = 0

    @property
    def iteration(self) -> int:
        """Iterations done: evaluations of objective and gradient."""
        return len(self.curve)


@dataclass(frozen=True)
class Result:
    """The picture of the lowest objective, ``(1, 3, H, W)`` in [0, 1], and the whole curve."""

    image: Tensor
    total: float
    curve: tuple[Evaluation, ...]


OnIteration = Callable[[State], None]


def optimize(
    objective: Objective,
    start: Tensor,
    *,
    method: Method = "lbfgs",
    iterations: int = ITERATIONS,
    until: float | None = None,
    on_iteration: OnIteration | None = None,
    state: State | None = None,
) -> Result:
    """Minimises an objective over the pixels of a picture, which stay in [0, 1].

    An iteration is one evaluation of objective and gradient, those of a line search included;
    the first one is that of ``start``.

    Args:
        objective: what is minimised.
        start: ``(1, 3, H, W)`` RGB, clipped to [0, 1].
        method: ``"lbfgs"`` or ``"adam"``.
        iterations: how many there are in all, those of ``state`` included.
        until: end as soon as the objective is as low as this.
        on_iteration: called after each iteration; what it raises ends the optimisation.
        state: go on from here, in place of ``start`` and ``method``; it is changed.

    Returns:
        The best picture and the whole curve.

    Raises:
        UsageError: ``iterations`` is below 1, or there is no such method.
        DivergedError: the objective is not finite.
    """
    if iterations < 1:
        raise UsageError(f"the iterations must be at least 1, not {iterations}")
    state = state or begin(start, method)
    size_px = max(state.image.shape[-2:])
    while state.iteration < iterations:
        image = state.image
        values, gradient = objective.gradient(image)
        if not math.isfinite(values.total):
            raise DivergedError(
                f"the objective is {values.total} at iteration {state.iteration + 1}: "
                "lower its weights"
            )
        state.curve.append(Evaluation(size_px, values))
        if values.total < state.best_total:
            state.best, state.best_total = image, values.total
        state.image = state.solver.next(image, values.total, gradient)
        if on_iteration is not None:
            on_iteration(state)
        if until is not None and values.total <= until:
            break
    return Result(state.best, state.best_total, tuple(state.curve))


def begin(start: Tensor, method: Method) -> State:
    """Returns the state before the first iteration; UsageError: there is no such method."""
    image = start.detach().float().clamp(0, 1).contiguous()
    return State(method, make_solver(method), image, image)


def noise(height: int, width: int, *, seed: int = 0) -> Tensor:
    """White noise, which the baseline begins with: ``(1, 3, height, width)`` even in [0, 1)."""
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Level:
    """One size of a coarse-to-fine optimisation, in px.

    Attributes:
        height: of the picture.
        width: of the picture.
        iterations: how many are done at this size.
        objective: makes the objective at this size, when its turn has come.
    """

    height: int
    width: int
    iterations: int
    objective: Callable[[], Objective]


def coarse_to_fine(
    levels: Sequence[Level],
    start: Tensor,
    *,
    method: Method = "lbfgs",
    on_iteration: OnIteration | None = None,
    state: State | None = None,
) -> Result:
    """Optimises at several sizes, each from the enlarged result of the one before.

    Large strokes and colours come from the small sizes, where iterations are cheap (Gatys et
    al. 2017, on high resolutions); Johnson et al. do without. At each size the solver begins
    afresh.

    Args:
        levels: from small to large.
        start: ``(1, 3, H, W)`` at the first level's size.
        method: ``"lbfgs"`` or ``"adam"``.
        on_iteration: as for `optimize`.
        state: go on from here, in place of ``start`` and ``method``.

    Returns:
        The best picture of the last level, and the curve over all of them.

    Raises:
        UsageError: there is no level, or no such method.
        DivergedError: the objective is not finite.
    """
    if not levels:
        raise UsageError("there must be at least one size")
    state = state or begin(start, method)
    end = 0
    for number, level in enumerate(levels):
        end += level.iterations
        if number < state.level:
            continue
        if number > state.level:
            _enlarge(state, level)
        result = optimize(
            level.objective(), start, iterations=end, on_iteration=on_iteration, state=state
        )
    return result


def level_sizes(longer_side_px: int, coarsest_px: int = COARSEST_PX) -> list[int]:
    """Returns longer sides from small to large, each about twice the one before.

    Args:
        longer_side_px: the last one.
        coarsest_px: none lies below this but ``longer_side_px`` itself.
    """
    sizes = [longer_side_px]
    while sizes[0] >= 2 * coarsest_px:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def shared_iterations(iterations: int, levels: int) -> list[int]:
    """Shares iterations evenly among levels, of which each needs one; the last gets the rest."""
    each = iterations // levels
    if each < 1:
        raise UsageError(
            f"the iterations must be at least {levels}, one for each size, not {iterations}"
        )
    return [each] * (levels - 1) + [iterations - each * (levels - 1)]


def _enlarge(state: State, level: Level) -> None:
    size = (level.height, level.width)
    image = F.interpolate(state.best, size, mode="bicubic", align_corners=False).clamp_(0, 1)
    state.image = state.best = image
    state.best_total = math.inf
    state.solver = make_solver(state.method)
    state.level += 1


def save_state(state: State, path: Path, settings: Mapping[str, Any]) -> None:
    """Writes a state atomically, so that a killed run goes on to the same picture.

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
    own = [name for name in tensors if name.startswith(_SOLVER)]
    remembered = {name.removeprefix(_SOLVER): tensors[name] for name in own}
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


@contextmanager
def tensorboard_curves(folder: Path, done: int = 0) -> Iterator[Callable[[State], None]]:
    """Yields what writes a state's latest iteration for TensorBoard.

    Args:
        folder: where its files go.
        done: iterations done before; what comes after them replaces older points.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder, purge_step=done + 1 if done else None) as writer:

        def log(state: State) -> None:
            for name, value in state.curve[-1].values._asdict().items():
                writer.add_scalar(f"objective/{name}", value, state.iteration)

        yield log


def find_device(name: str, threads: int | None = None) -> str:
    """Sets the number of CPU threads, if one is given, and finds a device.

    Args:
        name: ``"auto"`` for the fastest there is, or PyTorch's name of one.
        threads: CPU threads; None leaves them as they are.

    Raises:
        UsageError: there is no such device here.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return "cpu" if accelerator is None else accelerator.type
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:
        raise UsageError(f"--device is {name}; PyTorch finds none here: use cpu") from error
    return name
