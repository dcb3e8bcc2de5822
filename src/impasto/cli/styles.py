"""``impasto styles``: what can be painted; ``add`` and ``remove`` change the own part of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from impasto.cli.console import one_line, print_note
from impasto.cli.options import complete_own_style, takes_options
from impasto.errors import UnknownStyleError, UsageError

if TYPE_CHECKING:
    from impasto.catalog import Style

TRIAL_PX: Final = 32
"""Sides of the picture on which a model is tried before it is taken in."""


@takes_options
def command(
    context: typer.Context,
    *,
    as_json: bool = False,
    sheet: str | None = None,
    output: str | None = None,
    overwrite: bool = False,
) -> None:
    """List the styles that are there, or change your own.

    The first is used when none is named. Your own come after the shipped ones, file by file.

    Options:
        as_json (--json): One JSON object per style.
        sheet (PHOTO): Paint a photo in every style, side by side on one picture.
        output (OUTPUT, --output, -o): The sheet's file or folder. [default: PHOTO.styles.jpg beside
            the photo, .png for a .png]
        overwrite: Replace a sheet that is already there.
    """
    given = {
        "--json": as_json,
        "--sheet": sheet is not None,
        "-o": output is not None,
        "--overwrite": overwrite,
    }
    _check(context.invoked_subcommand, [option for option, is_there in given.items() if is_there])
    if context.invoked_subcommand is not None:
        return
    if sheet is not None:
        from impasto.cli.sheet import make_sheet

        make_sheet(sheet, output, overwrite=overwrite)
        return
    from impasto.runtime.styles import list_styles

    styles = list_styles()
    if as_json:
        for style in styles:
            typer.echo(json.dumps(asdict(style) | {"path": str(style.path)}))
        return
    for line in _table(styles):
        typer.echo(line)
    if not styles:
        print_note("no styles are shipped with this installation; `impasto train` makes one")


def _check(subcommand: str | None, given: list[str]) -> None:
    """Refuses options that belong to something else."""
    if subcommand is not None and given:
        raise UsageError(
            f"{given[0]} is for the list of styles, not for `styles {subcommand}`: "
            f"`impasto styles {subcommand} --help` says what that takes"
        )
    if "--sheet" not in given and (lone := [name for name in given if name != "--json"]):
        raise UsageError(f"{lone[0]} is for a sheet: give --sheet PHOTO with it")
    if "--sheet" in given and "--json" in given:
        raise UsageError("--sheet and --json contradict each other: give one of them")


def _table(styles: tuple[Style, ...]) -> list[str]:
    """Returns aligned lines: name, title, artist and year, or an own style's file."""
    shipped = [style for style in styles if style.origin == "shipped"]
    names = max((len(style.name) for style in styles), default=0)
    titles = max((len(style.title) for style in shipped), default=0)
    artists = max((len(style.artist) for style in shipped), default=0)
    lines = []
    for style in styles:
        about = f"your own, {style.path}"
        if style.origin == "shipped":
            about = f"{style.title:{titles}}  {style.artist:{artists}}  {style.year}"
        lines.append(one_line(f"{style.name:{names}}  {about}".rstrip()))
    return lines


@takes_options
def add(model: Path, *, overwrite: bool = False) -> None:
    """Add a model to your own styles.

    It is tried on a small picture and copied into your data folder (`impasto info` says
    where), with its plain weights if they lie beside it. From then on its name works wherever
    a shipped style's does; a file of several styles goes by the first one's.

    Options:
        model (FILE): A model file.
        overwrite: Replace an own style of the same name.
    """
    import numpy as np

    from impasto.catalog import shipped_styles
    from impasto.catalog.own import add_model, own_models
    from impasto.runtime.loading import model_path
    from impasto.runtime.stylizer import StyleModel

    path = model_path(model)
    painter = StyleModel(path, device="cpu")
    name = painter.name
    if name in [style.name for style in shipped_styles()]:
        raise UsageError(
            f"{path} holds the style {name!r}, and a shipped one has that name: "
            "use it as --model, or train it under another file name"
        )
    if name in own_models() and not overwrite:
        raise UsageError(f"there is an own style {name!r} already: --overwrite replaces it")
    painter.paint(np.zeros((TRIAL_PX, TRIAL_PX, 3), np.uint8))
    add_model(name, path, _plain_weights(path, painter.metadata.weights_sha256))
    typer.echo(name)


def _plain_weights(model: Path, sha256: str) -> Path | None:
    """Returns the plain weights beside a model; a note tells of those that are others."""
    from impasto.catalog.own import weights_of

    weights = weights_of(model)
    if not weights.is_file():
        return None
    try:
        if hashlib.sha256(weights.read_bytes()).hexdigest() == sha256:
            return weights
    except OSError:  # the model itself works
        pass
    print_note(f"{weights} does not hold the weights of {model}: it is not taken along")
    return None


@takes_options
def remove(name: Annotated[str, complete_own_style]) -> None:
    """Remove one of your own styles, with everything in its file.

    Options:
        name (NAME): One of your own styles.
    """
    from impasto.catalog import shipped_styles
    from impasto.catalog.own import own_models, remove_model
    from impasto.runtime.styles import list_styles

    own = own_models()
    if name in own:
        remove_model(own[name])
        typer.echo(name)
        return
    if name in [style.name for style in shipped_styles()]:
        raise UsageError(f"the style {name!r} is shipped with impasto and stays")
    if name in (held := {style.name: style.path for style in list_styles()}):
        raise UsageError(
            f"the style {name!r} lies in the file of {held[name].stem!r}: remove that one"
        )
    known = f"your own are {', '.join(own)}" if own else "you have none of your own"
    raise UnknownStyleError(f"there is no own style {name!r}: {known}")


SUBCOMMANDS = {"add": add, "remove": remove}
