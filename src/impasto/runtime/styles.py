"""Every style that has a name, those inside own model files included, and finding one of them.

An own file goes by its own name, which stands for its first style, or for the one that is
called so. What else it holds has a name too, unless another style has it already: a style that
was added to a shipped model brings that model's styles along.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from impasto import catalog
from impasto.catalog import Style, close_name, shipped_styles
from impasto.errors import ModelError, UnknownStyleError
from impasto.runtime.model_file import read_model_file


def list_styles() -> tuple[Style, ...]:
    """Returns the shipped styles, the default first, then the user's own, file by file.

    Own files are read for the names in them. One that is damaged is listed by its own name.

    Raises:
        ModelError: the catalogue of this installation is damaged.
    """
    styles = {style.name: style for style in catalog.list_styles()}
    listed = []
    for style in tuple(styles.values()):
        listed.append(style)
        for name in _others(style) if style.origin == "own" else ():
            if name not in styles:
                styles[name] = dataclasses.replace(style, name=name, title=name)
                listed.append(styles[name])
    return tuple(listed)


def find_style(name: str | None = None) -> Style:
    """Finds a style by its name; None is the default.

    Raises:
        UnknownStyleError: there is none of that name; the known ones are listed.
    """
    if name is None:
        shipped = shipped_styles()
        if not shipped:
            raise UnknownStyleError("there is no default style: none is shipped, give a model file")
        return shipped[0]
    # The data folder is looked at only for names that are not shipped, and into its files only
    # for names that are not those of files.
    for listed in (shipped_styles, catalog.list_styles, list_styles):
        styles = {style.name: style for style in listed()}
        if name in styles:
            return styles[name]
    if not styles:
        raise UnknownStyleError(f"there is no style {name!r}: none is shipped, give a model file")
    raise UnknownStyleError(
        f"there is no style {name!r}: {close_name(name, list(styles))}known are {', '.join(styles)}"
    )


def held_styles(path: Path) -> list[str]:
    """Returns the names of the styles in a model file, at least one, the first one first.

    Raises:
        ModelError: the file cannot be used, or holds no styles.
    """
    names = [style.name for style in read_model_file(path)[1].styles]
    if not names:
        raise ModelError(f"{path} holds no styles")
    return names


def _others(style: Style) -> list[str]:
    """Returns the names in an own file but the one that goes by the file's name."""
    try:
        names = held_styles(style.path)
    except ModelError:  # told when the style is used
        return []
    named = style.name if style.name in names else names[0]
    return [name for name in names if name != named]
