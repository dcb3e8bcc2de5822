"""How long a run is and how its learning rate goes."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.training.run_config import Schedule

WARM_UP = 0.02
FINAL_RATE = 0.02
DECAY = 0.2
# Share of a time budget that is planned as steps: the rest is for previews, validations,
# checkpoints, export, and for a machine that is slower than when it was timed.
PLANNED_SHARE = 0.86


def learning_rate_factor(step: int, schedule: Schedule, schedule_steps: int) -> float:
    """Returns what the learning rate is multiplied by at a step.

    ``cosine`` rises linearly over the first 2 % and falls along a half cosine to 2 %. ``wsd``
    (warm-up, stable, decay: Hu et al. 2024) stays at the top until the last fifth, and falls
    there. Steps beyond the schedule, in a run that was extended, stay at the end's value.
    ``step`` counts from 0, and ``schedule_steps`` were planned when the run began.
    """
    if schedule == "constant":
        return 1.0
    warm_up = max(1, round(WARM_UP * schedule_steps))
    rise = min(1.0, (step + 1) / warm_up)
    progress = min(1.0, step / schedule_steps)
    if schedule == "wsd":
        progress = max(0.0, 1 - (1 - progress) / DECAY)
    return rise * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * progress)))


def seconds_per_step(
    network: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device
) -> float:
    """Times forward and backward of a copy of a network; ``loss`` maps one to its total loss.

    Returns:
        The faster of two timed steps, after one that warms up.
    """
    trial = copy.deepcopy(network)

    def step() -> None:
        loss(trial).backward()  # type: ignore[no-untyped-call]

    _fastest(step, 1, device)  # warms up
    return _fastest(step, 2, device)


def _fastest(work: Callable[[], object], attempts: int, device: torch.device) -> float:
    """Times work several times; returns the least, in seconds."""
    best = math.inf
    for _ in range(attempts):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def phases(shares: Sequence[float], schedule_steps: int) -> list[tuple[int, float]]:
    """Splits a run into parts by their shares of its steps, together 1.

    Returns:
        First step of each part, and the step after its last; the last part has no end, so
        that an extended run stays in it.
    """
    starts = [round(sum(shares[:i]) * schedule_steps) for i in range(len(shares))]
    return list(zip(starts, [*starts[1:], math.inf], strict=True))


@torch.no_grad()
def bfloat16_is_faster(device: torch.device) -> bool:
    """Times a convolution of the loss network in float32 and in bfloat16.

    CPUs differ: some compute bfloat16 in hardware at twice the speed, others emulate it.
    The margin keeps noise from deciding.
    """
    images = torch.zeros(1, 128, 96, 96, device=device).to(memory_format=torch.channels_last)
    weight = torch.zeros(128, 128, 3, 3, device=device).to(memory_format=torch.channels_last)

    def seconds(*, enabled: bool) -> float:
        with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
            return _fastest(lambda: F.conv2d(images, weight, padding=1), 5, device)

    return seconds(enabled=True) * 1.3 < seconds(enabled=False)


def planned_steps(budget_s: float, step_s: float) -> int:
    """Returns how many steps fit a time budget, at least 1."""
    return max(1, int(PLANNED_SHARE * budget_s / step_s))
