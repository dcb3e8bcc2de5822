"""A report as it grows in a folder: measurements, plots and sections, and one Markdown file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from impasto.errors import ResumeError
from impasto.images.writing import atomic_path
from impasto.markdown import table_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Value = TypeVar("Value")
Progress = Callable[[str], None]
"""Takes a line on what is measured."""

SECTIONS: Final = ("speed", "objective", "superres", "figures")
"""Their order in the report."""

TITLE: Final = "Perceptual losses: the paper's results on this machine"

COLOURS: Final = ("#2f5d8a", "#c4542d", "#5d8a3c", "#8a5d9e")


class Measurements:
    """The measurements of one section, kept in its folder as soon as each is made.

    A later run goes on from ``<folder>/measurements.json``, if it has the same ``inputs``:
    everything that the measurements depend on, JSON-ready.

    Raises:
        ResumeError: the folder holds measurements of other inputs, or an unreadable file.
    """

    def __init__(self, folder: Path, inputs: dict[str, Any]) -> None:
        self._path = folder / "measurements.json"
        self._inputs = json.loads(json.dumps(inputs))
        self._values: dict[str, Any] = {}
        if not self._path.exists():
            return
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            before, self._values = kept["inputs"], dict(kept["values"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ResumeError(
                f"{self._path} cannot be read: remove it, or choose another -o"
            ) from error
        names = sorted(before.keys() | self._inputs.keys())
        if other := [name for name in names if before.get(name) != self._inputs.get(name)]:
            raise ResumeError(
                f"{folder} holds measurements with other {', '.join(other)}: choose another -o"
            )

    def get(self, name: str, measure: Callable[[], Value]) -> Value:
        """Returns a measurement, JSON-ready; it is made and kept if it is missing."""
        if name not in self._values:
            self.keep(name, measure())
        kept: Value = self._values[name]
        return kept

    def holds(self, name: str, value: object) -> bool:
        """Tells whether a measurement is there and has this value."""
        return name in self._values and self._values[name] == json.loads(json.dumps(value))

    def keep(self, name: str, value: object) -> None:
        """Keeps a measurement, JSON-ready, in place of an earlier one."""
        self._values[name] = json.loads(json.dumps(value))
        text = json.dumps({"inputs": self._inputs, "values": self._values}, indent=1)
        _write(self._path, text + "\n")


@contextmanager
def plot(path: Path, panels: int = 1) -> Iterator[list[Axes]]:
    """Gives panels to draw on, side by side, and writes them as ``path``.png and .svg."""
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


def colour(number: int) -> str:
    """Returns the colour of a line by its number; they come round again."""
    return COLOURS[number % len(COLOURS)]


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


def save_section(folder: Path, section: Section) -> None:
    """Writes a section for `write_report`, as ``<folder>/<name>/section.json``."""
    text = json.dumps(asdict(section), indent=1)
    _write(folder / section.name / "section.json", text + "\n")


def write_report(folder: Path) -> Path:
    """Puts the sections of a folder together as ``report.md``, and returns its path.

    Circumstances that all share are stated once, at the top, others in each section.
    """
    files = [folder / name / "section.json" for name in SECTIONS]
    sections = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    path = folder / "report.md"
    _write(path, "\n\n".join(_markdown(sections)) + "\n")
    return path


def _markdown(sections: list[dict[str, Any]]) -> Iterator[str]:
    """Yields the report's paragraphs; sections as `save_section` wrote them."""
    circumstances = [
        [*([f"Machine: {section['machine']}."] if section["machine"] else []), *section["notes"]]
        for section in sections
    ]
    shared = all(other == circumstances[0] for other in circumstances)
    yield f"# {TITLE}"
    yield from circumstances[0] if shared else []
    for section, own in zip(sections, circumstances, strict=True):
        yield f"## {section['title']}"
        yield from [] if shared else own
        yield from section["text"]
        for table in section["tables"]:
            yield f"**{table['caption']}**"
            yield "\n".join(table_lines(table["header"], table["rows"]))
        for picture in section["pictures"]:
            yield f"![{picture['caption']}]({section['name']}/{picture['file']})"
            yield f"*{picture['caption']}*"


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
