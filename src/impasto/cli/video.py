"""``impasto video``: a clip or an animated picture, painted or enlarged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import options
from impasto.cli.console import own_stderr, print_note
from impasto.cli.extras import needs_extra
from impasto.cli.options import Given, KeyFrames, takes_dials
from impasto.cli.settings import Voice, check_voice
from impasto.dials import Enlarging, Painting, Writing


@takes_dials
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
    painting: Annotated[Given, Painting],
    style_at: Annotated[
        list[str] | None,
        typer.Option(
            "--style-at",
            metavar="TIME:STYLE",
            help="A style from this second on; can be given again; values change steadily in "
            "between.",
        ),
    ] = None,
    key_frames: Annotated[KeyFrames, Painting],
    steady: Annotated[
        str | None,
        typer.Option(
            metavar="off|light|strong",
            help="How much a frame takes over from the one before, against flicker. "
            "[default: light; off with --upscale]",
        ),
    ] = None,
    upscale: options.Upscale = None,
    enlarging: Annotated[Given, Enlarging, "scale"],
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
    writing: Annotated[Given, Writing, "format", "quality", "max_pixels"],
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
    check_voice(voice, threads)
    with needs_extra("video", "impasto video"):
        from impasto.cli import video_running as running
        from impasto.video.rendering import VideoSettings
    settings = VideoSettings(
        codec, crf, painting.get("max_size"), running.extract(start, end), running.frame_rate(fps)
    )
    running.check(settings, steady)
    wanted = running.Wanted(style, model, painting, style_at or [], key_frames)
    enlarged = options.read_upscale(upscale, running.painting_options(wanted), enlarging)
    if enlarged is None:
        task = running.painting_task(wanted, steady, threads, device)
    else:
        task = running.upscaling_task(enlarged, model, steady, threads, device)
    result = running.find_result(
        clip, output, task.label, painting.get("mask"), overwrite=Writing(**writing).overwrite
    )
    if verbose:
        print_note(f"{task.label} on {task.device}")
    with own_stderr():
        running.run(task, clip, result, settings, voice)
