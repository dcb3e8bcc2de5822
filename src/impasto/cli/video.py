"""``impasto video``: a clip or an animated picture, painted or enlarged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from impasto.cli import options
from impasto.cli.console import own_stderr, print_note
from impasto.cli.options import Given, KeyFrames, Voice, takes_options
from impasto.dials import Enlarging, Painting, Writing


@takes_options
def command(
    clip: Path,
    *,
    style: options.StyleName = None,
    model: str | None = None,
    output: str | None = None,
    painting: Annotated[Given, Painting],
    style_at: list[str] | None = None,
    key_frames: Annotated[KeyFrames, Painting],
    steady: str | None = None,
    upscale: options.Upscale = None,
    enlarging: Annotated[Given, Enlarging, "scale"],
    start: str | None = None,
    end: str | None = None,
    fps: float | None = None,
    codec: str | None = None,
    crf: int | None = None,
    writing: Annotated[Given, Writing, "format", "quality", "max_pixels"],
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.OneJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Paint a clip in a style, or enlarge it.

    Sound, subtitles, chapters, rotation and the times of frames are kept. A run that was
    interrupted goes on from its last finished piece when you run the same line again.

    Options:
        clip (INPUT): A clip, or an animated GIF, WebP or PNG.
        model (FILE, --model, -m): A model file; with --upscale also photo, sharp or faithful.
        output (FILE, --output, -o): The result: .mp4, .mov, .mkv, .webm, .gif, .webp or .png.
            [default: CLIP.STYLE.mp4 beside the clip, with its suffix]
        style_at (TIME:STYLE): A style from this second on; can be given again; values change
            steadily in between.
        steady (off|light|strong): How much a frame takes over from the one before, against flicker.
            [default: light; off with --upscale]
        start (SECONDS): Leave out what comes before.
        end (SECONDS): Leave out what comes from here on.
        fps (N): Frames per second. [default: each frame keeps its time]
        codec (h264|hevc|vp9|av1|prores): [default: h264; hevc for more than 8 bits; vp9 in .webm]
        crf (N): Rate factor, lower is better and larger. [default: h264 18, hevc 20, others 28]
    """
    if steady is None:
        steady = "light" if upscale is None else "off"
    voice = Voice(as_json, quiet, verbose)
    voice.check(threads)
    with options.needs_extra("video", "impasto video"):
        from impasto.cli import video_running as running
        from impasto.cli.running import label
    settings = running.video_settings(codec, crf, painting.get("max_size"), (start, end), fps)
    styles = style_at or []
    # A clip is made smaller before it is enlarged, too.
    given = {name: value for name, value in painting.items() if name != "max_size"}
    given |= {} if style is None else {"style": style}
    given |= {"style_at": styles} if styles else {}
    enlarged = options.read_upscale(
        upscale, [*given, *(f"{name}_at" for name in key_frames)], enlarging
    )
    if enlarged is None:
        task = running.painting_task(
            style,
            model,
            painting,
            styles,
            key_frames,
            steady=steady,
            threads=threads,
            device=device,
        )
    else:
        task = running.upscaling_task(enlarged, model, steady, threads, device)
    overwrite = Writing(**writing).overwrite
    result = running.find_result(clip, output, task, painting.get("mask"), overwrite=overwrite)
    if verbose:
        print_note(f"{label(task.how)} on {task.device}")
    with own_stderr():
        running.run(task, clip, result, settings, voice)
