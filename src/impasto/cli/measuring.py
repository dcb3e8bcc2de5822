"""What the parts of ``impasto evaluate`` have in common: many pictures, a table, an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from impasto.cli.console import named, one_line, own_stderr, print_error, print_result, progress_bar
from impasto.errors import ImageError, MissingExtraError
from impasto.markdown import MarkdownTable

MEAN: Final = "mean"
"""What stands for a picture's name in the rows of the means."""

Cells = Iterable[Sequence[str]]
_Found = TypeVar("_Found")


def growing_table(
    title: str, heads: Sequence[str], texts: Sequence[Iterable[str]], widths: Sequence[int]
) -> Callable[[Cells], Iterator[str]]:
    """Makes a Markdown table that grows while pictures are measured: what makes lines of rows.

    Args:
        title: a line above it.
        heads: of the columns.
        texts: all that the first columns will hold, which are aligned to the left.
        widths: of the other columns, in characters.
    """
    least = [
        max(len(one_line(text)) for text in [head, *column])
        for head, column in zip(heads, texts, strict=False)
    ]
    table = MarkdownTable(heads, (*least, *widths), texts=range(len(texts)), title=one_line(title))
    return lambda rows: (line for cells in rows for line in table.row(map(one_line, cells)))


def measure_all(
    pictures: Mapping[str, Path],
    measure: Callable[[str, Path, Callable[..., None]], _Found],
    lines: Callable[[str, _Found], Iterable[str]] | None,
    *,
    steps: int = 1,
    doing: str = "measuring",
) -> tuple[dict[str, _Found], dict[str, str]]:
    """Measures each picture under a bar.

    Args:
        pictures: by name.
        measure: measures one, and calls what it is given after each of its steps but the last.
        lines: what is printed of one, by its name; None prints nothing.
        steps: of one picture, for the bar.
        doing: what is done, in one word.

    Returns:
        What was found, and the messages of those that could not be measured; both by name.
    """
    found: dict[str, _Found] = {}
    failed: dict[str, str] = {}
    with own_stderr(), progress_bar(steps * len(pictures), shown=True, doing=doing) as screen:
        for name, path in pictures.items():
            left = steps

            def step(*_: object) -> None:
                nonlocal left
                left -= 1
                screen.advance()

            try:
                found[name] = measure(name, path, step)
            except (ImageError, MissingExtraError) as error:
                failed[name] = named(path, error)
            else:
                for line in lines(name, found[name]) if lines is not None else ():
                    screen.result(line)
            for _ in range(left):
                screen.advance()
    return found, failed


def tell(
    result: Mapping[str, Any] | Iterable[str], found: object, failed: Mapping[str, str]
) -> None:
    """Prints the result, an object or lines, if there is any; then the messages of failures."""
    if found and isinstance(result, Mapping):
        print_result(json.dumps({**result, "failed": failed}))
    elif found:
        for line in result:
            print_result(line)
    for message in failed.values():
        print_error(message)


def exit_if_failed(found: object, failed: object) -> None:
    """Ends the command with 2 where no picture could be measured, with 1 where some could not."""
    if failed:
        raise typer.Exit(1 if found else 2)
