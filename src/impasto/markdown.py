"""Tables in Markdown, padded so that they read well as plain text too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence


class MarkdownTable:
    """Makes the lines of a table row by row, so that it can grow while it is shown.

    Args:
        heads: of the columns.
        widths: of each column at least, in characters; the heads' own when omitted.
        texts: numbers of the columns that are aligned to the left; the others hold figures.
        title: a line above the table; none when omitted.
    """

    def __init__(
        self,
        heads: Sequence[str],
        widths: Iterable[int] = (),
        *,
        texts: Collection[int] = (0,),
        title: str = "",
    ) -> None:
        least = tuple(widths) or (0,) * len(heads)
        self._widths = [
            max(len("---"), len(_cell(head)), width)
            for head, width in zip(heads, least, strict=True)
        ]
        self._texts = texts
        rules = [
            "-" * width if number in texts else f"{'-' * (width - 1)}:"
            for number, width in enumerate(self._widths)
        ]
        self._due = [*([title, ""] if title else []), self._line(heads), self._line(rules)]

    def row(self, cells: Iterable[str]) -> Iterator[str]:
        """Yields the line of a row, title and head before the first; wide cells are not cut."""
        due, self._due = self._due, []
        yield from due
        yield self._line(cells)

    def _line(self, cells: Iterable[str]) -> str:
        padded = (
            f"{cell:{'<' if number in self._texts else '>'}{width}}"
            for number, (cell, width) in enumerate(
                zip(map(_cell, cells), self._widths, strict=True)
            )
        )
        return f"| {' | '.join(padded)} |"


def table_lines(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, texts: Collection[int] = (0,)
) -> Iterator[str]:
    """Yields the lines of a whole table, each column as wide as its widest cell."""
    widths = [max(len(_cell(cell)) for cell in column) for column in zip(*rows, heads, strict=True)]
    table = MarkdownTable(heads, widths, texts=texts)
    for row in rows:
        yield from table.row(row)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
