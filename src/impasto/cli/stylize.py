"""``impasto stylize``: photos and folders of photos, painted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import options
from impasto.cli.console import own_stderr, print_note
from impasto.cli.options import Given, takes_dials
from impasto.cli.settings import Voice, check_voice
from impasto.dials import Painting, Writing


@takes_dials
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
            help="A file, in the format of its ending; or a folder if it ends in /, exists as one, "
            "or there are several inputs; - is stdout. [default: PHOTO.STYLE.jpg beside "
            "the photo, stdout for -]",
        ),
    ] = None,
    painting: Annotated[Given, Painting],
    writing: Annotated[Given, Writing],
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Paint photos and folders of photos in a style.

    A result has its photo's size. Folders keep their structure; run the same line again to go
    on where it stopped. Each result's path is printed.
    """
    dials, files = Painting(**painting), Writing(**writing)
    voice = Voice(as_json=as_json, quiet=quiet, verbose=verbose)
    check_voice(voice, threads)
    from impasto.cli.painting import load, painting_task
    from impasto.cli.plan import make_plan
    from impasto.cli.running import Run, check_plan

    painter = load(style, model, threads, device)
    plan = make_plan(
        inputs,
        output,
        painter.name,
        file_format=files.pillow_format,
        also_read=[mask] if (mask := painting.get("mask")) else [],
    )
    check_plan(plan, files, voice, command="stylize")
    if verbose:
        print_note(f"style {painter.name} on {painter.device}")
    note = painter.note(dials.stroke_size)
    if note and not quiet:
        print_note(note)
    with own_stderr():
        Run(painting_task(painter, dials, files), voice).do(plan)
