"""``impasto reproduce``: the paper's tables and figures on this machine."""

from __future__ import annotations

from pathlib import Path

import typer

from impasto.cli import options
from impasto.cli.console import print_note
from impasto.cli.options import takes_options


@takes_options
def command(
    what: str,
    *,
    output: Path,
    photos: Path | None = None,
    painting: Path | None = None,
    sr_data: Path | None = None,
    model: list[Path] | None = None,
    quick: bool = False,
    threads: options.Threads = None,
) -> None:
    """Measure what the paper reports, and set it beside the paper's figures.

    FOLDER gets report.md, and a folder per part with its figures as JSON and its plots as PNG
    and SVG. Run the same line again to go on where it stopped.

    Options:
        what (speed|objective|superres|figures|all): The part of the report.
        output (FOLDER, -o, --output): Where the report goes.
        photos (FOLDER): Content images. [default: the example photos]
        painting (FILE): The style image, or a file of style targets. [default: the shipped targets]
        sr_data (FOLDER): Pictures to make small and enlarge, or folders of them such as Set5.
            [default: the example photos]
        model (FILE, --model, -m): A model of that painting; may repeat. [default: the shipped ones]
        quick: Measure less: a quarter of an hour for all.
    """
    with options.needs_extra("train", "impasto reproduce"):
        from impasto.paper.reproduction import FULL, QUICK, gather_inputs, reproduce
    inputs = gather_inputs(photos, painting, sr_data, model or ())
    sizes = QUICK if quick else FULL
    typer.echo(reproduce(what, output, inputs, sizes=sizes, threads=threads, progress=print_note))
