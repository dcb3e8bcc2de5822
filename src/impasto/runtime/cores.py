"""How many processor cores there are for us."""

from __future__ import annotations

import os
from typing import Final

from impasto.errors import UsageError

MOST_THREADS: Final = 1024


def usable_cores() -> int:
    """Returns the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def check_threads(threads: int | None) -> None:
    """Checks a number of threads; None leaves it to the machine.

    Raises:
        UsageError: it lies outside its range.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"--threads must lie between 1 and {MOST_THREADS}, not {threads}")
