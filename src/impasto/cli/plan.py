"""Which input becomes which output, settled before any work begins.

Nothing is lost: two inputs never share an output, and no output is an input of the run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from impasto.errors import DataError, ImpastoError, OutputError, UsageError
from impasto.images.folders import iterate_pictures, real_path
from impasto.images.opening import READABLE
from impasto.images.writing import FORMAT_BY_SUFFIX

PIPE: Final = "-"

# JPEG under a name that is not written, and a phone's HEIC: PNG would be ten times as large.
_BECOME_JPEG: Final = (".jpe", ".jfif", ".heic", ".heif", ".hif")


@dataclass(frozen=True)
class Job:
    """One picture to work on: from ``source``, None for stdin, to ``target``, None for stdout."""

    source: Path | None
    target: Path | None


@dataclass
class Plan:
    """The work of one run, in the order of the command line, folders sorted."""

    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[Path, ImpastoError]] = field(default_factory=list)  # of inputs without job
    single: bool = False  # about one file: a result that is there is a mistake, not a finished part


def make_plan(
    inputs: Sequence[str],
    output: str | None,
    label: str,
    *,
    file_format: str | None = None,
    also_read: Sequence[Path] = (),
) -> Plan:
    """Maps inputs to outputs.

    Args:
        inputs: files and folders, or ``-`` alone for stdin; missing files fail when read.
        output: ``-o``: a file for one input file; a folder if it ends in a separator, exists
            as a folder, or there are several inputs or a folder; ``-`` for stdout.
        label: the style's name or the scale: without an output ``photo.jpg`` becomes
            ``photo.<label>.jpg`` beside it and the folder ``photos`` ``photos.<label>``.
        file_format: Pillow's name of the format of every result; None keeps the photo's where
            it can be written.
        also_read: other files of the run that no result may replace.

    Raises:
        UsageError: an output would overwrite an input, or ``output`` does not fit the inputs
            or the format.
    """
    if "" in inputs or output == "":
        raise UsageError("a file name is empty: was a variable meant that is not set?")
    if PIPE in inputs or output == PIPE:
        plan = _pipe_plan(inputs, output, file_format)
    else:
        paths = [Path(given) for given in inputs]
        plan = Plan(single=len(paths) == 1 and not is_folder(paths[0]))
        if plan.single and output is not None and not means_folder(output):
            plan.jobs.append(Job(paths[0], _output_file(Path(output), file_format)))
        else:
            folder = None if output is None else Path(output)
            if folder is not None and exists(folder) and not is_folder(folder):
                raise UsageError(f"-o {folder} is a file, but these inputs need a folder")
            _fill(plan, paths, folder, label, file_format)
    _protect_inputs(plan.jobs, also_read)
    return plan


def single_target(source: str, output: str, label: str, also_read: Sequence[Path] = ()) -> Path:
    """Returns where the result of one file goes, which is a file too; errors are `make_plan`'s."""
    (job,) = make_plan([source], output, label, also_read=also_read).jobs
    assert job.target is not None  # noqa: S101 (for mypy: only stdout has none)
    return job.target


def check_free(target: Path, *, overwrite: bool) -> None:
    """Refuses a result that is there and is not to be replaced."""
    if not overwrite and exists(target):
        raise UsageError(f"{target} is already there: --overwrite replaces it")


def is_folder(path: Path) -> bool:
    """Tells whether a path is a folder; a name that is too long for the disk is none."""
    return os.path.isdir(path)  # noqa: PTH112 (pathlib's raises for such a name)


def exists(path: Path) -> bool:
    """Tells whether something has this path; nothing has a name that is too long."""
    return os.path.exists(path)  # noqa: PTH110 (pathlib's raises for such a name)


def find_pictures(flag: str, data: Path, save: Path | None = None) -> dict[str, Path]:
    """Returns the pictures of a folder by their path in it, ``/`` between its parts.

    Args:
        flag: the option that names the folder.
        data: the folder.
        save: where results go; what lies there is passed over.

    Raises:
        DataError: the folder is missing or holds no pictures.
        UsageError: results of two pictures would have one name.
    """
    if not exists(data):
        raise DataError(f"no such folder: {data}")
    if not is_folder(data):
        raise DataError(f"--{flag} takes a folder, and {data} is a file")
    pictures = {
        path.relative_to(data).as_posix(): path for path in iterate_pictures(data, skip=save)
    }
    if not pictures:
        raise no_pictures(data)
    stems: dict[str, str] = {}
    for name in pictures if save is not None else ():
        other = stems.setdefault(str(Path(name).with_suffix("")).lower(), name)
        if other != name:
            raise UsageError(f"--save has one name for {other} and {name}: rename one of them")
    return pictures


