"""``impasto video``: a clip or an animated picture, painted or enlarged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from impasto.cli import options
from impasto.cli.console import own_stderr, print_note
from impasto.cli.extras import needs_extra
from impasto.cli.settings import Settings, Voice, check_at_least_one, check_settings

_KEYS: Final = "can be given again; values change steadily in between"


def command(
    clip: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A clip, or an animated GIF, WebP or PNG.")
    ],
    *,
    style: options.StyleName = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="A model file; with --upscale also photo, sharp or faithful.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The result: .mp4, .mov, .mkv, .webm, .gif, .webp or .png. "
            "[default: CLIP.STYLE.mp4 beside the clip, with its suffix]",
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(metavar="0..1.5", help="0 leaves the clip, 1 paints it fully.  [default: 1]"),
    ] = None,
    stroke_size: options.StrokeSize = None,
    keep_colors: Annotated[
        bool, typer.Option("--keep-colors", help="Keep the clip's colours.")
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Paint where this picture is white, leave the clip where it is black.",
        ),
    ] = None,
    style_at: Annotated[
        list[str] | None,
        typer.Option(
            "--style-at", metavar="TIME:STYLE", help=f"A style from this second on; {_KEYS}."
        ),
    ] = None,
    strength_at: Annotated[
        list[str] | None,
        typer.Option("--strength-at", metavar="TIME:0..1.5", help="Likewise, of --strength."),
    ] = None,
    stroke_size_at: Annotated[
        list[str] | None,
        typer.Option("--stroke-size-at", metavar="TIME:0.5..4", help="Likewise, of --stroke-size."),
    ] = None,
    steady: Annotated[
        str | None,
        typer.Option(
            metavar="off|light|strong",
            help="How much a frame takes over from the one before, against flicker. "
            "[default: light; off with --upscale]",
        ),
    ] = None,
    upscale: Annotated[
        int | None,
        typer.Option(metavar="2|4|8", help="Enlarge the clip by this in place of painting it."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="As of `impasto stylize`."),
    ] = None,
    max_size: Annotated[
        int | None,
        typer.Option(metavar="PX", help="Make larger clips smaller: no side above this."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Leave out what comes before.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Leave out what comes from here on.")
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(metavar="N", help="Frames per second. [default: each frame keeps its time]"),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="h264|hevc|vp9|av1|prores",
            help="[default: h264; hevc for more than 8 bits; vp9 in .webm]",
        ),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Rate factor, lower is better and larger. [default: h264 18, hevc 20, others 28]",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Paint a clip in a style, or enlarge it.

    Sound, subtitles, chapters, rotation and the times of frames are kept. A run that was
    interrupted goes on from its last finished piece when you run the same line again.
    """
    if steady is None:
        steady = "light" if upscale is None else "off"
    voice = Voice(as_json=as_json, quiet=quiet, verbose=verbose)
    check_settings(Settings(), voice, threads)
    check_at_least_one("max-size", max_size)
    with needs_extra("video", "impasto video"):
        from impasto.cli import video_running as running
        from impasto.video.rendering import VideoSettings
    settings = VideoSettings(
        codec, crf, max_size, running.extract(start, end), running.frame_rate(fps)
    )
    running.check(settings, steady)
    wanted = running.Wanted(
        style=style,
        model=model,
        strength=strength,
        stroke_size=stroke_size,
        keep_colors=keep_colors,
        mask=mask,
        memory=memory,
        styles=tuple(style_at or ()),
        strengths=tuple(strength_at or ()),
        stroke_sizes=tuple(stroke_size_at or ()),
    )
    task = running.make_task(wanted, upscale, steady, threads, device)
    result = running.find_result(clip, output, task.label, mask, overwrite=overwrite)
    if verbose:
        print_note(f"{task.label} on {task.device}")
    with own_stderr():
        running.run(task, clip, result, settings, voice)
