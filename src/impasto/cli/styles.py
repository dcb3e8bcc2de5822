"""``impasto styles``: what can be painted."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from impasto.cli.console import print_note


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per style.")] = False,
) -> None:
    """List the styles that are there; the first is used when none is named."""
    from impasto.catalog import list_styles

    styles = list_styles()
    if as_json:
        for style in styles:
            typer.echo(json.dumps(asdict(style) | {"path": str(style.path)}))
        return
    width = max((len(style.name) for style in styles), default=0)
    for style in styles:
        typer.echo(f"{style.name:{width}}  {style.title}, {style.artist}, {style.year}")
    if not styles:
        print_note("no styles are shipped with this installation; `impasto train` makes one")
