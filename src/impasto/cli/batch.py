"""``impasto batch``: collections of photos, painted or enlarged on many cores and machines."""

from __future__ import annotations

from typing import Annotated

from impasto.cli import options
from impasto.cli.console import own_stderr
from impasto.cli.options import AT_LEAST_ONE, Given, Voice, takes_options
from impasto.dials import Enlarging, Painting, Writing


@takes_options
def command(
    source: str,
    destination: str,
    *,
    style: options.StyleName = None,
    model: str | None = None,
    upscale: options.Upscale = None,
    painting: Annotated[Given, Painting],
    enlarging: Annotated[Given, Enlarging, "scale"],
    writing: Annotated[Given, Writing],
    actors: int | None = None,
    address: str | None = None,
    as_json: options.OneJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Paint or enlarge a collection of photos on many cores, and on many machines.

    The results keep the folders' structure. Run the same line again to go on where it stopped.
    A manifest beside the results tells what became of each photo; its path is printed.
    docs/cluster.md tells of the rest.

    Options:
        source (SOURCE): The photos: a folder, or a URL such as s3://bucket/photos.
        destination (DESTINATION): Where the results and manifest.parquet go: a folder, or a URL
            such as s3://bucket/photos.
        model (FILE, --model, -m): A model file; with --upscale also photo, sharp or faithful. It is
            sent to every machine.
        actors (N): Workers of one core each. [default: one for every core]
        address (HOST:PORT): Of a Ray cluster, from one of its machines. [default: this machine
            alone]
    """
    voice, files = Voice(as_json, quiet), Writing(**writing)
    AT_LEAST_ONE.check("--actors", actors)
    with options.needs_extra("cluster", "`impasto batch`"):
        from impasto.cli import batch_running as running
    given = painting if style is None else {"style": style, **painting}
    enlarged = options.read_upscale(upscale, given, enlarging)
    if enlarged is None:
        task = running.painting_task(style, model, Painting(**painting), files)
    else:
        task = running.upscaling_task(enlarged, model, files)
    plan = running.make_plan(source, destination, files, mask=painting.get("mask"))
    with own_stderr():
        running.run(task, plan, voice, actors=actors, address=address)
