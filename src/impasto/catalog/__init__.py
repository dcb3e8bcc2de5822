"""The shipped styles: model files in this folder and ``catalog.toml``, one row each.

A row states ``name`` (what ``--style`` takes), ``file`` (the model's file name in this
folder), ``title``, ``artist``, ``year``, ``source`` (where the painting's picture comes from)
and ``licence`` (of the model). The first row is the style that is used when none is named.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import ModelError, UnknownStyleError

CATALOG_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Style:
    """One shipped style.

    Attributes:
        name: what ``--style`` takes, for example ``"great_wave"``.
        title: the painting's name.
        artist: who painted it.
        year: when, as text: ``"1831"``, ``"about 1831"``.
        source: where the painting's picture comes from.
        licence: SPDX identifier of the model.
        path: the model file.
    """

    name: str
    title: str
    artist: str
    year: str
    source: str
    licence: str
    path: Path


def list_styles() -> tuple[Style, ...]:
    """Returns the shipped styles in catalogue order; the first is the default.

    Raises:
        ModelError: the catalogue of this installation is damaged.
    """
    path = CATALOG_FOLDER / "catalog.toml"
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("style", [])
        return tuple(
            Style(
                name=row["name"],
                title=row["title"],
                artist=row["artist"],
                year=str(row["year"]),
                source=row["source"],
                licence=row["licence"],
                path=CATALOG_FOLDER / row["file"],
            )
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"the catalogue {path} is damaged, install impasto again: {error}"
        ) from error


def find_style(name: str | None = None) -> Style:
    """Finds a shipped style.

    Args:
        name: its name, or None for the default.

    Raises:
        UnknownStyleError: there is none of that name; the known ones are listed.
    """
    styles = list_styles()
    if name is None and styles:
        return styles[0]
    for style in styles:
        if style.name == name:
            return style
    names = [style.name for style in styles]
    if not names:
        wanted = "default style" if name is None else f"style {name!r}"
        raise UnknownStyleError(f"there is no {wanted}: none is shipped, give a model file")
    close = difflib.get_close_matches(name or "", names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UnknownStyleError(f"there is no style {name!r}: {hint}known are {', '.join(names)}")
