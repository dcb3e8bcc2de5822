"""``impasto evaluate video``: how steady a painted clip is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from impasto.cli import options
from impasto.cli.console import own_stderr, print_result, progress_bar
from impasto.cli.options import complete_style, takes_options
from impasto.dials import Choice, Painting, dials_of
from impasto.errors import UsageError
from impasto.markdown import table_lines
from impasto.runtime.cores import check_threads

if TYPE_CHECKING:
    from impasto.video.frames import Frame, Picture
    from impasto.video.measuring import Footage

    Painter = Callable[[Iterable[Frame]], Iterator[Picture]]

_UNPAINTED: Final = "unpainted"
_MODES: Final = ("off", "light", "strong")
_HEADS: Final = ("clip", "painting", "warp error", "times unpainted", "followed", "pairs")


@takes_options
def video(
    clip: Path,
    *,
    painted: Path | None = None,
    style: Annotated[str | None, complete_style] = None,
    steady: list[str] | None = None,
    frames: int = 60,
    max_size: int = 640,
    as_json: options.JsonTable = False,
    threads: options.Threads = None,
) -> None:
    """Measure the warp error of a clip: how much its painting flickers.

    It is the mean squared difference, with colours from 0 to 1, between a painted frame and the
    one before, moved to where things are now, on pixels that can be followed. Motion comes from
    the unpainted clip by dense optical flow. Over a photo it is known: a pan, a zoom and a moving
    thing are made, with a camera's noise.

    Options:
        clip (INPUT): A clip; or a photo, over which three camera moves are made.
        painted (FILE): The clip, painted before: measure that.
        style (NAME, --style, -s): A style, or a model file, to paint in now. [default: the first
            one]
        steady (off|light|strong): How the painting is kept steady; can be given again. [default:
            each way]
        frames (N): Of a clip at most, from its beginning.
        max_size (PX): Longer side of the frames at most.
    """
    dials_of(Painting)["max_size"].check(options.flag("max_size"), max_size)
    check_threads(threads)
    if frames < 2:
        raise UsageError(
            f"--frames must be at least 2, since neighbours are compared, not {frames}"
        )
    for mode in steady or ():
        Choice("", choices=_MODES).check("--steady", mode)
    if painted is not None and (style is not None or steady):
        raise UsageError("--painted is painted already: leave --style and --steady out")
    with options.needs_extra("video", "impasto evaluate video"):
        found = _footage(clip, painted, frames, max_size)
        painters: dict[str, Painter] = {_UNPAINTED: _unpainted}
        if painted is not None:
            painters[painted.name] = _from_file(painted, max_size)
        else:
            painters |= _painters(style, steady or _MODES, threads)
    rows = []
    steps = len(found) * len(painters) * frames
    with own_stderr(), progress_bar(steps, shown=True, doing="measuring") as screen:
        from impasto.video.measuring import measure

        for footage in found:
            for name, paint in painters.items():
                error = measure(footage.shots(), paint(footage.shots()), on_frame=screen.advance)
                rows.append(
                    {
                        "clip": footage.name,
                        "painting": name,
                        "warp_error": error.mean if error.values else None,
                        "followed": error.followed,
                        "pairs": error.pairs,
                    }
                )
    if as_json:
        print_result(json.dumps({"input": str(clip), "frames": frames, "results": rows}))
        return
    for line in _table(rows):
        print_result(line)


def _footage(clip: Path, painted: Path | None, frames: int, max_size: int) -> list[Footage]:
    from impasto.images.folders import PICTURE_SUFFIXES
    from impasto.video.animations import is_animated
    from impasto.video.measuring import check_counts, clip_footage, photo_footage

    if clip.suffix.lower() not in PICTURE_SUFFIXES or is_animated(clip):
        footage = clip_footage(clip, frames=frames, max_side_px=max_size)
        if painted is not None:
            check_counts(clip, painted)
        return [footage]
    if painted is not None:
        raise UsageError(f"--painted goes with a clip, and {clip} is a picture")
    from impasto.images.reading import read_image

    return photo_footage(read_image(clip).rgb, frames=frames, max_side_px=max_size)


def _unpainted(shots: Iterable[Frame]) -> Iterator[Picture]:
    return (shot.rgb for shot in shots)


def _from_file(painted: Path, max_size: int) -> Painter:
    from impasto.video.animations import open_source

    clip = open_source(painted, max_side_px=max_size)
    return lambda _shots: (frame.rgb for frame in clip.frames())


def _painters(style: str | None, modes: Iterable[str], threads: int | None) -> dict[str, Painter]:
    from impasto.cli.video_running import painting_task
    from impasto.video.measuring import changed

    def painter(mode: str) -> Painter:
        task = painting_task(style, steady=mode, threads=threads, device="auto")
        return lambda shots: changed(shots, task.change)

    return {mode: painter(mode) for mode in dict.fromkeys(modes)}


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    unpainted = {row["clip"]: row["warp_error"] for row in rows if row["painting"] == _UNPAINTED}
    cells = []
    for row in rows:
        error, least = row["warp_error"], unpainted[row["clip"]]
        cells.append(
            (
                row["clip"],
                row["painting"],
                "-" if error is None else f"{error:.6f}",
                f"{error / least:.1f}" if error and least else "-",
                f"{row['followed']:.3f}",
                str(row["pairs"]),
            )
        )
    return table_lines(_HEADS, cells, texts=(0, 1))
