"""What commands that change pictures have in common, checked before any file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from impasto.errors import UsageError
from impasto.runtime.cores import check_threads


@dataclass(frozen=True)
class Voice:
    """How much a run says.

    Attributes:
        as_json: one JSON line per file on stdout, in place of the results' paths.
        quiet: nothing but errors.
        verbose: what is done and how long it takes.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def check_voice(voice: Voice, threads: int | None) -> None:
    """Checks how much a run says, and on how many threads it works.

    Raises:
        UsageError: a number lies outside its range, or two settings contradict each other.
    """
    check_threads(threads)
    if voice.quiet and voice.verbose:
        raise UsageError("--quiet and --verbose contradict each other: give one of them")


def check_at_least_one(flag: str, value: int | None) -> None:
    """Checks a number that may be left out.

    Raises:
        UsageError: it is below 1.
    """
    if value is not None and value < 1:
        raise UsageError(f"--{flag} must be at least 1, not {value}")


def check_csv(csv_file: Path | None) -> None:
    """Checks ``--csv``.

    Raises:
        UsageError: the name does not end in ``.csv``, or is a folder's.
    """
    from impasto.cli.plan import is_folder

    if csv_file is None:
        return
    if csv_file.suffix.lower() != ".csv":
        raise UsageError(f"--csv is {csv_file}; its name must end in .csv")
    if is_folder(csv_file):
        raise UsageError(f"--csv takes a file, and {csv_file} is a folder")
