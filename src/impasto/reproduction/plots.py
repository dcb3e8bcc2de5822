"""Plots as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.images.writing import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2f5d8a", "#c4542d", "#5d8a3c", "#8a5d9e")


def colour(number: int) -> str:
    """Returns the colour of a line by its number; they come round again."""
    return COLOURS[number % len(COLOURS)]


@contextmanager
def plot(path: Path, panels: int = 1) -> Iterator[list[Axes]]:
    """Gives panels to draw on, side by side, and writes them as ``path``.png and .svg.

    Raises:
        OutputError: a file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 4.5 * panels, 4), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)
    for panel in axes[0]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    yield list(axes[0])
    for suffix in (".png", ".svg"):
        with atomic_path(path.with_suffix(suffix)) as temporary:
            # Without a date, the same figures give the same file.
            metadata = {"Date": None} if suffix == ".svg" else None
            figure.savefig(temporary, dpi=110, metadata=metadata)
