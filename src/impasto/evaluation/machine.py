"""Says in one line what figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def describe_machine(threads: int, packages: tuple[str, ...]) -> str:
    """Returns CPU model, cores, threads and versions, for the line below a table.

    Args:
        threads: CPU threads that the measured code was given.
        packages: distributions whose versions matter.
    """
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{_cpu_model()}, {usable_cores()} cores, {threads} threads; "
        f"Python {platform.python_version()}, {versions}; {platform.system()}"
    )


def usable_cores() -> int:
    """Returns the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
