"""``impasto upscale``: photos and folders of photos, made larger."""

from __future__ import annotations

from typing import Annotated

from impasto.cli import options
from impasto.cli.options import Given, Voice, takes_options
from impasto.dials import Enlarging, Writing


@takes_options
def command(
    inputs: list[str],
    *,
    model: Annotated[str | None, options.complete_upscaler] = None,
    output: str | None = None,
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

    Options:
        inputs (INPUT): Photos, and folders of photos; - is a photo from stdin.
        model (photo|sharp|faithful|FILE, --model, -m): photo for usual pictures; sharp and
            faithful for clean ones, with more detail or fewer errors; or a model file. [default:
            the first for the scale]
        output (OUTPUT, --output, -o): A file, in the format of its ending; or a folder if it ends
            in /, exists as one, or there are several inputs; - is stdout. [default: PHOTO.x2.jpg
            beside the photo, stdout for -]
    """
    dials, files = Enlarging(**enlarging), Writing(**writing)
    voice = Voice(as_json, quiet, verbose)
    voice.check(threads)
    from impasto.cli.running import run, upscaling_task

    run(upscaling_task(dials, files, model, threads, device), inputs, output, voice)
