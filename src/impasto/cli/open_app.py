"""``impasto app``: the web page, for one person on this machine."""

from __future__ import annotations

from impasto.cli.serving import BrowserPort, Models, NoBrowser, open_page


def command(*, model: Models = None, port: BrowserPort = 0, no_browser: NoBrowser = False) -> None:
    """Open the web page that paints photos in the browser.

    Only this machine can reach it, and nothing leaves it. Ctrl-C stops it.
    """
    open_page(model, port, "", no_browser=no_browser)
