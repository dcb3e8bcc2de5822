"""``impasto stylize``: photos and folders of photos, painted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import options
from impasto.cli.console import own_stderr, print_note
from impasto.cli.settings import (
    PaintSettings,
    Settings,
    Voice,
    check_painting,
    check_settings,
    parse_memory,
    pillow_format,
)


def command(
    inputs: options.Inputs,
    *,
    style: options.StyleName = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", metavar="FILE", help="A model file.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="A file; or a folder if it ends in /, exists as one, or there are several "
            "inputs; - is stdout. [default: PHOTO.STYLE.jpg beside the photo, stdout for -]",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(metavar="0..1.5", help="0 leaves the photo, 1 paints it fully, more is more."),
    ] = 1.0,
    stroke_size: Annotated[
        float, typer.Option(metavar="0.5..4", help="Multiplies the brush strokes.")
    ] = 1.0,
    keep_colors: Annotated[
        bool, typer.Option("--keep-colors", help="Keep the photo's colours.")
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Paint where this picture is white, leave the photo where it is black.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="For a picture and its result, such as 512MiB; larger ones are worked on in "
            "temporary files, with the same result. [default: 1GiB]",
        ),
    ] = None,
    max_size: options.MaxSize = None,
    file_format: options.FileFormat = None,
    quality: options.Quality = None,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(metavar="N", help="Refuse photos with more pixels. [default: 200 million]"),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Paint photos and folders of photos in a style.

    A result has its photo's size. Folders keep their structure; run the same line again to go
    on where it stopped. Each result's path is printed.
    """
    paint_settings = PaintSettings(
        strength=strength,
        stroke_size=stroke_size,
        keep_colors=keep_colors,
        mask=mask,
        max_side_px=max_size,
        memory=parse_memory(memory),
    )
    settings = Settings(
        file_format=pillow_format(file_format),
        quality=quality,
        max_pixels=max_pixels,
        overwrite=overwrite,
    )
    voice = Voice(as_json=as_json, quiet=quiet, verbose=verbose)
    check_painting(paint_settings)
    check_settings(settings, voice, threads)
    from impasto.cli import painting
    from impasto.cli.plan import make_plan
    from impasto.cli.running import Run, check_plan

    painter = painting.load(style, model, threads, device)
    plan = make_plan(
        inputs,
        output,
        painter.name,
        file_format=settings.file_format,
        also_read=[] if mask is None else [mask],
    )
    check_plan(plan, settings, voice, command="stylize")
    if verbose:
        print_note(f"style {painter.name} on {painter.device}")
    note = painter.note(stroke_size)
    if note and not quiet:
        print_note(note)
    with own_stderr():
        task = painting.painting_task(painter, paint_settings, max_pixels)
        Run(task, settings, voice).work(plan)
