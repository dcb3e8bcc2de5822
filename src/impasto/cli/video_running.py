"""What ``impasto video`` does with its options."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from impasto.cli.console import clock, one_line, print_note, print_result, steps_shown
from impasto.cli.options import Given, KeyFrames, flag
from impasto.cli.plan import check_writable, exists, means_folder
from impasto.cli.settings import Voice
from impasto.dials import Enlarging, Painting
from impasto.errors import ImpastoError, OutputError, UsageError
from impasto.images.folders import real_path
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
class Wanted:
    """The options that say how a clip is painted, as they were given.

    Attributes:
        style: of ``--style``.
        model: of ``--model``.
        painting: dials.
        styles: key frames of ``--style-at``.
        key_frames: of dials that are numbers.
    """

    style: str | None = None
    model: str | None = None
    painting: Given = field(default_factory=dict)
    styles: Sequence[str] = ()
    key_frames: KeyFrames = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What is done to each frame.

    Attributes:
        change: the work.
        label: the part of a default name that tells it.
        how: fields of the ``--json`` object.
        device: where the network runs.
    """

    change: Change
    label: str
    device: str
    how: dict[str, Any] = field(default_factory=dict)


def check(settings: VideoSettings, steady: str) -> None:
    """Checks ranges and names.

    Raises:
        UsageError: one is not among those that there are.
    """
    check_codec(settings.codec, settings.crf)
    if steady not in MODES:
        raise UsageError(f"--steady must be off, light or strong, not {steady!r}")


def extract(start: str | None, end: str | None) -> Extract:
    """Reads ``--start`` and ``--end``.

    Raises:
        UsageError: they are no times, or the end is not after the start.
    """
    begins_s = None if start is None else _exact("start", start)
    ends_s = None if end is None else _exact("end", end)
    if ends_s is not None and ends_s <= (begins_s or 0):
        raise UsageError(f"--end {end} must come after --start {start or 0}")
    return Extract(begins_s, ends_s)


def _exact(flag: str, text: str) -> Fraction:
    # A float's 0.2 is a little more than a fifth, and would leave out the frame at 0.2 s.
    return Fraction(str(parse_time(flag, text)))


def frame_rate(fps: float | None) -> Fraction | None:
    """Reads ``--fps``: 29.97 is 30000/1001, as it is meant.

    Raises:
        UsageError: it is out of its range.
    """
    if fps is None:
        return None
    lowest, highest = _RATES_FPS
    if not lowest <= fps <= highest:
        raise UsageError(f"--fps must lie between {lowest:g} and {highest:g}, not {fps:g}")
    of_television = Fraction(round(fps * 1.001) * 1000, 1001)
    if abs(of_television - Fraction(fps)) < Fraction(1, 200) and fps % 1:
        return of_television
    return Fraction(fps).limit_denominator(1000)


def painting_options(wanted: Wanted) -> list[str]:
    """Returns the names of the options of painting that were given.

    The largest size is none of them: a clip is made smaller before it is enlarged, too.
    """
    dials = [name for name in wanted.painting if name != "max_size"]
    style = ["style"] if wanted.style is not None else []
    styles = ["style_at"] if wanted.styles else []
    return [*style, *dials, *styles, *(f"{name}_at" for name in wanted.key_frames)]


