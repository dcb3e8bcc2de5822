"""``impasto stylize``: photos and folders of photos, painted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from impasto.cli import options
from impasto.cli.console import own_stderr
from impasto.cli.options import Given, Voice, takes_options
from impasto.dials import Painting, Writing


@takes_options
def command(
    inputs: list[str],
    *,
    style: options.StyleName = None,
    model: Path | None = None,
    output: str | None = None,
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

    Options:
        inputs (INPUT): Photos, and folders of photos; - is a photo from stdin.
        model (FILE, --model, -m): A model file.
        output (OUTPUT, --output, -o): A file, in the format of its ending; or a folder if it ends
            in /, exists as one, or there are several inputs; - is stdout. [default: PHOTO.STYLE.jpg
            beside the photo, stdout for -]
    """
    dials, files = Painting(**painting), Writing(**writing)
    voice = Voice(as_json, quiet, verbose)
    voice.check(threads)
    from impasto.cli.running import load_painter, painting_task, run

    painter = load_painter(style, model, threads, device)
    with own_stderr():
        task = painting_task(painter, dials, files)
    note = painter.note(dials.stroke_size)
    run(task, inputs, output, voice, mask=painting.get("mask"), note=note)
