"""The styles that have names: the shipped ones, and the user's own (`impasto.catalog.own`).

The shipped ones are model files in this folder and ``catalog.toml``, one row each. A row
states ``name`` (what ``--style`` takes), ``file`` (the model's file name in this folder),
``title``, ``artist``, ``year``, ``source`` (where the painting's picture comes from) and
``licence`` (of the model). The first row is the style that is used when none is named. A
shipped style's name goes before an own one.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from impasto.catalog.own import own_models
from impasto.errors import ModelError, UnknownStyleError

CATALOG_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Style:
    """One style that has a name.

    Attributes:
        name: what ``--style`` takes, for example ``"great_wave"``.
        title: the painting's name; an own style's is its ``name``.
        artist: who painted it; ``""`` for an own style, as the next three.
        year: when, as text: ``"1831"``, ``"about 1831"``.
        source: where the painting's picture comes from.
        licence: SPDX identifier of the model.
        path: the model file.
        origin: ``"shipped"`` with Impasto, or the user's ``"own"``.
    """

    name: str
    title: str
    artist: str
    year: str
    source: str
    licence: str
    path: Path
    origin: Literal["shipped", "own"] = "shipped"


def list_styles() -> tuple[Style, ...]:
    """Returns the shipped styles in catalogue order, the default first, then the user's own.

    Raises:
        ModelError: the catalogue of this installation is damaged.
    """
    shipped = shipped_styles()
    names = {style.name for style in shipped}
    own = (
        Style(name, name, "", "", "", "", path, "own")
        for name, path in own_models().items()
        if name not in names
    )
    return (*shipped, *own)


def shipped_styles() -> tuple[Style, ...]:
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
    """Finds a style by its name.

    Args:
        name: its name, or None for the default.

    Raises:
        UnknownStyleError: there is none of that name; the known ones are listed.
    """
    shipped = shipped_styles()
    if name is None:
        if not shipped:
            raise UnknownStyleError("there is no default style: none is shipped, give a model file")
        return shipped[0]
    # The data folder is looked at only for names that are not shipped.
    found = _named(shipped, name) or _named(styles := list_styles(), name)
    if found is not None:
        return found
    names = [style.name for style in styles]
    if not names:
        raise UnknownStyleError(f"there is no style {name!r}: none is shipped, give a model file")
    raise UnknownStyleError(
        f"there is no style {name!r}: {close_name(name, names)}known are {', '.join(names)}"
    )


def close_name(name: str, known: list[str]) -> str:
    """Returns ``"did you mean ...? "`` where a known name is like the one given, else ``""``."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}? " if close else ""


def _named(styles: tuple[Style, ...], name: str) -> Style | None:
    return next((style for style in styles if style.name == name), None)
