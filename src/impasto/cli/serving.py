"""What ``serve``, ``app`` and ``webcam`` have in common: options, limits, starting."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from impasto.cli.console import own_stderr, print_note, print_result
from impasto.cli.extras import needs_extra
from impasto.errors import UsageError

Models: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="FILE",
        help="A model file to serve beside the styles of `impasto styles`; may repeat.",
        envvar="IMPASTO_MODEL",
    ),
]
BrowserPort: TypeAlias = Annotated[
    int, typer.Option("--port", metavar="N", help="Port on this machine; 0 is any free one.")
]
NoBrowser: TypeAlias = Annotated[
    bool, typer.Option("--no-browser", help="Print the address and open nothing.")
]

# One person waits for one picture, and can close the page.
LOCAL_TIME_LIMIT_S: Final = 3600.0
_FINISH_S: Final = 5.0
_EXAMPLE: Final = "pagoda.jpg"


def example_photo() -> Path:
    """Returns the photo that thumbnails show.

    Raises:
        DataError: this installation has none.
    """
    from impasto.data.examples import example_photos_folder

    return example_photos_folder() / _EXAMPLE


def read_token(token_file: Path | None, token: str | None) -> str | None:
    """Returns the token of a file, or else the one given.

    Raises:
        UsageError: the file cannot be read, or there are two tokens.
    """
    if token_file is None:
        return token or None
    if token:
        raise UsageError("--token-file and IMPASTO_TOKEN are both given: leave one of them out")
    try:
        return token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {token_file}: {error}") from error


def open_page(
    models: list[Path] | None,
    port: int,
    query: str,
    *,
    no_browser: bool,
    time_limit_s: float = LOCAL_TIME_LIMIT_S,
) -> None:
    """Serves the page for one person on this machine and opens it in their browser.

    One picture at a time gets all cores, so that it is there soonest.

    Args:
        models: files to serve beside the styles that have names.
        port: 0 is any free one.
        query: of the page's address, with its question mark.
        no_browser: only print the address.
        time_limit_s: for one picture.

    Raises:
        MissingExtraError: the extra ``serve`` is not installed.
    """
    with needs_extra("serve", "the web page"):
        from impasto.server import running
        from impasto.server.settings import ServerSettings

    def started(address: str) -> None:
        print_result(address + query)
        sys.stdout.flush()
        if not no_browser:
            import webbrowser

            print_note("Ctrl-C stops it.")
            webbrowser.open(address + query)

    settings = ServerSettings(
        example_photo=example_photo(),
        port=port,
        models=tuple(models or ()),
        workers=1,
        time_limit_s=time_limit_s,
    )
    with own_stderr():
        running.run(settings, started, finish_s=_FINISH_S, log_level=logging.WARNING)
