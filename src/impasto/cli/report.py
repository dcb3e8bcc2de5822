"""What became of each input of a run, and the exit code that follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import typer

from impasto.cli.console import print_error, print_note
from impasto.errors import ImpastoError


@dataclass(frozen=True)
class Words:
    """What a run calls its work.

    Attributes:
        does: "paints".
        doing: "painting".
        done: "painted".
    """

    does: str
    doing: str
    done: str


PAINTING: Final = Words("paints", "painting", "painted")
UPSCALING: Final = Words("upscales", "upscaling", "upscaled")


@dataclass(frozen=True)
class Outcome:
    """What became of one input; the fields are those of a ``--json`` line.

    Attributes:
        input: the photo's path as given or found, ``"-"`` for stdin.
        output: the result's path; None where the input yields none.
        width: of the result, in px; None without one.
        height: likewise.
        how: what it was done with, each a field of its own in JSON: the style's name, or
            model and scale.
        device: where the network ran.
        elapsed_s: wall-clock time of reading, working and writing.
        status: ``"done"``, ``"skipped"`` (the output was there) or ``"failed"``.
        error: the message of what failed, or None.
    """

    input: str
    output: str | None
    width: int | None
    height: int | None
    how: dict[str, str | int]
    device: str
    elapsed_s: float
    status: str
    error: str | None = None

    def to_json(self) -> str:
        """Returns the outcome as one line of JSON."""
        row: dict[str, object] = {}
        for name, value in asdict(self).items():
            row |= value if name == "how" else {name: value}
        return json.dumps(row)


class Report:
    """The outcomes of a run in the order in which they came."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.outcomes: list[Outcome] = []
        self._errors: list[ImpastoError] = []

    def add(self, outcome: Outcome, error: ImpastoError | None = None) -> None:
        """Keeps an outcome, with what made it fail."""
        self.outcomes.append(outcome)
        if error is not None:
            self._errors.append(error)

    def finish(self, *, quiet: bool, not_begun: int = 0) -> None:
        """Prints what failed and a summary.

        Args:
            quiet: only what failed.
            not_begun: pictures that were left out because the disk is full.

        Raises:
            typer.Exit: something failed: 2 where nothing among the inputs was usable, 1 where
                some of the work failed.
        """
        failed = [outcome for outcome in self.outcomes if outcome.status == "failed"]
        for outcome in failed:
            text = outcome.error or ""
            print_error(text if outcome.input in text else f"{outcome.input}: {text}")
        if not_begun:
            print_error(f"stopped, since the disk is full: {not_begun} more were not begun")
        if not quiet and len(self.outcomes) > 1:
            print_note(summary(self._words, [outcome.status for outcome in self.outcomes]))
        if failed:
            unusable = len(failed) == len(self.outcomes)
            raise typer.Exit(2 if unusable and all(e.exit_code == 2 for e in self._errors) else 1)


def summary(words: Words, statuses: Sequence[str]) -> str:
    """Returns how many inputs came to each end.

    Args:
        words: what the run calls its work.
        statuses: of `Outcome`, one for each input.
    """
    note = f"{statuses.count('done')} {words.done}"
    if skipped := statuses.count("skipped"):
        note += f", {skipped} were already there (--overwrite {words.does} them again)"
    if failed := statuses.count("failed"):
        note += f", {failed} failed"
    return note
