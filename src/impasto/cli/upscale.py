"""``impasto upscale``: photos and folders of photos, made larger."""

from __future__ import annotations

from typing import Annotated

from impasto.cli import options
from impasto.cli.options import Given, Voice, takes_dials
from impasto.dials import Enlarging, Writing


@takes_dials
def command(
    inputs: options.Inputs,
    *,
    model: Annotated[
        str | None,
        options.model_file(
            "photo for usual pictures; sharp and faithful for clean ones, with more detail or "
            "fewer errors; or a model file. [default: the first for the scale]",
            "photo|sharp|faithful|FILE",
            autocompletion=options.complete_upscaler,
        ),
    ] = None,
    output: Annotated[str | None, options.picture_output("PHOTO.x2.jpg")] = None,
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
    voice = Voice(as_json, quiet, verbose)
    voice.check(threads)
    from impasto.cli.running import run, upscaling_task

    run(upscaling_task(dials, files, model, threads, device), inputs, output, voice)
