"""Which input becomes which output, settled before any work begins.

Nothing is lost: two inputs never share an output, and no output is an input of the run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from impasto.errors import DataError, ImpastoError, UsageError
from impasto.images.folders import iterate_pictures
from impasto.images.writing import FORMAT_BY_SUFFIX


@dataclass(frozen=True)
class Job:
    """One picture to paint.

    Attributes:
        source: the photo.
        target: where the result goes.
    """

    source: Path
    target: Path


@dataclass
class Plan:
    """The work of one run.

    Attributes:
        jobs: the pictures, in the order of the command line, folders sorted.
        failures: inputs that yield no job, with the reason.
        single: the run is about one file, so that an existing result is a mistake and not
            a finished part.
    """

    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[Path, ImpastoError]] = field(default_factory=list)
    single: bool = False


def make_plan(inputs: list[Path], output: str | None, style: str) -> Plan:
    """Maps inputs to outputs.

    Args:
        inputs: files and folders. Files that are missing become jobs and fail when read.
        output: ``-o``: a file for one input file; a folder if it ends in a separator, exists
            as a folder, or there are several inputs or a folder.
        style: the style's name, part of default names: ``photo.jpg`` becomes
            ``photo.<style>.jpg`` beside it and the folder ``photos`` becomes
            ``photos.<style>`` beside it.

    Raises:
        UsageError: an output would overwrite an input, or ``output`` does not fit the inputs.
    """
    plan = Plan(single=len(inputs) == 1 and not inputs[0].is_dir())
    if plan.single and output is not None and not _means_folder(output):
        plan.jobs.append(Job(inputs[0], _output_file(Path(output))))
    else:
        folder = None if output is None else _output_folder(Path(output))
        _fill(plan, inputs, folder, style)
    _protect_inputs(plan.jobs)
    return plan


def _fill(plan: Plan, inputs: list[Path], folder: Path | None, style: str) -> None:
    seen: set[Path] = set()
    taken: set[str] = set()

    def add(source: Path, target: Path) -> None:
        key = source.resolve()
        if key not in seen:
            seen.add(key)
            plan.jobs.append(Job(source, _free_target(source, _writable(target), taken)))

    for given in inputs:
        if not given.is_dir():
            name = given.name if folder else f"{given.stem}.{style}{given.suffix}"
            add(given, (folder or given.parent) / name)
            continue
        root = given.resolve()
        if folder is None:
            if not root.name:
                raise UsageError(f"{given} has no folder beside it for the results: give -o")
            target_root = root.parent / f"{root.name}.{style}"
            target_root = given.parent / target_root.name if given.name else target_root
        else:
            target_root = folder if len(inputs) == 1 else folder / root.name
        before = len(seen)
        try:
            for source in iterate_pictures(given, skip=folder or target_root):
                add(source, target_root / source.relative_to(given))
        except DataError as error:
            plan.failures.append((given, error))
            continue
        if len(seen) == before:
            plan.failures.append((given, DataError(f"no pictures in folder {given}")))


def _means_folder(output: str) -> bool:
    separators = ("/", os.sep, os.altsep or "/")
    return output.endswith(separators) or Path(output).is_dir()


def _output_file(path: Path) -> Path:
    if path.suffix.lower() not in FORMAT_BY_SUFFIX:
        known = " ".join(FORMAT_BY_SUFFIX)
        raise UsageError(f"-o {path} must end in one of {known}, or in / for a folder")
    return path


def _output_folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise UsageError(f"-o {path} is a file, but these inputs need a folder")
    return path


def _writable(target: Path) -> Path:
    """Changes the suffix to PNG where the format can be read but not written."""
    known = target.suffix.lower() in FORMAT_BY_SUFFIX
    return target if known else target.with_name(f"{target.stem}.png")


def _free_target(source: Path, target: Path, taken: set[str]) -> Path:
    """Finds a name that no other input of the run has, the same one in every run."""
    candidate, number = target, 1
    # Names that differ in case only are one file on many disks.
    while (key := os.path.abspath(candidate).casefold()) in taken:  # noqa: PTH100
        number += 1
        changed = source.suffix.lower() != target.suffix.lower() and number == 2
        extra = source.suffix if changed else f".{number}"
        candidate = target.with_name(f"{target.stem}{extra}{target.suffix}")
    taken.add(key)
    return candidate


def _protect_inputs(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        same = job.target.resolve() in sources or (
            job.target.exists() and job.source.exists() and job.target.samefile(job.source)
        )
        if same:
            raise UsageError(
                f"{job.target} is an input and would be overwritten: choose another -o"
            )
