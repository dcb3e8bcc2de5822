"""What becomes of each kind of clip: `python benchmarks/video_formats.py [STYLE]`.

Every clip is made here from an example photo and goes through `impasto video` as a user runs it.
Before and after stand side by side, read by PyAV alone; a single value means that both are equal.
Hashes are of all packets of a stream, so that equal ones mean that not a bit of it was changed.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from impasto.data.examples import example_photos_folder
from impasto.images.reading import read_image
from impasto.video.clips import LIMITED
from impasto.video.hdr import HLG
from impasto.video.measuring import make_clip

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))
from clip_files import frame_times, packets, write_clip  # noqa: E402

PHOTO = "mountains.jpg"
RATE_FPS = 25
SECONDS = 2
WORDS = "1\n00:00:00,200 --> 00:00:01,000\nHello\n\n2\n00:00:01,200 --> 00:00:01,900\nworld\n"
BT2020 = 9
TRANSFERS = {1: "BT.709", 2: "not stated", 6: "BT.601", HLG: "HLG"}
HLG_COLOURS = {
    "color_range": LIMITED,
    "colorspace": BT2020,
    "color_primaries": BT2020,
    "color_trc": HLG,
}
COLUMNS = ("size", "frames", "duration", "times", "sound", "subtitles", "rotation", "transfer")


@dataclass(frozen=True)
class Case:
    """A kind of clip.

    Attributes:
        name: of the kind, as the table shows it.
        suffix: of the clip and of its result.
        write: writes such a clip.
    """

    name: str
    suffix: str
    write: Callable[[Path], Any]


def main() -> None:
    """Prints a Markdown row per kind of clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("style", nargs="?", help="a style's name; the first one")
    arguments = parser.parse_args()
    style = [] if arguments.style is None else ["--style", arguments.style]
    print(f"| clip | result | {' | '.join(COLUMNS)} | notes |")
    print(f"| --- | --- | {' | '.join('---' for _ in COLUMNS)} | --- |")
    for case in make_cases():
        with tempfile.TemporaryDirectory() as folder:
            print(_row(case, Path(folder), style), flush=True)
    print(f"\nav {version('av')}")


def _row(case: Case, folder: Path, style: list[str]) -> str:
    source, target = (folder / f"{name}{case.suffix}" for name in ("clip", "painted"))
    case.write(source)
    line = [sys.executable, "-m", "impasto", "video", str(source), "-o", str(target), *style]
    done = subprocess.run(  # noqa: S603
        line, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        return f"| {case.name} | exit code {done.returncode}: {done.stderr.strip()} |"
    before, after = _facts(source), _facts(target)
    cells = [before[c] if before[c] == after[c] else f"{before[c]} → {after[c]}" for c in COLUMNS]
    with av.open(str(target)) as clip:
        result = f"{clip.streams.video[0].codec_context.codec.canonical_name}, {case.suffix}"
    notes = "; ".join(
        said.replace(str(source), source.name).removeprefix("impasto: ")
        for said in done.stderr.splitlines()
        if said.startswith("impasto: ")
    )
    return f"| {case.name} | {result} | {' | '.join(cells)} | {notes} |"


def _facts(path: Path) -> dict[str, str]:
    """Returns what the table tells of a clip."""
    times = frame_times(path)
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        frame = next(clip.decode(stream))
        kinds = {found.type for found in clip.streams}
        duration_s = float(clip.duration or 0) / 1_000_000
    # Containers that count in milliseconds may state another unit than the one written.
    rounded = [round(time * 1000) for time in times]
    return {
        "size": f"{frame.width}x{frame.height}",
        "frames": str(len(times)),
        "duration": f"{duration_s:.2f} s",
        "times": _hash([str(rounded).encode()]),
        "sound": _hash(packets(path, "audio")) if "audio" in kinds else "none",
        "subtitles": _hash(packets(path, "subtitle")) if "subtitle" in kinds else "none",
        "rotation": f"{frame.rotation}°",
        "transfer": TRANSFERS.get(int(frame.color_trc), str(frame.color_trc)),
    }


def _hash(parts: list[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"`{digest.hexdigest()[:8]}`"


def make_cases() -> Iterator[Case]:
    """Makes a clip of each kind."""

    def plain(**settings: Any) -> Callable[[Path], Any]:
        return lambda path: write_clip(path, _frames(640, 360), **settings)

    yield Case("H.264 with AAC", ".mp4", plain(sound="aac"))
    yield Case("VP9 with Opus", ".webm", plain(codec="libvpx-vp9", sound="libopus"))
    yield Case("H.264 with FLAC and subtitles", ".mkv", _write_with_subtitles)
    uneven = np.cumsum([0, *(400 + 397 * (n % 5) for n in range(SECONDS * RATE_FPS - 1))]).tolist()
    variable = {"pts": uneven, "time_base": Fraction(1, 30_000)}
    yield Case("variable frame rate", ".mp4", plain(sound="aac", **variable))
    yield Case(
        "a phone's, upright",
        ".mov",
        lambda path: write_clip(path, _frames(640, 360), sound="aac", rotation=-90),
    )
    yield Case(
        "odd sides",
        ".mp4",
        lambda path: write_clip(path, _frames(337, 241), sound="aac", pixel_format="yuv444p"),
    )
    yield Case(
        "odd sides, VP9",
        ".webm",
        lambda path: write_clip(path, _frames(337, 241), codec="libvpx-vp9", sound="libopus"),
    )
    yield Case(
        "HLG of 10 bits, HEVC",
        ".mp4",
        plain(
            codec="libx265",
            sound="aac",
            pixel_format="yuv420p10le",
            options={"x265-params": "log-level=error"},
            stream_settings=HLG_COLOURS,
        ),
    )


def _frames(width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    photo = read_image(example_photos_folder() / PHOTO).rgb
    frames = RATE_FPS * SECONDS
    for shot in make_clip(photo, "pan", frames=frames, width=width, height=height):
        yield shot.rgb


def _write_with_subtitles(path: Path) -> None:
    clip = write_clip(path.with_stem("without"), _frames(640, 360), sound="flac")
    words = path.with_suffix(".srt")
    words.write_text(WORDS, encoding="utf-8")
    with (
        av.open(str(clip)) as moving,
        av.open(str(words)) as text,
        av.open(str(path), "w") as out,
    ):
        copies = {
            stream: out.add_stream_from_template(stream, opaque=True)
            for source in (moving, text)
            for stream in source.streams
        }
        for source in (moving, text):
            for packet in source.demux():
                if packet.size:
                    packet.stream = copies[packet.stream]
                    out.mux(packet)


if __name__ == "__main__":
    main()
