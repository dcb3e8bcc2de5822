"""``impasto upscale``: photos and folders of photos, made larger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli import options
from impasto.cli.completion import complete_upscaler
from impasto.cli.console import own_stderr, print_note
from impasto.cli.settings import (
    Settings,
    Voice,
    check_at_least_one,
    check_scale,
    check_settings,
    pillow_format,
)

if TYPE_CHECKING:
    from impasto.images.reading import Photo


def command(
    inputs: options.Inputs,
    *,
    scale: Annotated[
        int, typer.Option(metavar="2|4|8", help="How many times as wide and high.")
    ] = 2,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="photo|sharp|faithful|FILE",
            help="photo for usual pictures; sharp and faithful for clean ones, with more "
            "detail or fewer errors; or a model file. [default: the first for the scale]",
            autocompletion=complete_upscaler,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="A file; or a folder if it ends in /, exists as one, or there are several "
            "inputs; - is stdout. [default: PHOTO.x2.jpg beside the photo, stdout for -]",
        ),
    ] = None,
    match_histogram: Annotated[
        bool,
        typer.Option(
            "--match-histogram", help="Give each result its photo's distribution of colours."
        ),
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Work on pieces of this size; smaller ones take less memory and more time. "
            "[default: by the photo's size]",
        ),
    ] = None,
    file_format: options.FileFormat = None,
    quality: options.Quality = None,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Refuse photos and results with more pixels. [default: 200 million]"
        ),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Make photos and folders of photos larger.

    Transparency is enlarged too. Folders keep their structure; run the same line again to go
    on where it stopped. Each result's path is printed.
    """
    settings = Settings(
        file_format=pillow_format(file_format),
        quality=quality,
        max_pixels=max_pixels,
        overwrite=overwrite,
    )
    voice = Voice(as_json=as_json, quiet=quiet, verbose=verbose)
    check_scale("scale", scale)
    check_at_least_one("tile", tile)
    check_settings(settings, voice, threads)
    from impasto.catalog import find_upscaler
    from impasto.cli.plan import make_plan
    from impasto.cli.report import UPSCALING
    from impasto.cli.running import Run, Task, check_plan
    from impasto.runtime.loading import load_upscaler

    model = find_upscaler(None, scale).name if model is None else model
    upscaler = load_upscaler(model, scale=scale, threads=threads, device=device)
    plan = make_plan(inputs, output, f"x{scale}", file_format=settings.file_format)
    check_plan(plan, settings, voice, command="upscale")
    if verbose:
        print_note(f"model {model} on {upscaler.device}")

    def enlarge(photo: Photo, progress: Callable[[float], None]) -> Photo:
        return upscaler.upscale_photo(
            photo,
            match_histogram=match_histogram,
            tile_px=tile,
            max_pixels=max_pixels,
            progress=progress,
        )

    how: dict[str, str | int] = {"model": model, "scale": scale}
    task = Task(enlarge, UPSCALING, how, upscaler.device, scale)
    with own_stderr():
        Run(task, settings, voice).work(plan)
