"""Optimisation over the pixels of one picture: the method of Gatys et al.

Johnson et al. 2016, section 4.1, compare their networks with it. A solver is told the objective
and its gradient at a picture and answers with the next picture to be evaluated. So an iteration
is one evaluation, whatever the solver makes of it.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import DivergedError, ResumeError, UsageError
from impasto.images.writing import atomic_path
from impasto.paper.objective import Objective, ObjectiveValues

Method = Literal["lbfgs", "adam"]
Remembered = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors, and JSON-ready values, by name."""

ITERATIONS = 500
"""The most iterations that the paper gives the baseline."""

COARSEST_PX = 256
"""Coarse-to-fine begins at this longer side or up to twice as much."""

FORMAT_VERSION: Final = 1
"""Format of the files of states."""

LEARNING_RATE: Final = 0.05
"""Adam's step: about as much as a pixel changes at first, 13 grey levels."""

MEMORY: Final = 10
"""Steps that L-BFGS remembers. More cost time and memory, and hardly save iterations."""

# The mean change of a pixel in the first step, as long as no scale is known: one grey level.
_FIRST_STEP: Final = 1 / 255
# A step must bring this share of what the slope promises (Nocedal and Wright 2006, eq. 3.6a).
_SUFFICIENT: Final = 1e-4
# Sums in float32 differ by this much anyway.
_ROUNDING: Final = 1e-6
_LEAST_CURVATURE: Final = 1e-8
_MOST_CUTS: Final = 8

_KEY: Final = "optimization"
_SOLVER: Final = "solver."


class _Step(NamedTuple):
    """A step between two pictures, and how the gradient changed with it."""

    step: Tensor
    change: Tensor
    curvature: float


@dataclass
class _Point:
    """A picture that lowered the objective, and the way on from it."""

    image: Tensor
    total: float
    gradient: Tensor
    direction: Tensor


_POINT_TENSORS: Final = ("image", "gradient", "direction")
_NUMBERS: Final = ("stride", "length", "slope", "cuts")


class Lbfgs:
    """Projected L-BFGS.

    The direction is that of the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4) on
    the pixels that may move. Every picture is clipped to [0, 1], as the paper does at each
    iteration (Johnson et al. 2016, section 4.1), and what is remembered is the step between
    clipped pictures. A picture that does not lower the objective is dropped and the step cut,
    which costs an iteration; the paper's implementation takes every step as it is.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self.steps: deque[_Step] = deque(maxlen=memory)
        self.point: _Point | None = None
        self.stride = _FIRST_STEP
        self.length = 1.0
        self.slope = 0.0
        self.cuts = 0

    @torch.no_grad()
    def next(self, image: Tensor, total: float, gradient: Tensor) -> Tensor:
        """Returns the next picture to evaluate, ``(1, 3, H, W)`` in [0, 1].

        It is told the objective and its gradient at the picture that was asked for before.
        """
        last = self.point
        if last is not None:
            allowed = last.total + _SUFFICIENT * self.slope + _ROUNDING * abs(last.total)
            if total > allowed:
                return self._cut(last, total)
            self._remember((image - last.image).flatten(), (gradient - last.gradient).flatten())
        self.point = _Point(image, total, gradient, self._direction(image, gradient))
        self.length, self.cuts = 1.0, 0
        return self._trial(self.point)

    def _trial(self, point: _Point) -> Tensor:
        image = torch.add(point.image, point.direction, alpha=self.length).clamp_(0, 1)
        self.slope = _dot(point.gradient, image - point.image)
        return image

    def _cut(self, point: _Point, total: float) -> Tensor:
        """Shortens the step to the minimum of the parabola through what is known."""
        self.cuts += 1
        if self.cuts == _MOST_CUTS:  # the memory misleads
            self.steps.clear()
            self.stride = _FIRST_STEP
            point.direction = self._direction(point.image, point.gradient)
            self.length = 1.0
            return self._trial(point)
        excess = total - point.total - self.slope
        share = -self.slope / (2 * excess) if excess > 0 else 0.0
        self.length *= min(max(share, 0.1), 0.5)
        return self._trial(point)

    def _remember(self, step: Tensor, change: Tensor) -> None:
        curvature = _dot(step, change)
        if curvature > _LEAST_CURVATURE * (_dot(step, step) * _dot(change, change)) ** 0.5:
            self.steps.append(_Step(step, change, curvature))

    def _direction(self, image: Tensor, gradient: Tensor) -> Tensor:
        # Pixels at a bound that would leave it stay out, or the rest might go uphill
        # (Bertsekas 1982, on projected Newton methods).
        blocked = ((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0))
        direction = gradient.neg().masked_fill_(blocked, 0).flatten()
        if self.steps:
            self._apply_inverse_hessian(direction)
        else:
            direction *= self.stride / direction.abs().mean().clamp_min(1e-30)
            self.stride *= 2  # where nothing is learned about the curvature, it is small
        return direction.view_as(image).masked_fill_(blocked, 0)

    def _apply_inverse_hessian(self, vector: Tensor) -> None:
        factors = []
        for step, change, curvature in reversed(self.steps):
            factors.append(_dot(step, vector) / curvature)
            vector.add_(change, alpha=-factors[-1])
        last = self.steps[-1]
        vector *= last.curvature / _dot(last.change, last.change)
        for (step, change, curvature), factor in zip(self.steps, reversed(factors), strict=True):
            vector.add_(step, alpha=factor - _dot(change, vector) / curvature)

    def state(self) -> Remembered:
        """Returns everything that is remembered."""
        tensors = {f"step.{number}": entry.step for number, entry in enumerate(self.steps)}
        tensors |= {f"change.{number}": entry.change for number, entry in enumerate(self.steps)}
        values: dict[str, Any] = {"curvatures": [entry.curvature for entry in self.steps]}
        values |= {name: getattr(self, name) for name in _NUMBERS} | {"total": None}
        if self.point:
            tensors |= {name: getattr(self.point, name) for name in _POINT_TENSORS}
            values["total"] = self.point.total
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Puts back what `state` returned; another solver's memory raises `LookupError`."""
        for number, curvature in enumerate(values["curvatures"]):
            entry = _Step(tensors[f"step.{number}"], tensors[f"change.{number}"], curvature)
            self.steps.append(entry)
        for name in _NUMBERS:
            setattr(self, name, values[name])
        if (total := values["total"]) is not None:
            self.point = _Point(total=total, **{name: tensors[name] for name in _POINT_TENSORS})


