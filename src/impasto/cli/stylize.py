"""``impasto stylize``: photos and folders of photos, painted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.completion import complete_device, complete_format, complete_style
from impasto.cli.console import own_stderr, print_note
from impasto.cli.settings import (
    FORMATS,
    Settings,
    Voice,
    check_settings,
    parse_stroke_size,
    pillow_format,
)
from impasto.errors import UsageError


def command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Photos, and folders of photos; - is a photo from stdin."
        ),
    ],
    *,
    style: Annotated[
        str | None,
        typer.Option(
            "--style",
            "-s",
            metavar="NAME",
            help="A style of `impasto styles`, or a model file. [default: the first one]",
            autocompletion=complete_style,
        ),
    ] = None,
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
        float, typer.Option(metavar="0..1", help="0 leaves the photo, 1 paints it fully.")
    ] = 1.0,
    stroke_size: Annotated[
        str,
        typer.Option(
            "--stroke-size",
            metavar="auto|native|0.1..10",
            help="Multiplies the brush strokes; auto makes them as large as on a photo of "
            "1024 px, relative to the picture.",
        ),
    ] = "auto",
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
    max_size: Annotated[
        int | None,
        typer.Option(metavar="PX", help="Make larger photos smaller: no side above this."),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="Format of the results. [default: the photo's, or that of -o]",
            autocompletion=complete_format,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            metavar="1..100",
            help="Of results in jpeg, webp and avif. [default: 95, 90 for avif]",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are already there.")
    ] = False,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="auto, or one of `impasto info`, such as cpu and cuda.",
            autocompletion=complete_device,
        ),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="CPU threads. [default: all cores]")
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(metavar="N", help="Refuse photos with more pixels. [default: 200 million]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what is done and how long it takes.")
    ] = False,
) -> None:
    """Paint photos and folders of photos in a style.

    A result has its photo's size. Folders keep their structure; run the same line again to go
    on where it stopped. Each result's path is printed.
    """
    settings = Settings(
        strength=strength,
        stroke_size=parse_stroke_size(stroke_size),
        keep_colors=keep_colors,
        mask=mask,
        max_side_px=max_size,
        file_format=pillow_format(file_format),
        quality=quality,
        max_pixels=max_pixels,
        overwrite=overwrite,
    )
    voice = Voice(as_json=as_json, quiet=quiet, verbose=verbose)
    check_settings(settings, voice, threads)
    from impasto.cli import painting, pipes
    from impasto.cli.plan import exists, make_plan

    painter = painting.load(style, model, threads, device)
    plan = make_plan(
        inputs,
        output,
        painter.name,
        file_format=settings.file_format,
        also_read=[] if mask is None else [mask],
    )
    painting.check_quality(plan, settings)
    if plan.single:
        (job,) = plan.jobs
        if job.source is None:
            pipes.check_stdin()
        if job.target is None:
            if as_json:
                raise UsageError("--json and the picture cannot both go to stdout: give -o FILE")
            pipes.check_stdout()
        elif exists(job.target) and not overwrite:
            raise UsageError(f"{job.target} is already there: --overwrite replaces it")
    if verbose:
        print_note(f"style {painter.name} on {painter.device}")
    with own_stderr():
        painting.Run(painter, settings, voice).paint(plan)
