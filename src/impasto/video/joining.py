"""Joining the pieces of a clip, with the sound and all else of the clip that they come from."""

from __future__ import annotations

import contextlib
import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from impasto.errors import OutputError
from impasto.images.writing import atomic_path
from impasto.video.clips import READ_ERRORS, Clip, open_clip
from impasto.video.encoding import CODECS, Encoding, told_errors
from impasto.video.pieces import Piece

CONTAINERS: Final = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""FFmpeg's name of the container, by suffix."""

AnyPacket: TypeAlias = "Packet[Any]"

_COPIED: Final = ("audio", "subtitle", "attachment")
# Written anew by whoever writes the file.
_OF_THE_FILE: Final = ("major_brand", "minor_version", "compatible_brands", "encoder")


@dataclass(frozen=True)
class Extract:
    """What of a clip a result holds.

    Attributes:
        begins_s: the clip's time that is the result's 0; None keeps the times and takes all.
        ends_s: where it ends, in the clip's time; None is its end.
    """

    begins_s: Fraction | None = None
    ends_s: Fraction | None = None

    @property
    def shift_s(self) -> Fraction:
        """How much earlier everything is in the result."""
        return self.begins_s or Fraction(0)

    def holds(self, time_s: Fraction) -> bool:
        """Tells whether a time of the clip lies in it."""
        begun = self.begins_s is None or time_s >= self.begins_s
        return begun and (self.ends_s is None or time_s < self.ends_s)


ALL: Final = Extract()


def streams_left_out(path: Path, suffix: str) -> list[str]:
    """Finds out, before the work, what of a clip a container cannot hold.

    Args:
        path: the clip.
        suffix: of the result's file.

    Returns:
        What is left out, in words: subtitles and attachments of kinds that it has no place for.

    Raises:
        OutputError: it has no place for the sound; the containers that have are named.
    """
    left_out = []
    with open_clip(path) as source:
        for stream in _others(source):
            if _has_place(stream, suffix):
                continue
            kind = stream.codec_context.name if stream.codec_context else stream.type
            if stream.type == "audio":
                able = [s for s in CONTAINERS if s != ".m4v" and _has_place(stream, s)]
                raise OutputError(
                    f"{suffix} cannot hold the sound of {path} ({kind}): give -o a name that "
                    f"ends in {' or '.join(able) or 'another suffix'}"
                )
            left_out.append(f"{stream.type} ({kind})")
    return left_out


def join(
    result: Path,
    pieces: Sequence[tuple[Path, Piece]],
    encoding: Encoding,
    clip: Clip | None,
    extract: Extract,
) -> None:
    """Writes a clip, atomically.

    Args:
        result: the file.
        pieces: in their order.
        encoding: what they were encoded with.
        clip: where sound, subtitles, chapters, rotation and tags come from, if anywhere.
        extract: which part of it.

    Raises:
        OutputError: the disk is full, for example.
    """
    container = CONTAINERS[result.suffix.lower()]
    options = {}
    if container in ("mp4", "mov"):
        # Times are exact, and a player need not read to the end before it begins.
        timescale = str(encoding.time_base.denominator)
        options = {"movie_timescale": timescale, "movflags": "+faststart"}
    with (
        atomic_path(result) as temporary,
        told_errors(result, "the clip"),
        av.open(str(temporary), "w", format=container, options=options) as target,
        av.open(str(pieces[0][0])) as first,
        contextlib.ExitStack() as opened,
    ):
        stream = target.add_stream_from_template(first.streams.video[0], opaque=True)
        stream.time_base = encoding.time_base
        stream.codec_context.framerate = encoding.frame_rate.limit_denominator(1 << 16)
        if container in ("mp4", "mov") and CODECS[encoding.codec].tag:
            stream.codec_context.codec_tag = CODECS[encoding.codec].tag
        copied: Iterator[tuple[Fraction, AnyPacket]] = iter(())
        if clip is not None:
            source = opened.enter_context(open_clip(clip.path))
            _describe(source.streams[clip.index], stream)
            if clip.matrix is not None:
                stream.set_display_matrix(clip.matrix)
            copied = _copied(source, _add_others(source, target, result), extract, clip.origin_s)
            target.metadata.update(
                {k: v for k, v in source.metadata.items() if k not in _OF_THE_FILE}
            )
            _copy_chapters(source, target, extract, clip.origin_s)
        video = _encoded(pieces, stream, encoding.time_base)
        for _, packet in heapq.merge(video, copied, key=_time):
            target.mux(packet)


