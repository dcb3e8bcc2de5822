"""The paper's tables and figures, measured on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from impasto.errors import OutputError, UsageError
from impasto.evaluation.machine import describe_machine
from impasto.paper.figures import draw_figures, measure_objective
from impasto.paper.inputs import FULL, QUICK, Inputs, Sizes, gather_inputs
from impasto.paper.report import SECTIONS, Section, save_section, write_report
from impasto.paper.tables import measure_speed, measure_superres
from impasto.runtime.cores import check_threads

__all__ = ["FULL", "QUICK", "Inputs", "Sizes", "gather_inputs", "reproduce"]

DATA_SETS: Final = (
    "The paper trains on MS COCO 2014 (cocodataset.org), compares objectives on 50 images of its "
    "validation split, and tests super-resolution on Set5, Set14 and BSD100, which are the usual "
    "test sets of the field and part of many public collections."
)

Measure = Callable[[Inputs, Sizes, Path, Callable[[str], None]], Section]
"""Makes a section from the inputs, in its folder; the last argument is told what is measured."""

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
) -> Path:
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
        ``<folder>/report.md``.

    Raises:
        UsageError: there is no such section, or no such number of threads.
        ResumeError: the folder holds a report of other inputs.
        OutputError: the folder cannot be written.
    """
    if what not in (*SECTIONS, "all"):
        raise UsageError(f"cannot reproduce {what!r}; allowed are {', '.join(SECTIONS)} and all")
    notes = [*inputs.notes, DATA_SETS, *([sizes.cut] if sizes.cut else [])]
    check_threads(threads)
    if threads is not None:
        torch.set_num_threads(threads)
    machine = describe_machine(torch.get_num_threads(), ("torch", "onnxruntime"))
    names = SECTIONS if what == "all" else (what,)
    for name in names:
        _make_folder(folder / name)
    for name in names:
        section = _MEASURES[name](inputs, sizes, folder / name, progress)
        save_section(folder, replace(section, machine=machine, notes=notes))
        report = write_report(folder)
    return report


def _make_folder(folder: Path) -> None:
    """Makes a folder, and finds out before hours of work that it can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {folder}: no permission to write in it")
