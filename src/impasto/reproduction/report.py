"""One report, as Markdown and as HTML, from the sections that lie in a folder."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from impasto.images.writing import atomic_path

SECTIONS: Final = ("speed", "objective", "superres", "figures")
"""Their order in the report."""

TITLE: Final = "Perceptual losses: the paper's results on this machine"

_STYLE: Final = """\
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #262421; background: #faf8f4; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
caption { caption-side: top; text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd8cf; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: #6d675f; }
"""


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column names the rows."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A picture file beside the section, with what it shows."""

    file: str
    caption: str


@dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        name: its folder, one of `SECTIONS`.
        title: its heading.
        text: paragraphs.
        tables: shown below the text.
        pictures: shown below the tables.
        machine: what the figures were taken on.
        notes: sentences on the data and on what was cut.
    """

    name: str
    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    machine: str = ""
    notes: Sequence[str] = ()

    def circumstances(self) -> list[str]:
        """Returns under which the figures were taken, a paragraph each."""
        return [*([f"Machine: {self.machine}."] if self.machine else []), *self.notes]


def save_section(folder: Path, section: Section) -> None:
    """Writes a section's parts for `write_report`, and its tables as CSV.

    Args:
        folder: the report's folder.
        section: its tables become ``<folder>/<name>/table1.csv`` and so on.

    Raises:
        OutputError: a file cannot be written.
    """
    own = folder / section.name
    for number, table in enumerate(section.tables, start=1):
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows([table.header, *table.rows])
        _write(own / f"table{number}.csv", file.getvalue())
    _write(own / "section.json", json.dumps(asdict(section), indent=1) + "\n")


def write_report(folder: Path) -> list[Path]:
    """Puts the sections of a folder together.

    Where all were made under the same circumstances, these are stated once, at the top;
    otherwise each section states its own.

    Args:
        folder: where ``report.md`` and ``report.html`` go.

    Returns:
        The two files.

    Raises:
        OutputError: a file cannot be written.
    """
    sections = [
        _section(json.loads(file.read_text(encoding="utf-8")))
        for name in SECTIONS
        if (file := folder / name / "section.json").is_file()
    ]
    files = [folder / "report.md", folder / "report.html"]
    _write(files[0], "\n\n".join(_markdown(sections)) + "\n")
    _write(files[1], "\n".join(_html(sections)) + "\n")
    return files


def _shared(sections: list[Section]) -> list[str]:
    """Returns the circumstances that all sections have in common, or nothing."""
    first, *others = [section.circumstances() for section in sections] or [[]]
    return first if all(other == first for other in others) else []


def _paragraphs(section: Section, shared: list[str]) -> list[str]:
    """Returns a section's text, its circumstances first if they are not at the top."""
    return [*([] if shared else section.circumstances()), *section.text]


def _section(values: dict[str, Any]) -> Section:
    tables = [Table(**table) for table in values.pop("tables")]
    pictures = [Picture(**picture) for picture in values.pop("pictures")]
    return Section(**values, tables=tables, pictures=pictures)


def _markdown(sections: list[Section]) -> Iterator[str]:
    shared = _shared(sections)
    yield f"# {TITLE}"
    yield from shared
    for section in sections:
        yield f"## {section.title}"
        yield from _paragraphs(section, shared)
        for table in section.tables:
            yield f"**{table.caption}**"
            rows = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.rows]
            yield "\n".join(f"| {' | '.join(_cell(c) for c in row)} |" for row in rows)
        for picture in section.pictures:
            yield f"![{picture.caption}]({section.name}/{picture.file})"
            yield f"*{picture.caption}*"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _html(sections: list[Section]) -> Iterator[str]:
    shared = _shared(sections)
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{html.escape(TITLE)}</title><style>\n{_STYLE}</style></head><body>"
    yield f"<h1>{html.escape(TITLE)}</h1>"
    yield from (f"<p>{html.escape(note)}</p>" for note in shared)
    for section in sections:
        yield f'<h2 id="{section.name}">{html.escape(section.title)}</h2>'
        paragraphs = _paragraphs(section, shared)
        yield from (f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
        for table in section.tables:
            yield f"<table><caption>{html.escape(table.caption)}</caption>"
            yield _html_row("th", table.header)
            yield from (_html_row("td", row) for row in table.rows)
            yield "</table>"
        for picture in section.pictures:
            caption = html.escape(picture.caption)
            source = html.escape(f"{section.name}/{picture.file}")
            yield f'<figure><img src="{source}" alt="{caption}">'
            yield f"<figcaption>{caption}</figcaption></figure>"
    yield "</body></html>"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
