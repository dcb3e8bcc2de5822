"""The paper's tables and figures, measured on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from impasto.errors import UsageError
from impasto.evaluation.machine import describe_machine
from impasto.reproduction.figures import draw_figures
from impasto.reproduction.inputs import Inputs, gather_inputs
from impasto.reproduction.objective import measure_objective
from impasto.reproduction.printed import DATA_SETS
from impasto.reproduction.report import SECTIONS, Section, save_section, write_report
from impasto.reproduction.sizes import FULL, QUICK, Sizes
from impasto.reproduction.speed import measure_speed
from impasto.reproduction.superres import measure_superres

__all__ = ["FULL", "QUICK", "Inputs", "Sizes", "gather_inputs", "reproduce"]

Measure = Callable[[Inputs, Sizes, Path, Callable[[str], None]], Section]

_MEASURES: Final[dict[str, Measure]] = {
    "speed": measure_speed,
    "objective": measure_objective,
    "superres": measure_superres,
    "figures": draw_figures,
}


def reproduce(
    what: str,
    folder: Path,
    inputs: Inputs,
    *,
    sizes: Sizes = FULL,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Measures one section of the report, or all, and writes the report of those there are.

    What lies in the folder already is not measured again.

    Args:
        what: one of `SECTIONS`, or ``"all"``.
        folder: where the report goes.
        inputs: what it is made of.
        sizes: how much is measured.
        threads: CPU threads; None takes every core.
        progress: told what is measured.

    Returns:
        ``report.md`` and ``report.html``.

    Raises:
        UsageError: there is no such section.
        ResumeError: the folder holds a report of other inputs.
        OutputError: the folder cannot be written.
    """
    if what not in (*SECTIONS, "all"):
        raise UsageError(f"cannot reproduce {what!r}; allowed are {', '.join(SECTIONS)} and all")
    notes = [*inputs.notes, DATA_SETS, *([sizes.cut] if sizes.cut else [])]
    if threads is not None:
        torch.set_num_threads(threads)
    machine = describe_machine(torch.get_num_threads(), ("torch", "onnxruntime"))
    files: list[Path] = []
    for name in SECTIONS if what == "all" else (what,):
        save_section(folder, _MEASURES[name](inputs, sizes, folder / name, progress))
        files = write_report(folder, machine=machine, notes=notes)
    return files
