"""``impasto serve``: the HTTP service."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from impasto.cli.console import own_stderr, print_note
from impasto.cli.extras import needs_extra
from impasto.cli.options import dial_option
from impasto.cli.serving import Models, example_photo, read_token
from impasto.dials import Painting, Writing, dials_of

_MAX_PIXELS: Final = dials_of(Writing)["max_pixels"]
_MEMORY: Final = dials_of(Painting)["memory"]


def command(
    *,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; one that other machines reach needs a token.",
            envvar="IMPASTO_HOST",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(metavar="N", help="Port; 0 is any free one.", envvar="IMPASTO_PORT"),
    ] = 8000,
    model: Models = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="Holds the token that requests must carry, which IMPASTO_TOKEN may hold instead.",
            envvar="IMPASTO_TOKEN_FILE",
        ),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Answer other machines without a token.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name by which the service is reached, besides localhost and --host; may repeat.",
            envvar="IMPASTO_ALLOW_HOST",
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Let pages of this origin use the service; may repeat.",
            envvar="IMPASTO_CORS_ORIGIN",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Pictures worked on at once, which share the cores. [default: one per core]",
            envvar="IMPASTO_WORKERS",
        ),
    ] = None,
    queue: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Requests that may wait; more are refused at once.",
            envvar="IMPASTO_QUEUE",
        ),
    ] = 32,
    max_upload: Annotated[
        int,
        typer.Option(metavar="MB", help="Largest request.", envvar="IMPASTO_MAX_UPLOAD"),
    ] = 20,
    max_pixels: Annotated[
        str,
        dial_option(
            _MAX_PIXELS,
            "--max-pixels",
            "Refuse photos and results with more pixels.",
            envvar="IMPASTO_MAX_PIXELS",
        ),
    ] = "50000000",
    time_limit: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="For one request.", envvar="IMPASTO_TIME_LIMIT"),
    ] = 60.0,
    memory: Annotated[
        str | None,
        dial_option(
            _MEMORY,
            "--memory",
            "For a picture that a model paints as a whole, such as 2GiB. [default: what "
            "there is, shared among the workers]",
            envvar="IMPASTO_MEMORY",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log only what goes wrong.")] = False,
) -> None:
    """Paint pictures that come over HTTP, and show a web page for it.

    Ctrl-C stops it after the requests that it has begun. The log on stderr is one JSON line a
    request; docs/deploy.md tells of the rest.
    """
    with needs_extra("serve", "`impasto serve`"):
        from impasto.server import running
        from impasto.server.settings import ServerSettings

    settings = ServerSettings(
        example_photo=example_photo(),
        host=host,
        port=port,
        models=tuple(model or ()),
        token=read_token(token_file, os.environ.get("IMPASTO_TOKEN")),
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
    with own_stderr():
        running.run(
            settings,
            lambda address: print_note(
                f"{address} is ready, its API is described at {address}docs"
            ),
            log_level=logging.WARNING if quiet else logging.INFO,
        )
