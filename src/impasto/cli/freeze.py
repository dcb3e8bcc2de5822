"""``impasto freeze``: a model with the statistics of one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.completion import complete_style
from impasto.cli.settings import parse_stroke_size
from impasto.errors import UsageError


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A style or a model file.", autocompletion=complete_style
        ),
    ],
    *,
    photo: Annotated[
        Path, typer.Option("--from", metavar="PHOTO", help="The picture whose statistics count.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="The new model file.")
    ],
    style: Annotated[
        str | None,
        typer.Option("--style", "-s", metavar="NAME", help="A style, or a blend, of the model."),
    ] = None,
    stroke_size: Annotated[
        str,
        typer.Option(
            "--stroke-size", metavar="auto|native|0.1..10", help="As for `impasto stylize`."
        ),
    ] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model file that is there.")
    ] = False,
) -> None:
    """Make a model that paints every picture like one of them.

    Usually a picture's own statistics decide how it is painted, so that the same thing may look
    different in another picture, or in the next frame. The new model has those of PHOTO for
    good; it is faster, holds one style, and paints PHOTO itself as before. Its strokes are as
    large, relative to any picture, as here; of a --stroke-size of native or a number, in pixels.
    """
    size = parse_stroke_size(stroke_size)
    if output.suffix.lower() != ".onnx":
        raise UsageError(f"-o is {output}; a model file ends in .onnx")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} is already there: --overwrite replaces it")
    from impasto.cli.painting import load
    from impasto.images.reading import read_image
    from impasto.images.writing import atomic_path
    from impasto.runtime.loading import model_path

    painter = (
        load(style, model_path(model), None, "cpu") if style else load(model, None, None, "cpu")
    )
    data = painter.frozen(read_image(photo).rgb, stroke_size=size)
    with atomic_path(output) as temporary:
        temporary.write_bytes(data)
    typer.echo(output)
