"""What ``impasto video`` does with its options."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from impasto.cli.console import one_line, pace, print_note, print_result, steps_shown
from impasto.cli.options import Given, KeyFrames, Voice, flag
from impasto.cli.plan import check_free, check_writable, means_folder
from impasto.cli.running import How, label, load_enlarger, load_painter
from impasto.dials import Choice, Enlarging, Painting
from impasto.errors import ImpastoError, OutputError, UsageError
from impasto.images.folders import real_path
from impasto.runtime.changes import Enlarger
from impasto.runtime.loading import model_path
from impasto.runtime.stylizer import with_mask
from impasto.video.animations import FORMATS
from impasto.video.changes import (
    Change,
    FrameEnlarger,
    FramePainter,
    Timeline,
    parse_numbers,
    parse_styles,
    parse_time,
)
from impasto.video.encoding import check_codec
from impasto.video.joining import CONTAINERS, Extract, streams_left_out
from impasto.video.rendering import VideoSettings, render
from impasto.video.steadiness import MODES

if TYPE_CHECKING:
    from impasto.video.rendering import Outcome

_RATES_FPS: Final = (0.01, 1000)


@dataclass(frozen=True)
class Task:
    """What is done to each frame, what with, and where the network runs."""

    change: Change
    how: How
    device: str


def video_settings(
    codec: str | None,
    crf: int | None,
    max_size: int | None,
    times: tuple[str | None, str | None],
    fps: float | None,
) -> VideoSettings:
    """Reads the options of a clip; ``times`` are ``--start`` and ``--end``."""
    begins_s, ends_s = (
        # A float's 0.2 is a little more than a fifth, and would leave out the frame at 0.2 s.
        None if text is None else Fraction(str(parse_time(name, text)))
        for name, text in zip(("start", "end"), times, strict=True)
    )
    if ends_s is not None and ends_s <= (begins_s or 0):
        raise UsageError(f"--end {times[1]} must come after --start {times[0] or 0}")
    rate = frame_rate(fps)
    check_codec(codec, crf)
    return VideoSettings(codec, crf, max_size, Extract(begins_s, ends_s), rate)


def frame_rate(fps: float | None) -> Fraction | None:
    """Reads ``--fps``: 29.97 is 30000/1001, as it is meant."""
    if fps is None:
        return None
    lowest, highest = _RATES_FPS
    if not lowest <= fps <= highest:
        raise UsageError(f"--fps must lie between {lowest:g} and {highest:g}, not {fps:g}")
    of_television = Fraction(round(fps * 1.001) * 1000, 1001)
    if abs(of_television - Fraction(fps)) < Fraction(1, 200) and fps % 1:
        return of_television
    return Fraction(fps).limit_denominator(1000)


def _steadiness(steady: str) -> float | None:
    return MODES[Choice("", choices=tuple(MODES)).check("--steady", steady)]


def painting_task(
    style: str | None,
    model: str | None = None,
    painting: Given | None = None,
    style_at: Sequence[str] = (),
    key_frames: KeyFrames | None = None,
    *,
    steady: str,
    threads: int | None,
    device: str,
) -> Task:
    """Loads the model that the options name and reads key frames and mask."""
    steadiness, dials = _steadiness(steady), painting or {}
    styles = parse_styles("style-at", style_at)
    tracks = {
        name: track
        for name, texts in (key_frames or {}).items()
        if (track := parse_numbers(name, texts)) is not None
    }
    given = {**dials, **({} if style is None else {"style": style})}
    for name in [*(["style"] if styles else []), *tracks]:
        if name in given:
            option = flag(name)
            raise UsageError(
                f"{option} and {option}-at contradict each other: begin with "
                f"{option}-at 0:{given[name]}"
            )
    if styles is not None:
        style = ",".join(dict.fromkeys(name for blend in styles.values for name in blend))
    painter = load_painter(style, model, threads, device)
    path = model_path(style) if model is None else Path(model)
    change = FramePainter(
        painter,
        Timeline(painter.blend, with_mask(Painting(**dials)), styles, tracks),
        steadiness=steadiness,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    return Task(change, {"style": painter.name}, painter.device)


def upscaling_task(
    dials: Enlarging, model: str | None, steady: str, threads: int | None, device: str
) -> Task:
    """Loads the model; errors are those of `load_enlarger`."""
    steadiness = _steadiness(steady)
    upscaler, how = load_enlarger(model, dials.scale, threads, device)
    return Task(FrameEnlarger(Enlarger(upscaler, dials), steadiness), how, upscaler.device)


def find_result(
    clip: Path, output: str | None, task: Task, mask: Path | None, *, overwrite: bool
) -> Path:
    """Finds out where the result goes: to ``-o``, a file or a folder, or beside the clip."""
    if output == "":
        raise UsageError("-o is empty: was a variable meant that is not set?")
    if output is None or means_folder(output):
        suffix = clip.suffix.lower()
        if suffix not in CONTAINERS and suffix not in FORMATS:
            suffix = _usual_suffix(clip)
        folder = clip.parent if output is None else Path(output)
        result = folder / f"{clip.stem}.{label(task.how)}{suffix}"
    else:
        result = Path(output)
    if result.suffix.lower() not in {**CONTAINERS, **FORMATS}:
        known = " ".join({**CONTAINERS, **FORMATS})
        raise UsageError(f"-o {result} must end in one of {known}")
    inputs = [real_path(path) for path in (clip, mask) if path is not None]
    if real_path(result) in inputs:
        raise UsageError(f"{result} is an input and would be overwritten: choose another -o")
    check_free(result, overwrite=overwrite)
    check_writable(result)
    return result


def _usual_suffix(clip: Path) -> str:
    try:
        streams_left_out(clip, ".mp4")
    except OutputError:
        return ".mkv"
    return ".mp4"


def run(task: Task, clip: Path, result: Path, settings: VideoSettings, voice: Voice) -> None:
    """Makes the result and says what became of it."""
    about = {"input": str(clip), "output": str(result), **task.how, "device": task.device}
    begun_s = time.monotonic()
    try:
        outcome = _shown(task, clip, result, settings, quiet=voice.quiet or voice.as_json)
    except ImpastoError as error:
        if voice.as_json:
            print_result(json.dumps({**about, "status": "failed", "error": one_line(str(error))}))
        raise
    elapsed_s = time.monotonic() - begun_s
    if not voice.quiet:
        for note in _notes(outcome, clip):
            print_note(note)
    if voice.as_json:
        row = {
            **about,
            "width": outcome.width,
            "height": outcome.height,
            "frames": outcome.frames,
            "resumed": outcome.resumed,
            "scenes": outcome.scenes,
            "damaged": outcome.damaged,
            "elapsed_s": round(elapsed_s, 4),
            "status": "done",
            "error": None,
        }
        print_result(json.dumps(row))
    elif not voice.quiet:
        print_result(str(result))


def _shown(
    task: Task, clip: Path, result: Path, settings: VideoSettings, *, quiet: bool
) -> Outcome:
    """Makes the result under a bar with frames per second and the time left."""
    if quiet:
        return render(clip, result, task.change, settings)
    text = pace("frames", "about ")
    with steps_shown() as (show, _):

        def on_frame(done: int, total: int | None) -> None:
            show(done, max(total or 0, done + 1), text(done, total))

        return render(clip, result, task.change, settings, on_frame=on_frame)


def _notes(outcome: Outcome, clip: Path) -> list[str]:
    notes = list(outcome.notes)
    if outcome.resumed:
        notes.append(f"went on after {outcome.resumed} frames that were finished before")
    if outcome.damaged:
        notes.append(
            f"{clip} is damaged: {outcome.damaged} of its packets or frames were skipped or "
            "patched up"
        )
    return notes
