"""The measures of ``impasto evaluate style`` as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from impasto.cli.console import one_line

if TYPE_CHECKING:
    from impasto.evaluation import StyleMeasures

_PHOTO_COLUMNS: Final = {
    "painted": "painted",
    "kept": "kept",
    "repainted": "repainted",
    "follow": "follow",
    "faces": "faces",
    "lattice_2": "lattice 2",
    "lattice_4": "lattice 4",
}
"""The keys of a photo's measures, and the heads of their columns."""

_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "painted": ("painted",),
    "at 512, 256, 128 px": ("balanced_1", "balanced_2", "balanced_4"),
    "kept": ("kept",),
    "at 512, 256, 128": ("correlation_1", "correlation_2", "correlation_4"),
    "repainted": ("repainted",),
    "follow": ("follow",),
    "faces": ("faces",),
    "ghost": ("ghost",),
    "halo": ("halo",),
    "grid": ("grid",),
    "period": ("grid_period_px",),
    "lattice 2": ("lattice_2",),
    "lattice 4": ("lattice_4",),
}
"""Heads of the columns of means, and the keys of what stands in each."""

_WIDTH: Final = len("0.000")
_ONE_DIGIT: Final = ("halo", "grid", "grid_period_px")


class PhotoTable:
    """A table that grows while photos are measured.

    Args:
        title: a line above it.
        photos: their names.
    """

    def __init__(self, title: str, photos: Iterable[str]) -> None:
        self._title = title
        self._width = max(len(one_line(text)) for text in ("photo", *photos))
        self._begun = False

    def show(
        self, name: str, row: Mapping[str, float | None], print_line: Callable[[str], None]
    ) -> None:
        """Prints a row, below the table's head if it is the first."""
        heads = [f"{head:>{_WIDTH}}" for head in _PHOTO_COLUMNS.values()]
        if not self._begun:
            self._begun = True
            print_line(one_line(self._title))
            print_line("")
            print_line(self._line("photo", heads))
            print_line(
                self._line("-" * self._width, [f"{'-' * (len(head) - 1)}:" for head in heads])
            )
        print_line(self._line(one_line(name), [_cell(key, row) for key in _PHOTO_COLUMNS]))

    def _line(self, name: str, cells: Iterable[str]) -> str:
        padded = [
            f"{cell:>{max(len(head), _WIDTH)}}"
            for cell, head in zip(cells, _PHOTO_COLUMNS.values(), strict=True)
        ]
        return f"| {name:{self._width}} | {' | '.join(padded)} |"


def means_table(
    style: str, measures: StyleMeasures, controls: Mapping[str, StyleMeasures]
) -> Iterator[str]:
    """Yields the lines of a table: the style and the controls, and the measures that each fails.

    Args:
        style: its name.
        measures: of the style.
        controls: by name, of the same photos.
    """
    from impasto.evaluation.controls import failed_measures

    rows = [["mean", *_COLUMNS, "fails"]]
    for name, found in [(style, measures), *controls.items()]:
        values = found.to_dict()
        cells = [" ".join(_cell(key, values) for key in keys) for keys in _COLUMNS.values()]
        failed = ", ".join(failed_measures(found)).replace("_", " ")
        rows.append([one_line(name), *cells, failed or "none"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rules = [f"{'-' * (width - 1)}:" for width in widths[1:-1]]
    rows.insert(1, ["-" * widths[0], *rules, "-" * widths[-1]])
    for first, *cells, last in rows:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:-1], strict=True)]
        yield f"| {first:{widths[0]}} | {' | '.join(padded)} | {last:{widths[-1]}} |"


def _cell(key: str, row: Mapping[str, float | None]) -> str:
    value = row[key]
    if value is None:
        return "-"
    return f"{value:.1f}" if key in _ONE_DIGIT else f"{value:.3f}"
