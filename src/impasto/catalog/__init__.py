"""The models that have names: the shipped ones, and the user's own (`impasto.catalog.own`).

The shipped ones lie in model files in this folder; ``catalog.toml`` has a row ``[[style]]`` for
each style and ``[[upscaler]]`` for each super-resolution network, whose keys are the fields of
`Style` and `Upscaler`, with the name of the model's ``file`` in place of its path. Several styles
may share a file. The first style is used when none is named, and a shipped style's name goes
before an own one. An upscaler's name may stand in a row for each scale.

No model file is opened here: `impasto.runtime.styles` does, for the names inside own files.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from impasto.catalog.own import own_models
from impasto.dials import Enlarging
from impasto.errors import ModelError

CATALOG_FOLDER = Path(__file__).parent

# The network that gives a scale: twice the size is four times the size, halved.
_NETWORK_SCALES: Final = {2: 4, 4: 4, 8: 8}

_Row = TypeVar("_Row")


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


@dataclass(frozen=True)
class Upscaler:
    """One shipped super-resolution network.

    Attributes:
        name: what ``--model`` takes, for example ``"photo"``.
        scale: how many times as wide and high it makes a picture.
        title: what it is for, in a few words.
        licence: SPDX identifier of the model.
        path: the model file.
        recipe: file in the repository's ``recipes/`` that trains it again.
        scores: its quality on the field's test sets.
    """

    name: str
    scale: int
    title: str
    licence: str
    path: Path
    recipe: str = ""
    scores: dict[str, float] = field(default_factory=dict, hash=False)


def list_styles() -> tuple[Style, ...]:
    """Returns the shipped styles in catalogue order, the default first, then the user's own.

    Of an own file only the name is read, which stands for its first style. This and the other
    lists raise ModelError where the catalogue of this installation is damaged.
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
    """Returns the shipped styles in catalogue order; the first is the default."""
    return _read("style", lambda year, **row: Style(year=str(year), **row))


def list_upscalers() -> tuple[Upscaler, ...]:
    """Returns the shipped super-resolution networks in catalogue order."""
    return _read("upscaler", Upscaler)


def find_upscaler(name: str | None, scale: int) -> Upscaler:
    """Finds the network of a name that can enlarge by a scale.

    Args:
        name: its name; None is the first one of the scale.
        scale: 2, 4 or 8. Twice the size is made from four times the size.

    Raises:
        UsageError: there is no such scale.
        ModelError: there is no such network; those of the scale are listed.
    """
    scale = Enlarging(scale=scale).scale
    fitting = [item for item in list_upscalers() if item.scale == _NETWORK_SCALES[scale]]
    for item in fitting:
        if name in (item.name, None):
            return item
    names = [item.name for item in fitting]
    if name is None or not names:
        raise ModelError(f"no upscaling model for scale {scale} is shipped: give a model file")
    raise ModelError(
        f"no upscaling model {name!r} for scale {scale} is there: {close_name(name, names)}"
        f"for that scale there are {', '.join(names)}; or give a model file"
    )


def _read(table: str, make: Callable[..., _Row]) -> tuple[_Row, ...]:
    """Reads one kind of rows of the catalogue; their keys are the fields, ``file`` is the path."""
    path = CATALOG_FOLDER / "catalog.toml"
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get(table, [])
        return tuple(
            make(path=CATALOG_FOLDER / row.pop("file"), **row | {"scores": dict(row["scores"])})
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
