"""The measures of ``impasto evaluate style`` as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from impasto.cli.console import one_line
from impasto.markdown import MarkdownTable, table_lines

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
        name_width = max(len(one_line(text)) for text in ("photo", *photos))
        heads = ("photo", *_PHOTO_COLUMNS.values())
        widths = (name_width, *[_WIDTH] * len(_PHOTO_COLUMNS))
        self._table = MarkdownTable(heads, widths, title=one_line(title))

    def show(
        self, name: str, row: Mapping[str, float | None], print_line: Callable[[str], None]
    ) -> None:
        """Prints a row, below the table's head if it is the first."""
        for line in self._table.row((one_line(name), *(_cell(key, row) for key in _PHOTO_COLUMNS))):
            print_line(line)


def means_table(
    style: str, measures: StyleMeasures, controls: Mapping[str, StyleMeasures]
) -> Iterator[str]:
    """Returns the lines of a table: the style and the controls, and the measures that each fails.

    Args:
        style: its name.
        measures: of the style.
        controls: by name, of the same photos.
    """
    from impasto.evaluation.controls import failed_measures

    rows = []
    for name, found in [(style, measures), *controls.items()]:
        values = found.to_dict()
        cells = [" ".join(_cell(key, values) for key in keys) for keys in _COLUMNS.values()]
        failed = ", ".join(failed_measures(found)).replace("_", " ")
        rows.append([one_line(name), *cells, failed or "none"])
    return table_lines(["mean", *_COLUMNS, "fails"], rows, texts=(0, len(_COLUMNS) + 1))


def _cell(key: str, row: Mapping[str, float | None]) -> str:
    value = row[key]
    if value is None:
        return "-"
    return f"{value:.1f}" if key in _ONE_DIGIT else f"{value:.3f}"
