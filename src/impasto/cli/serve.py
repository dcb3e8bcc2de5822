"""``impasto serve``, the HTTP service; ``app`` and ``webcam``, its page for one person here."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlencode

from impasto.cli.console import own_stderr, print_note, print_result
from impasto.cli.options import Given, complete_style, needs_extra, takes_options
from impasto.dials import Count, Painting, Writing, dials_of
from impasto.errors import UsageError

# One person waits for one picture, and can close the page.
LOCAL_TIME_LIMIT_S: Final = 3600.0
_FINISH_S: Final = 5.0
_MAX_PIXELS: Final = dials_of(Writing)["max_pixels"]
_MEMORY: Final = dials_of(Painting)["memory"]
_EXAMPLE: Final = "pagoda.jpg"


@takes_options
def command(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    model: list[Path] | None = None,
    token_file: Path | None = None,
    no_auth: bool = False,
    allow_host: list[str] | None = None,
    cors_origin: list[str] | None = None,
    workers: int | None = None,
    queue: int = 32,
    max_upload: int = 20,
    max_pixels: str = "50000000",
    time_limit: float = 60.0,
    memory: str | None = None,
    quiet: bool = False,
) -> None:
    """Paint pictures that come over HTTP, and show a web page for it.

    Ctrl-C stops it after the requests that it has begun. The log on stderr is one JSON line a
    request; docs/deploy.md tells of the rest.

    Options:
        host (ADDRESS, IMPASTO_HOST): Address to listen on; one that other machines reach needs a
            token.
        port (N, IMPASTO_PORT): Port; 0 is any free one.
        model (FILE, --model, -m, IMPASTO_MODEL): A model file to serve beside the styles of
            `impasto styles`; may repeat.
        token_file (FILE, IMPASTO_TOKEN_FILE): Holds the token that requests must carry, which
            IMPASTO_TOKEN may hold instead.
        no_auth: Answer other machines without a token.
        allow_host (NAME, IMPASTO_ALLOW_HOST): Name by which the service is reached, besides
            localhost and --host; may repeat.
        cors_origin (URL, IMPASTO_CORS_ORIGIN): Let pages of this origin use the service; may
            repeat.
        workers (N, IMPASTO_WORKERS): Pictures worked on at once, which share the cores. [default:
            one per core]
        queue (N, IMPASTO_QUEUE): Requests that may wait; more are refused at once.
        max_upload (MB, IMPASTO_MAX_UPLOAD): Largest request.
        max_pixels (N, IMPASTO_MAX_PIXELS): Refuse photos and results with more pixels.
        time_limit (SECONDS, IMPASTO_TIME_LIMIT): For one request.
        memory (SIZE, IMPASTO_MEMORY): For a picture that a model paints as a whole, such as 2GiB.
            [default: what there is, shared among the workers]
        quiet (--quiet, -q): Log only what goes wrong.
    """
    with needs_extra("serve", "`impasto serve`"):
        from impasto.server import running
        from impasto.server.settings import ServerSettings

    settings = ServerSettings(
        example_photo=_example_photo(),
        host=host,
        port=port,
        models=tuple(model or ()),
        token=_read_token(token_file, os.environ.get("IMPASTO_TOKEN")),
        no_auth=no_auth,
        allowed_hosts=tuple(allow_host or ()),
        cors_origins=tuple(cors_origin or ()),
        workers=workers,
        queue=queue,
        max_upload_bytes=max_upload * 1_000_000,
        max_pixels=_MAX_PIXELS.read("--max-pixels", max_pixels),
        time_limit_s=time_limit,
        memory=None if memory is None else _MEMORY.read("--memory", memory),
    )

    def started(address: str) -> None:
        print_note(f"{address} is ready, its API is described at {address}docs")

    with own_stderr():
        running.run(settings, started, log_level=logging.WARNING if quiet else logging.INFO)


@takes_options
def app(
    *,
    model: list[Path] | None = None,
    port: int = 0,
    time_limit: float = LOCAL_TIME_LIMIT_S,
    no_browser: bool = False,
) -> None:
    """Open the web page that paints photos in the browser.

    Only this machine can reach it, and nothing leaves it. Ctrl-C stops it.

    Options:
        model (FILE, --model, -m, IMPASTO_MODEL): A model file to serve beside the styles of
            `impasto styles`; may repeat.
        port (N): Port on this machine; 0 is any free one.
        time_limit (SECONDS): For one picture.
        no_browser: Print the address and open nothing.
    """
    _open_page(model, port, "", no_browser=no_browser, time_limit_s=time_limit)


@takes_options
def webcam(
    *,
    style: Annotated[str | None, complete_style] = None,
    model: list[Path] | None = None,
    painting: Annotated[Given, Painting, "mask", "memory", "max_size"],
    frame_rate: int = 12,
    no_mirror: bool = False,
    port: int = 0,
    no_browser: bool = False,
) -> None:
    """Paint what the camera sees, live, in the browser.

    The picture stays on this machine. Style, strength, mirror, frame rate and recording have
    their controls on the page. Ctrl-C stops it.

    Options:
        style (NAME, --style, -s): The style to begin with, one of `impasto styles`. [default: the
            first one]
        model (FILE, --model, -m, IMPASTO_MODEL): A model file to serve beside the styles of
            `impasto styles`; may repeat.
        frame_rate (FPS): Frames per second to hold, by painting smaller or larger ones.
        no_mirror: Show what others see, not a mirror image.
        port (N): Port on this machine; 0 is any free one.
        no_browser: Print the address and open nothing.
    """
    Count("", most=60).check("--frame-rate", frame_rate)
    asked: dict[str, object] = {
        "live": 1,
        **{name: str(value).lower() for name, value in painting.items()},
        "rate": frame_rate,
        "mirror": int(not no_mirror),
    }
    if style is not None:
        from impasto.runtime.styles import find_style, held_styles

        if not any(style in held_styles(path) for path in model or ()):
            find_style(style)  # refuses one that the page would not have
        asked["style"] = style
    _open_page(model, port, f"?{urlencode(asked)}", no_browser=no_browser)


def _open_page(
    models: list[Path] | None,
    port: int,
    query: str,
    *,
    no_browser: bool,
    time_limit_s: float = LOCAL_TIME_LIMIT_S,
) -> None:
    """Serves the page for one person on this machine and opens it in their browser.

    One picture at a time gets all cores, so that it is there soonest.
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
        example_photo=_example_photo(),
        port=port,
        models=tuple(models or ()),
        workers=1,
        time_limit_s=time_limit_s,
    )
    with own_stderr():
        running.run(settings, started, finish_s=_FINISH_S, log_level=logging.WARNING)


def _example_photo() -> Path:
    """Returns the photo that thumbnails show."""
    from impasto.data.examples import example_photos_folder

    return example_photos_folder() / _EXAMPLE


def _read_token(token_file: Path | None, token: str | None) -> str | None:
    """Returns the token of a file, or else the one given."""
    if token_file is None:
        return token or None
    if token:
        raise UsageError("--token-file and IMPASTO_TOKEN are both given: leave one of them out")
    try:
        return token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {token_file}: {error}") from error
