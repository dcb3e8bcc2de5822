"""Says what figures were taken on, and what memory they took."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

from impasto.runtime.cores import usable_cores


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


def peak_memory_bytes() -> int:
    """Returns the most main memory that this process has held; not on Windows."""
    status = Path("/proc/self/status")
    if status.is_file():  # the general way counts the process that started this one
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10  # macOS counts bytes


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