def check_writable(target: Path) -> None:
    """Finds out before the work, as far as possible, whether a result can be written."""
    folder = target.parent
    while not exists(folder) and folder != folder.parent:
        folder = folder.parent
    if not is_folder(folder):
        raise OutputError(f"cannot write {target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {target}: no permission to write in {folder}")


def _pipe_plan(inputs: Sequence[str], output: str | None, file_format: str | None) -> Plan:
    (first, *others) = inputs
    if others:
        raise UsageError("- stands for one picture, stdin or stdout: give one input with it")
    if first != PIPE and is_folder(Path(first)):
        raise UsageError(f"-o - takes one picture, and {first} is a folder: give -o a folder")
    target = None
    if output not in (None, PIPE):
        if means_folder(output):
            raise UsageError(
                f"a picture from stdin has no name to go into {output}: give -o a file"
            )
        target = _output_file(Path(output), file_format)
    return Plan([Job(None if first == PIPE else Path(first), target)], single=True)


def _fill(
    plan: Plan, inputs: list[Path], folder: Path | None, label: str, file_format: str | None
) -> None:
    seen: set[Path] = set()
    taken: set[str] = set()

    def add(source: Path, target: Path) -> None:
        key = real_path(source)
        if key not in seen:
            seen.add(key)
            target = with_format(target, file_format)
            plan.jobs.append(Job(source, free_target(source, target, taken)))

    for given in inputs:
        if not is_folder(given):
            named = with_format(given, file_format)
            name = named.name if folder else f"{named.stem}.{label}{named.suffix}"
            add(given, (folder or given.parent) / name)
            continue
        root = real_path(given) if given.name in ("", "..") else given
        if folder is not None:
            target_root = folder if len(inputs) == 1 else folder / root.name
        elif root.name:
            target_root = root.with_name(f"{root.name}.{label}")
        else:
            raise UsageError(f"{given} has no folder beside it for the results: give -o")
        before = len(seen)
        try:
            for source in iterate_pictures(given, skip=folder or target_root):
                add(source, target_root / source.relative_to(given))
            if len(seen) == before:
                raise no_pictures(given)
        except DataError as error:
            plan.failures.append((given, error))


def no_pictures(folder: Path | str) -> DataError:
    """Returns the error of a folder without pictures."""
    return DataError(f"no pictures in folder {folder} (readable: {READABLE})")


def means_folder(output: str) -> bool:
    """Tells whether an output is a folder: it ends in a separator, or exists as one."""
    separators = ("/", os.sep, os.altsep or "/")
    return output.endswith(separators) or is_folder(Path(output))


def _output_file(path: Path, file_format: str | None) -> Path:
    stated = FORMAT_BY_SUFFIX.get(path.suffix.lower())
    if stated is None:
        known = " ".join(FORMAT_BY_SUFFIX)
        raise UsageError(f"-o {path} must end in one of {known}, or in / for a folder")
    if file_format not in (None, stated):
        raise UsageError(
            f"-o {path} and --format {file_format.lower()} contradict each other: "
            "leave --format out, or change the ending"
        )
    return path


def with_format(target: Path, file_format: str | None) -> Path:
    """Changes the suffix of a photo's result to that of the format, and where it cannot be written.

    Without a format a phone's HEIC becomes JPEG, as does JPEG under another name; all else that
    cannot be written becomes PNG.
    """
    stated = FORMAT_BY_SUFFIX.get(target.suffix.lower())
    if stated is not None and file_format in (None, stated):
        return target
    wanted = file_format or ("JPEG" if target.suffix.lower() in _BECOME_JPEG else "PNG")
    suffix = next(suffix for suffix, known in FORMAT_BY_SUFFIX.items() if known == wanted)
    return target.with_name(f"{target.stem}{suffix}")


def free_target(source: Path, target: Path, taken: set[str]) -> Path:
    """Finds a name for a photo's result that no other of the run has, the same in every run.

    ``taken`` holds the keys of the names that others have; this one's is added.
    """
    candidate, number = target, 1
    # Names that differ in case only are one file on many disks.
    while (key := os.path.abspath(candidate).casefold()) in taken:  # noqa: PTH100
        number += 1
        changed = source.suffix.lower() != target.suffix.lower() and number == 2
        extra = source.suffix if changed else f".{number}"
        candidate = target.with_name(f"{target.stem}{extra}{target.suffix}")
    taken.add(key)
    return candidate


def _protect_inputs(jobs: list[Job], also_read: Sequence[Path]) -> None:
    read = {real_path(job.source) for job in jobs if job.source is not None}
    read |= {real_path(path) for path in also_read}
    for job in jobs:
        if job.target is None:
            continue
        same = real_path(job.target) in read or any(
            exists(job.target) and exists(path) and job.target.samefile(path)
            for path in (job.source, *also_read)
            if path is not None
        )
        if same:
            raise UsageError(
                f"{job.target} is an input and would be overwritten: choose another -o"
            )
