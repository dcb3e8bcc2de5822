"""How much memory there is for us."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

# What a container may take; "max" where there is no limit.
_CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def available_bytes() -> int | None:
    """Returns the memory of this machine or container, or None where it is not known."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None
    with contextlib.suppress(OSError, ValueError):
        limits.append(int(_CONTAINER_LIMIT.read_text(encoding="ascii")))
    return min(limits)
