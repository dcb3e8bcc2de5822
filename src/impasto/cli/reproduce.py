"""``impasto reproduce``: the paper's tables and figures on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import options
from impasto.cli.console import print_note
from impasto.cli.options import argument, option, switch


def command(
    what: Annotated[
        str, argument("speed|objective|superres|figures|all", "The part of the report.")
    ],
    *,
    output: Annotated[Path, option("FOLDER", "Where the report goes.", "-o", "--output")],
    photos: Annotated[
        Path | None, option("FOLDER", "Content images. [default: the example photos]")
    ] = None,
    painting: Annotated[
        Path | None,
        option(
            "FILE",
            "The style image, or a file of style targets. [default: the shipped targets]",
        ),
    ] = None,
    sr_data: Annotated[
        Path | None,
        option(
            "FOLDER",
            "Pictures to make small and enlarge, or folders of them such as Set5. "
            "[default: the example photos]",
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        options.model_file("A model of that painting; may repeat. [default: the shipped ones]"),
    ] = None,
    quick: Annotated[
        bool, switch("--quick", "Measure less: a quarter of an hour for all.")
    ] = False,
    threads: options.Threads = None,
) -> None:
    """Measure what the paper reports, and set it beside the paper's figures.

    FOLDER gets report.md, and a folder per part with its figures as JSON and its plots as PNG
    and SVG. Run the same line again to go on where it stopped.
    """
    with options.needs_extra("train", "impasto reproduce"):
        from impasto.paper.reproduction import FULL, QUICK, gather_inputs, reproduce
    inputs = gather_inputs(photos, painting, sr_data, model or ())
    sizes = QUICK if quick else FULL
    typer.echo(reproduce(what, output, inputs, sizes=sizes, threads=threads, progress=print_note))
