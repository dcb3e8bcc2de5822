"""Two ways downhill, L-BFGS and Adam, that keep pixels in [0, 1].

A solver is told the objective and its gradient at a picture and answers with the next picture
to be evaluated. So an iteration is one evaluation, whatever the solver makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import torch
from torch import Tensor

from impasto.errors import UsageError

Method = Literal["lbfgs", "adam"]
Remembered = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors, and JSON-ready values, by name."""

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


class Solver(Protocol):
    """Chooses pictures to evaluate, and remembers what it needs for that."""

    def next(self, image: Tensor, total: float, gradient: Tensor) -> Tensor:
        """Takes what was found at a picture and returns the next picture.

        Args:
            image: ``(1, 3, H, W)`` in [0, 1], the picture that this solver asked for.
            total: the objective there.
            gradient: ``(1, 3, H, W)``, its gradient.

        Returns:
            ``(1, 3, H, W)`` in [0, 1], another tensor than ``image``.
        """

    def state(self) -> Remembered:
        """Returns all that it remembers."""

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Puts back what `state` returned.

        Raises:
            LookupError: it is another solver's.
        """


@dataclass
class _Point:
    """A picture that lowered the objective, and the way on from it."""

    image: Tensor
    total: float
    gradient: Tensor
    direction: Tensor


_POINT_TENSORS: Final = ("image", "gradient", "direction")


class Lbfgs:
    """Projected L-BFGS.

    The direction is that of the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4) on
    the pixels that may move. Every picture is clipped to [0, 1], as the paper does at each
    iteration (Johnson et al. 2016, section 4.1), and what is remembered is the step between
    clipped pictures. A picture that does not lower the objective is dropped and the step cut,
    which costs an iteration; the paper's implementation takes every step as it is.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self.memory = memory
        self.steps: list[Tensor] = []
        self.changes: list[Tensor] = []
        self.curvatures: list[float] = []
        self.point: _Point | None = None
        self.stride = _FIRST_STEP
        self.length = 1.0
        self.slope = 0.0
        self.cuts = 0

    @torch.no_grad()
    def next(self, image: Tensor, total: float, gradient: Tensor) -> Tensor:
        """Returns the next picture."""
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
            self._forget()
            point.direction = self._direction(point.image, point.gradient)
            self.length = 1.0
            return self._trial(point)
        excess = total - point.total - self.slope
        share = -self.slope / (2 * excess) if excess > 0 else 0.0
        self.length *= min(max(share, 0.1), 0.5)
        return self._trial(point)

    def _remember(self, step: Tensor, change: Tensor) -> None:
        curvature = _dot(step, change)
        if curvature <= _LEAST_CURVATURE * (_dot(step, step) * _dot(change, change)) ** 0.5:
            return
        self.steps.append(step)
        self.changes.append(change)
        self.curvatures.append(curvature)
        if len(self.steps) > self.memory:
            for kept in (self.steps, self.changes, self.curvatures):
                kept.pop(0)

    def _forget(self) -> None:
        self.steps, self.changes, self.curvatures = [], [], []
        self.stride = _FIRST_STEP

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
        memory = list(zip(self.steps, self.changes, self.curvatures, strict=True))
        factors = []
        for step, change, curvature in reversed(memory):
            factors.append(_dot(step, vector) / curvature)
            vector.add_(change, alpha=-factors[-1])
        vector *= self.curvatures[-1] / _dot(self.changes[-1], self.changes[-1])
        for (step, change, curvature), factor in zip(memory, reversed(factors), strict=True):
            vector.add_(step, alpha=factor - _dot(change, vector) / curvature)

    def state(self) -> Remembered:
        """Returns all that it remembers."""
        tensors = {f"step.{number}": step for number, step in enumerate(self.steps)}
        tensors |= {f"change.{number}": change for number, change in enumerate(self.changes)}
        names = ("curvatures", "stride", "length", "slope", "cuts")
        values = {name: getattr(self, name) for name in names} | {"total": None}
        if self.point:
            tensors |= {name: getattr(self.point, name) for name in _POINT_TENSORS}
            values["total"] = self.point.total
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Puts back what `state` returned."""
        self.curvatures = list(values["curvatures"])
        self.steps = [tensors[f"step.{number}"] for number in range(len(self.curvatures))]
        self.changes = [tensors[f"change.{number}"] for number in range(len(self.curvatures))]
        self.stride, self.length = values["stride"], values["length"]
        self.slope, self.cuts = values["slope"], values["cuts"]
        self.point = None
        if (total := values["total"]) is not None:
            parts = {name: tensors[name] for name in _POINT_TENSORS}
            self.point = _Point(total=total, **parts)


class Adam:
    """PyTorch's Adam, its result clipped to [0, 1] after each step."""

    def __init__(self) -> None:
        self.moments: dict[str, Tensor] = {}

    def next(self, image: Tensor, total: float, gradient: Tensor) -> Tensor:  # noqa: ARG002
        """Returns the next picture."""
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
        """Returns all that it remembers."""
        return dict(self.moments), {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:  # noqa: ARG002
        """Puts back what `state` returned."""
        names = ("step", "exp_avg", "exp_avg_sq") if tensors else ()
        self.moments = {name: tensors[name] for name in names}


def make_solver(method: Method) -> Solver:
    """Returns a solver that knows nothing yet.

    Raises:
        UsageError: there is no such method.
    """
    if method == "lbfgs":
        return Lbfgs()
    if method == "adam":
        return Adam()
    raise UsageError(f"the method is {method!r}; allowed are lbfgs, adam")


def _dot(a: Tensor, b: Tensor) -> float:
    return torch.dot(a.flatten(), b.flatten()).item()