class Adam:
    """PyTorch's Adam, its result clipped to [0, 1] after each step; methods as in `Lbfgs`."""

    def __init__(self) -> None:
        self.moments: dict[str, Tensor] = {}

    def next(self, image: Tensor, total: float, gradient: Tensor) -> Tensor:  # noqa: ARG002
        """Returns the next picture to evaluate."""
        moved = image.clone()
        moved.grad = gradient
        optimizer = torch.optim.Adam([moved], lr=LEARNING_RATE)
        if self.moments:
            optimizer.state[moved] = self.moments
        optimizer.step()
        self.moments = optimizer.state[moved]
        moved.grad = None
        return moved.clamp_(0, 1)

    def state(self) -> Remembered:
        """Returns everything that is remembered."""
        return dict(self.moments), {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:  # noqa: ARG002
        """Puts back what `state` returned."""
        names = ("step", "exp_avg", "exp_avg_sq") if tensors else ()
        self.moments = {name: tensors[name] for name in names}


Solver: TypeAlias = Lbfgs | Adam
_SOLVERS: Final[dict[str, type[Lbfgs | Adam]]] = {"lbfgs": Lbfgs, "adam": Adam}


def make_solver(method: Method) -> Solver:
    """Returns a solver that remembers nothing yet.

    Raises:
        UsageError: there is no such method.
    """
    if method not in _SOLVERS:
        raise UsageError(f"the method is {method!r}; allowed are {', '.join(_SOLVERS)}")
    return _SOLVERS[method]()


def _dot(a: Tensor, b: Tensor) -> float:
    return torch.dot(a.flatten(), b.flatten()).item()


class Evaluation(NamedTuple):
    """One iteration: the picture's longer side in px, and the objective's terms."""

    size_px: int
    values: ObjectiveValues


@dataclass
class State:
    """Where an optimisation stands; everything that resuming needs.

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
        iterations: number of iterations in all, those of ``state`` included.
        until: end as soon as the objective is as low as this.
        on_iteration: called after each iteration; an exception from it ends the optimisation.
        state: go on from here, in place of ``start`` and ``method``; it is changed.

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
        iterations: number of iterations at this size.
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
    afresh. The levels go from small to large, ``start`` has the size of the first, and the other
    arguments are those of `optimize`.

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
            size = (level.height, level.width)
            image = F.interpolate(state.best, size, mode="bicubic", align_corners=False)
            state.image = state.best = image.clamp_(0, 1)
            state.best_total = math.inf
            state.solver = make_solver(state.method)
            state.level = number
        result = optimize(
            level.objective(), start, iterations=end, on_iteration=on_iteration, state=state
        )
    return result


def level_sizes(longer_side_px: int, coarsest_px: int = COARSEST_PX) -> list[int]:
    """Returns longer sides up to the given one, each about twice the one before.

    None lies below ``coarsest_px`` but ``longer_side_px`` itself.
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


def save_state(state: State, path: Path, settings: Mapping[str, Any]) -> None:
    """Writes a state atomically, so that a killed run goes on to the same picture.

    Args:
        state: the state after an iteration.
        path: the file.
        settings: what the optimisation was begun with, JSON-ready, by option.

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
    """Reads a state onto a device.

    Args:
        path: the file.
        settings: what the optimisation goes on with.
        device: where it goes on.

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
        state = State(
            stated["method"],
            make_solver(stated["method"]),
            tensors.pop("image"),
            tensors.pop("best"),
            float(stated["best_total"]),
            [Evaluation(size_px, ObjectiveValues(*terms)) for size_px, *terms in stated["curve"]],
            int(stated["level"]),
        )
        remembered = {name.removeprefix(_SOLVER): tensor for name, tensor in tensors.items()}
        state.solver.restore(remembered, stated["solver"])
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


@contextmanager
def tensorboard_curves(folder: Path, done: int = 0) -> Iterator[Callable[[State], None]]:
    """Yields a function that writes a state's latest iteration into a folder for TensorBoard.

    Points after the ``done`` iterations of an earlier run are replaced.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder, purge_step=done + 1 if done else None) as writer:

        def log(state: State) -> None:
            for name, value in state.curve[-1].values._asdict().items():
                writer.add_scalar(f"objective/{name}", value, state.iteration)

        yield log


def find_device(name: str, threads: int | None = None) -> str:
    """Sets the number of CPU threads, if one is given, and finds a device by PyTorch's name.

    ``"auto"`` is the fastest.

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
