"""``impasto webcam``: the web page's live view of the camera."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from impasto.cli.completion import complete_style
from impasto.cli.options import Given, takes_dials
from impasto.cli.serving import BrowserPort, Models, NoBrowser, open_page
from impasto.dials import Painting
from impasto.errors import UsageError


@takes_dials
def command(
    *,
    style: Annotated[
        str | None,
        typer.Option(
            "--style",
            "-s",
            metavar="NAME",
            help="The style to begin with, one of `impasto styles`. [default: the first one]",
            autocompletion=complete_style,
        ),
    ] = None,
    model: Models = None,
    painting: Annotated[Given, Painting, "mask", "memory", "max_size"],
    frame_rate: Annotated[
        int,
        typer.Option(
            metavar="FPS", help="Frames per second to hold, by painting smaller or larger ones."
        ),
    ] = 12,
    no_mirror: Annotated[
        bool, typer.Option("--no-mirror", help="Show what others see, not a mirror image.")
    ] = False,
    port: BrowserPort = 0,
    no_browser: NoBrowser = False,
) -> None:
    """Paint what the camera sees, live, in the browser.

    The picture stays on this machine. Style, strength, mirror, frame rate and recording have
    their controls on the page. Ctrl-C stops it.
    """
    if not 1 <= frame_rate <= 60:
        raise UsageError(f"--frame-rate must lie between 1 and 60, not {frame_rate}")
    asked: dict[str, object] = {
        "live": 1,
        **{name: str(value).lower() for name, value in painting.items()},
        "rate": frame_rate,
        "mirror": int(not no_mirror),
    }
    if style is not None:
        _check_style(style, model or [])
        asked["style"] = style
    open_page(model, port, f"?{urlencode(asked)}", no_browser=no_browser)


def _check_style(name: str, models: list[Path]) -> None:
    """Refuses a style that the page would not have.

    Raises:
        UnknownStyleError: there is none of that name.
        ModelError: a model file cannot be used.
    """
    from impasto.runtime.styles import find_style, held_styles

    if not any(name in held_styles(path) for path in models):
        find_style(name)
