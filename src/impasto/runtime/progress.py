"""Telling how far a picture is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]
"""Takes the share of a picture that is done."""


def nothing(_share: float) -> None:
    """Takes reports that nobody wants."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Returns a function that reports a part's progress as progress of the whole."""
    return lambda share: progress(start + share * (end - start))
