"""``impasto app``: the web page, for one person on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from impasto.cli.serving import LOCAL_TIME_LIMIT_S, BrowserPort, Models, NoBrowser, open_page


def command(
    *,
    model: Models = None,
    port: BrowserPort = 0,
    time_limit: Annotated[
        float, typer.Option(metavar="SECONDS", help="For one picture.")
    ] = LOCAL_TIME_LIMIT_S,
    no_browser: NoBrowser = False,
) -> None:
    """Open the web page that paints photos in the browser.

    Only this machine can reach it, and nothing leaves it. Ctrl-C stops it.
    """
    open_page(model, port, "", no_browser=no_browser, time_limit_s=time_limit)
