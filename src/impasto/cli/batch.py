"""``impasto batch``: collections of photos, painted or enlarged on many cores and machines."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from impasto.cli import options
from impasto.cli.console import own_stderr
from impasto.cli.extras import needs_extra
from impasto.cli.settings import (
    Settings,
    Voice,
    check_at_least_one,
    check_settings,
    pillow_format,
)

_PLACE: Final = "a folder, or a URL such as s3://bucket/photos"


def command(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"The photos: {_PLACE}.")],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            help=f"Where the results and manifest.parquet go: {_PLACE}.",
        ),
    ],
    *,
    style: options.StyleName = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="A model file; with --upscale also photo, sharp or faithful. It is sent to every "
            "machine.",
        ),
    ] = None,
    upscale: Annotated[
        int | None,
        typer.Option(metavar="2|4|8", help="Enlarge the photos by this in place of painting them."),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            metavar="0..1.5", help="0 leaves the photos, 1 paints them fully.  [default: 1]"
        ),
    ] = None,
    stroke_size: options.StrokeSize = None,
    keep_colors: Annotated[
        bool, typer.Option("--keep-colors", help="Keep the photos' colours.")
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Of each actor, as of `impasto stylize`."),
    ] = None,
    max_size: options.MaxSize = None,
    file_format: options.FileFormat = None,
    quality: options.Quality = None,
    overwrite: options.Overwrite = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Refuse photos and results with more pixels. [default: 200 million]"
        ),
    ] = None,
    actors: Annotated[
        int | None,
        typer.Option(metavar="N", help="Workers of one core each. [default: one for every core]"),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Of a Ray cluster, from one of its machines. [default: this machine alone]",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Paint or enlarge a collection of photos on many cores, and on many machines.

    The results keep the folders' structure. Run the same line again to go on where it stopped.
    A manifest beside the results tells what became of each photo; its path is printed.
    docs/cluster.md tells of the rest.
    """
    voice = Voice(as_json=as_json, quiet=quiet)
    settings = Settings(
        file_format=pillow_format(file_format),
        quality=quality,
        max_pixels=max_pixels,
        overwrite=overwrite,
    )
    check_settings(settings, voice, threads=None)
    check_at_least_one("actors", actors)
    with needs_extra("cluster", "`impasto batch`"):
        from impasto.cli import batch_running as running
    wanted = running.Wanted(
        style=style,
        strength=strength,
        stroke_size=stroke_size,
        keep_colors=keep_colors,
        memory=memory,
        max_size=max_size,
    )
    task = running.make_task(wanted, upscale, model, max_pixels)
    plan = running.make_plan(source, destination, settings)
    with own_stderr():
        running.run(task, plan, settings, voice, actors=actors, address=address)
