"""Joining the pieces of a clip, with the sound and all else of the clip that they come from."""

from __future__ import annotations

import contextlib
import heapq
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from impasto.errors import OutputError
from impasto.video.clips import READ_ERRORS, TAG_OPTIONS, Clip, exact, is_cover, open_clip
from impasto.video.encoding import CODECS, Encoding, told_errors
from impasto.video.pieces import PieceFolder, sync

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
# Subtitles of plain text, which MP4 and MOV hold in a form of their own; and their mark-up.
_PLAIN_TEXT: Final = ("subrip", "srt", "text", "webvtt")
_LONGEST_TEXT: Final = 65_535
_MARKUP: Final = re.compile(rb"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}")
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
    """Returns, in words, the streams of a clip for which a container has no place.

    They are subtitles and attachments of some kinds, and data and cover pictures, never kept.

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
        if any(is_cover(stream) for stream in source.streams.video):
            left_out.append("the cover picture")
        # MP4 keeps the titles of chapters in a data stream, and they are kept.
        chapters = len(source.chapters())
        if any(stream.frames != chapters or not chapters for stream in source.streams.data):
            left_out.append("data that is neither picture nor sound, such as a camera's")
    return left_out


def join(
    result: Path, folder: PieceFolder, encoding: Encoding, clip: Clip | None, extract: Extract
) -> None:
    """Writes a clip, atomically; it grows in the folder.

    Args:
        result: the file.
        folder: with all pieces, at least one.
        encoding: of the pieces.
        clip: source of sound, subtitles, chapters, rotation and tags, if there is one.
        extract: part of the clip.

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
        _becomes(folder.joined, result),
        told_errors(result, "the clip"),
        av.open(
            str(folder.joined), "w", format=container, options=options, **TAG_OPTIONS
        ) as target,
        av.open(str(folder.path / folder.pieces[0].name)) as first,
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
            elif clip.turns:
                stream.set_display_rotation(90 * clip.turns)
            copies = {}
            for other in _others(source):
                if _has_place(other, result.suffix.lower()):
                    copies[other.index] = copy = _copy_of(other, target)
                    _describe(other, copy)
            copied = _copied(source, target, copies, extract, clip.origin_s)
            tags = source.metadata.items()
            target.metadata.update({k: v for k, v in tags if k not in _OF_THE_FILE})
            _copy_chapters(source, target, extract, clip.origin_s)
        video = _encoded(folder, stream, encoding.time_base)
        for _, packet in heapq.merge(video, copied, key=itemgetter(0)):
            target.mux(packet)


@contextlib.contextmanager
def _becomes(temporary: Path, result: Path) -> Iterator[None]:
    """Gives a file its name when the block ends without an error, and removes it otherwise."""
    try:
        yield
        with told_errors(result, "the clip"):
            if result.exists() and not result.is_file():
                raise OutputError(f"cannot write {result}: it is a folder or a device, not a file")
            sync(temporary)
            temporary.replace(result)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _others(source: InputContainer) -> list[Any]:
    return [stream for stream in source.streams if stream.type in _COPIED]


def _copy_of(stream: Any, target: OutputContainer) -> Any:
    if stream.type == "attachment":
        return target.add_attachment("", "", stream.data)  # its name and kind are among its tags
    if _becomes_mov_text(stream, target):
        copy = target.add_stream("mov_text")
        copy.codec_context.subtitle_header = b"[Script Info]\n"
        return copy
    return target.add_stream_from_template(stream, opaque=True)


def _becomes_mov_text(stream: Any, target: OutputContainer) -> bool:
    plain = stream.codec_context is not None and stream.codec_context.name in _PLAIN_TEXT
    return plain and target.format.name in ("mp4", "mov")


def _as_mov_text(packet: AnyPacket) -> AnyPacket:
    """Turns a line of plain text into one of MP4: its length and its UTF-8, without mark-up."""
    text = _MARKUP.sub(b"", bytes(packet))[:_LONGEST_TEXT]
    line: AnyPacket = Packet(len(text).to_bytes(2, "big") + text)
    line.time_base, line.duration = packet.time_base, packet.duration
    line.pts, line.dts = packet.pts, packet.dts
    return line


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
        base = exact(chapter["time_base"]) or Fraction(1, 1000)
        begins, ends = (max(Fraction(0), chapter[key] * base - shift_s) for key in ("start", "end"))
        if extract.ends_s is not None:
            ends = min(ends, extract.ends_s - extract.shift_s)
        if begins < ends:
            times = {"start": int(begins / base), "end": int(ends / base), "time_base": base}
            chapters.append({**chapter, **times})
    if chapters:
        target.set_chapters(chapters)


def _encoded(
    folder: PieceFolder, stream: Any, time_base: Fraction
) -> Iterator[tuple[Fraction, AnyPacket]]:
    """Reads the pieces' packets, with the times of the whole."""
    last: int | None = None
    for piece in folder.pieces:
        with av.open(str(folder.path / piece.name)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is None or packet.dts is None:
                    continue
                unit = exact(packet.time_base) / time_base
                pts, dts = round(packet.pts * unit), round(packet.dts * unit) + piece.first_pts
                # A codec that reorders frames begins each piece a little before its first one.
                last = dts if last is None else max(dts, last + 1)
                packet.duration = piece.durations.get(pts, packet.duration)
                packet.pts, packet.dts = pts + piece.first_pts, last
                packet.time_base = time_base
                packet.stream = stream
                yield last * time_base, packet


def _copied(
    source: InputContainer,
    target: OutputContainer,
    copies: dict[int, Any],
    extract: Extract,
    origin_s: Fraction,
) -> Iterator[tuple[Fraction, AnyPacket]]:
    """Reads the packets of the other streams, as they are but for their times."""
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
        time_base = exact(packet.time_base)
        if not extract.holds(time * time_base - origin_s):
            continue
        shift = round((origin_s + extract.shift_s) / time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        source_stream, copy = packet.stream, copies[packet.stream.index]
        if _becomes_mov_text(source_stream, target):
            packet = _as_mov_text(packet)
        packet.stream = copy
        yield (time - shift) * time_base, packet
