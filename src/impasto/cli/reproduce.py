"""``impasto reproduce``: the paper's tables and figures on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import options
from impasto.cli.console import print_note
from impasto.cli.extras import needs_extra


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="speed|objective|superres|figures|all", help="The part of the report."
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where the report goes.")
    ],
    photos: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Content images. [default: the example photos]"),
    ] = None,
    painting: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The style image, or a file of style targets. [default: the shipped targets]",
        ),
    ] = None,
    sr_data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Pictures to make small and enlarge, or folders of them such as Set5. "
            "[default: the example photos]",
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="A model of that painting; may repeat. [default: the shipped ones]",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure less: a quarter of an hour for all.")
    ] = False,
    threads: options.Threads = None,
) -> None:
    """Measure what the paper reports, and set it beside the paper's figures.

    FOLDER gets report.md, and a folder per part with its figures as JSON and its plots as PNG
    and SVG. Run the same line again to go on where it stopped.
    """
    with needs_extra("train", "impasto reproduce"):
        from impasto.paper.reproduction import FULL, QUICK, gather_inputs, reproduce
    inputs = gather_inputs(photos, painting, sr_data, model or ())
    sizes = QUICK if quick else FULL
    typer.echo(reproduce(what, output, inputs, sizes=sizes, threads=threads, progress=print_note))
