"""``impasto styles``: what can be painted; ``add`` and ``remove`` change the own part of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.completion import complete_own_style
from impasto.cli.console import print_note
from impasto.errors import UnknownStyleError, UsageError

# Sides of the picture on which a model is tried before it is taken in.
TRIAL_PX = 32


def command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per style.")] = False,
) -> None:
    """List the styles that are there, or change your own.

    The first is used when none is named. Your own models come after the shipped ones.
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise UsageError(
                f"--json is for the list of styles, not for `styles {context.invoked_subcommand}`"
            )
        return
    from impasto.catalog import list_styles

    styles = list_styles()
    if as_json:
        for style in styles:
            typer.echo(json.dumps(asdict(style) | {"path": str(style.path)}))
        return
    width = max((len(style.name) for style in styles), default=0)
    for style in styles:
        about = (
            f"{style.title}, {style.artist}, {style.year}"
            if style.origin == "shipped"
            else f"your own, {style.path}"
        )
        typer.echo(f"{style.name:{width}}  {about}")
    if not styles:
        print_note("no styles are shipped with this installation; `impasto train` makes one")


def add(
    model: Annotated[Path, typer.Argument(metavar="FILE", help="A model file.")],
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an own style of the same name.")
    ] = False,
) -> None:
    """Add a model to your own styles.

    It is tried on a small picture and copied into your data folder (`impasto info` says
    where). From then on its name works wherever a shipped style's does.
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
    add_model(name, path)
    typer.echo(name)


def remove(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="One of your own styles.", autocompletion=complete_own_style
        ),
    ],
) -> None:
    """Remove one of your own styles."""
    from impasto.catalog import shipped_styles
    from impasto.catalog.own import own_models, remove_model

    own = own_models()
    if name in own:
        remove_model(own[name])
        typer.echo(name)
        return
    if name in [style.name for style in shipped_styles()]:
        raise UsageError(f"the style {name!r} is shipped with impasto and stays")
    known = f"your own are {', '.join(own)}" if own else "you have none of your own"
    raise UnknownStyleError(f"there is no own style {name!r}: {known}")


SUBCOMMANDS = {"add": add, "remove": remove}
