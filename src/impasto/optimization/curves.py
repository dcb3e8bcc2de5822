"""The objective per iteration: as a table, and as curves for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from impasto.images.writing import atomic_path
from impasto.optimization.descent import Evaluation, State
from impasto.optimization.objective import ObjectiveValues


def write_curve(path: Path, curve: Iterable[Evaluation]) -> None:
    """Writes one row per iteration, atomically.

    Args:
        path: the ``.csv``.
        curve: as in `Result`.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("iteration", "size_px", *ObjectiveValues._fields))
        for number, (size_px, values) in enumerate(curve, start=1):
            writer.writerow((number, size_px, *values))


@contextmanager
def tensorboard_curves(folder: Path, done: int = 0) -> Iterator[Callable[[State], None]]:
    """Writes curves for TensorBoard.

    Args:
        folder: where its files go.
        done: iterations done before; what comes after them replaces older points.

    Yields:
        What writes a state's latest iteration.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder, purge_step=done + 1 if done else None) as writer:

        def log(state: State) -> None:
            for name, value in state.curve[-1].values._asdict().items():
                writer.add_scalar(f"objective/{name}", value, state.iteration)

        yield log
