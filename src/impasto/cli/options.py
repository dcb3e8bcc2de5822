"""The arguments and options that several commands have in common."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from impasto.cli.completion import complete_device, complete_format, complete_style
from impasto.cli.settings import FORMATS

Inputs: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Photos, and folders of photos; - is a photo from stdin."),
]
StyleName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--style",
        "-s",
        metavar="NAME",
        help="A style of `impasto styles`, or a model file. [default: the first one]",
        autocompletion=complete_style,
    ),
]
StrokeSize: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="0.5..4", help="Multiplies the brush strokes.  [default: 1]"),
]
MaxSize: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="PX", help="Make larger photos smaller: no side above this."),
]
FileFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Format of the results. [default: the photo's, or that of -o]",
        autocompletion=complete_format,
    ),
]
Quality: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="1..100",
        help="Of results in jpeg, webp and avif. [default: 95, 90 for avif]",
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace results that are already there.")
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|coreml|directml|openvino",
        help="Where to compute; `impasto info` lists what there is.",
        autocompletion=complete_device,
    ),
]
Threads: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="CPU threads. [default: all cores]")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON line per file.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is done and how long it takes.")
]
