"""``impasto upscale``: photos and folders of photos, made larger."""

from __future__ import annotations

from typing import Annotated

import typer

from impasto.cli import options
from impasto.cli.completion import complete_upscaler
from impasto.cli.console import own_stderr, print_note
from impasto.cli.options import Given, takes_dials
from impasto.cli.settings import Voice, check_voice
from impasto.dials import Enlarging, Writing


@takes_dials
def command(
    inputs: options.Inputs,
    *,
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
            help="A file, in the format of its ending; or a folder if it ends in /, exists as one, "
            "or there are several inputs; - is stdout. [default: PHOTO.x2.jpg beside "
            "the photo, stdout for -]",
        ),
    ] = None,
    enlarging: Annotated[Given, Enlarging],
    writing: Annotated[Given, Writing],
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Make photos and folders of photos larger.

    Transparency is enlarged too. Folders keep their structure; run the same line again to go
    on where it stopped. Each result's path is printed.
    """
    dials, files = Enlarging(**enlarging), Writing(**writing)
    voice = Voice(as_json=as_json, quiet=quiet, verbose=verbose)
    check_voice(voice, threads)
    from impasto.catalog import find_upscaler
    from impasto.cli.plan import make_plan
    from impasto.cli.report import UPSCALING
    from impasto.cli.running import Run, Task, check_plan
    from impasto.runtime.changes import Enlarger
    from impasto.runtime.loading import load_upscaler
    from impasto.work import Work

    scale = dials.scale
    model = find_upscaler(None, scale).name if model is None else model
    upscaler = load_upscaler(model, scale=scale, threads=threads, device=device)
    plan = make_plan(inputs, output, f"x{scale}", file_format=files.pillow_format)
    check_plan(plan, files, voice, command="upscale")
    if verbose:
        print_note(f"model {model} on {upscaler.device}")

    how: dict[str, str | int] = {"model": model, "scale": scale}
    work = Work(Enlarger(upscaler, dials, files.max_pixels), files)
    with own_stderr():
        Run(Task(work, UPSCALING, how, upscaler.device), voice).do(plan)
