"""The styles that have names: the shipped ones, and the user's own (`impasto.catalog.own`).

The shipped ones lie in model files in this folder; ``catalog.toml`` has a row for each style,
and several may share a file. A row states ``name`` (what ``--style`` takes), ``file`` (the
model's file name in this folder), ``title``, ``artist``, ``year``, ``source`` (where the
painting's picture comes from), ``licence`` (of the model), ``recipe`` (its file name in the
repository's ``recipes/``) and ``scores`` (a table of numbers). The first row is the style that
is used when none is named. A shipped style's name goes before an own one.

No model file is opened here: `impasto.runtime.styles` does, for the names inside own files.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from impasto.catalog.own import own_models
from impasto.errors import ModelError

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
        recipe: file in the repository's ``recipes/`` that trains it again; ``""`` for an own
            style.
        scores: its quality on ``photos`` photos, the measures of `impasto.evaluation`; empty
            for an own style.
    """

    name: str
    title: str
    artist: str
    year: str
    source: str
    licence: str
    path: Path
    origin: Literal["shipped", "own"] = "shipped"
    recipe: str = ""
    scores: dict[str, float] = field(default_factory=dict, hash=False)


def list_styles() -> tuple[Style, ...]:
    """Returns the shipped styles in catalogue order, the default first, then the user's own.

    Of an own file only the name is read, which stands for its first style.

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
                recipe=row["recipe"],
                scores=dict(row["scores"]),
            )
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"the catalogue {path} is damaged, install impasto again: {error}"
        ) from error


def close_name(name: str, known: list[str]) -> str:
    """Returns ``"did you mean ...? "`` where a known name is like the one given, else ``""``."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}? " if close else ""