def painting_task(wanted: Wanted, steady: str, threads: int | None, device: str) -> Task:
    """Loads the model and reads key frames and mask.

    Raises:
        UsageError: options contradict each other, or a number is out of its range.
        ModelError: the model cannot be used.
        ImageError: the mask cannot be read.
    """
    from impasto.cli.painting import load
    from impasto.runtime.loading import model_path
    from impasto.runtime.stylizer import with_mask

    styles = parse_styles("style-at", wanted.styles)
    tracks = {
        name: track
        for name, texts in wanted.key_frames.items()
        if (track := parse_numbers(name, texts)) is not None
    }
    given = {**wanted.painting, **({} if wanted.style is None else {"style": wanted.style})}
    for name in [*(["style"] if styles else []), *tracks]:
        if name in given:
            option = flag(name)
            raise UsageError(
                f"{option} and {option}-at contradict each other: begin with "
                f"{option}-at 0:{given[name]}"
            )
    style = wanted.style
    if styles is not None:
        style = ",".join(dict.fromkeys(name for blend in styles.values for name in blend))
    file = None if wanted.model is None else Path(wanted.model)
    model = load(style, file, threads, device)
    path = model_path(style) if file is None else file
    dials = with_mask(Painting(**wanted.painting))
    change = FramePainter(
        model,
        Timeline(model.blend, dials, styles, tracks),
        steadiness=MODES[steady],
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    return Task(change, model.name, model.device, {"style": model.name})


def upscaling_task(
    dials: Enlarging, model: str | None, steady: str, threads: int | None, device: str
) -> Task:
    """Loads the model.

    Raises:
        ModelError: the model cannot be used.
    """
    from impasto.catalog import find_upscaler
    from impasto.runtime.changes import Enlarger
    from impasto.runtime.loading import load_upscaler

    scale = dials.scale
    name = find_upscaler(None, scale).name if model is None else model
    upscaler = load_upscaler(name, scale=scale, threads=threads, device=device)
    how = {"model": name, "scale": scale}
    change = FrameEnlarger(Enlarger(upscaler, dials), MODES[steady])
    return Task(change, f"x{scale}", upscaler.device, how)


def find_result(
    clip: Path, output: str | None, label: str, mask: Path | None, *, overwrite: bool
) -> Path:
    """Finds out where the result goes.

    Args:
        clip: the input.
        output: of ``-o``: a file, or a folder; None is beside the clip.
        label: of the task.
        mask: another input.
        overwrite: a result may be there.

    Raises:
        UsageError: nothing is written in files of that name, or it is an input, or there.
        VideoError: the clip cannot be used.
        OutputError: nothing can be written there.
    """
    if output == "":
        raise UsageError("-o is empty: was a variable meant that is not set?")
    if output is None or means_folder(output):
        suffix = clip.suffix.lower()
        if suffix not in CONTAINERS and suffix not in FORMATS:
            suffix = _usual_suffix(clip)
        folder = clip.parent if output is None else Path(output)
        result = folder / f"{clip.stem}.{label}{suffix}"
    else:
        result = Path(output)
    if result.suffix.lower() not in {**CONTAINERS, **FORMATS}:
        known = " ".join({**CONTAINERS, **FORMATS})
        raise UsageError(f"-o {result} must end in one of {known}")
    inputs = [real_path(path) for path in (clip, mask) if path is not None]
    if real_path(result) in inputs:
        raise UsageError(f"{result} is an input and would be overwritten: choose another -o")
    if exists(result) and not overwrite:
        raise UsageError(f"{result} is already there: --overwrite replaces it")
    check_writable(result)
    return result


def _usual_suffix(clip: Path) -> str:
    try:
        streams_left_out(clip, ".mp4")
    except OutputError:
        return ".mkv"
    return ".mp4"


def run(task: Task, clip: Path, result: Path, settings: VideoSettings, voice: Voice) -> None:
    """Makes the result and says what became of it.

    Raises:
        ImpastoError: it could not be made.
    """
    row: dict[str, Any] = {"input": str(clip), "output": str(result), **task.how}
    row["device"] = task.device
    begun_s = time.monotonic()
    try:
        outcome = _shown(task, clip, result, settings, quiet=voice.quiet or voice.as_json)
    except ImpastoError as error:
        if voice.as_json:
            print_result(json.dumps({**row, "status": "failed", "error": one_line(str(error))}))
        raise
    elapsed_s = time.monotonic() - begun_s
    if not voice.quiet:
        for note in _notes(outcome, clip):
            print_note(note)
    if voice.as_json:
        row |= {
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
    first_s: float | None = None
    first = 0

    with steps_shown() as (show, _):

        def on_frame(done: int, total: int | None) -> None:
            nonlocal first_s, first
            now_s = time.monotonic()
            if first_s is None:  # a rate needs two frames, and the first one is slow
                first_s, first = now_s, done
            rate = (done - first) / (now_s - first_s) if done > first else 0.0
            text = f"{done} of about {total} frames" if total else f"{done} frames"
            if rate:
                text += f", {rate:.2f} frames/s"
                if total:
                    text += f", {clock(max(0, total - done) / rate)} left"
            show(done, max(total or 0, done + 1), text)

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
