"""What this machine has for us: processor cores and memory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from impasto.errors import UsageError

MOST_THREADS: Final = 1024
# What a container may take; "max" where there is no limit.
_CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


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


def available_bytes() -> int | None:
    """Returns the memory of this machine or container, or None where it is not known."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None
    with contextlib.suppress(OSError, ValueError):
        limits.append(int(_CONTAINER_LIMIT.read_text(encoding="ascii")))
    return min(limits)