def _add_others(source: InputContainer, target: OutputContainer, result: Path) -> dict[int, Any]:
    """Adds what else the container holds of the clip, by the number of the clip's stream."""
    copies = {}
    for stream in _others(source):
        if _has_place(stream, result.suffix.lower()):
            copies[stream.index] = copy = _copy_of(stream, target)
            _describe(stream, copy)
    return copies


def _others(source: InputContainer) -> list[Any]:
    return [stream for stream in source.streams if stream.type in _COPIED]


def _copy_of(stream: Any, target: OutputContainer) -> Any:
    if stream.type == "attachment":
        return target.add_attachment(stream.name or "", stream.mimetype or "", stream.data)
    return target.add_stream_from_template(stream, opaque=True)


def _describe(stream: Any, copy: Any) -> None:
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition


def _has_place(stream: Any, suffix: str) -> bool:
    """Tries a container's head in memory, the only judge of what it holds."""
    try:
        with av.open(io.BytesIO(), "w", format=CONTAINERS[suffix]) as target:
            if stream.type == "attachment":
                return suffix == ".mkv"
            _copy_of(stream, target)
            target.start_encoding()
    except READ_ERRORS:
        return False
    return True


def _copy_chapters(
    source: InputContainer, target: OutputContainer, extract: Extract, origin_s: Fraction
) -> None:
    chapters: list[Any] = []
    shift_s = origin_s + extract.shift_s
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        begins, ends = (max(Fraction(0), chapter[key] * base - shift_s) for key in ("start", "end"))
        if extract.ends_s is not None:
            ends = min(ends, extract.ends_s - extract.shift_s)
        if begins < ends:
            times = {"start": int(begins / base), "end": int(ends / base), "time_base": base}
            chapters.append({**chapter, **times})
    if chapters:
        target.set_chapters(chapters)


def _encoded(
    pieces: Iterable[tuple[Path, Piece]], stream: Any, time_base: Fraction
) -> Iterator[tuple[Fraction, AnyPacket]]:
    """Reads the pieces' packets, with the times of the whole."""
    last: int | None = None
    for path, piece in pieces:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is None or packet.dts is None:
                    continue
                unit = packet.time_base / time_base
                pts, dts = round(packet.pts * unit), round(packet.dts * unit) + piece.first_pts
                # A codec that reorders frames begins each piece a little before its first one.
                last = dts if last is None else max(dts, last + 1)
                packet.duration = piece.durations.get(pts, packet.duration)
                packet.pts, packet.dts = pts + piece.first_pts, last
                packet.time_base = time_base
                packet.stream = stream
                yield last * time_base, packet


def _copied(
    source: InputContainer, copies: dict[int, Any], extract: Extract, origin_s: Fraction
) -> Iterator[tuple[Fraction, AnyPacket]]:
    """Reads the packets of the other streams, as they are."""
    read = [s for s in source.streams if s.index in copies and s.type != "attachment"]
    if not read:
        return
    packets = source.demux(*read)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except READ_ERRORS:
            return  # the end of a truncated file
        time = packet.dts if packet.pts is None else packet.pts
        if time is None:
            continue
        if not extract.holds(time * packet.time_base - origin_s):
            continue
        shift = round((origin_s + extract.shift_s) / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = copies[packet.stream.index]
        yield (time - shift) * packet.time_base, packet


def _time(item: tuple[Fraction, AnyPacket]) -> Fraction:
    return item[0]
