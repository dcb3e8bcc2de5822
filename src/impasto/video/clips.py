"""Reading clips with FFmpeg: what they are, and their frames, upright and in SDR."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation

from impasto.errors import VideoError
from impasto.images.folders import is_special
from impasto.video.frames import Frame, Picture
from impasto.video.hdr import HLG, PQ, tone_map

LIMITED, FULL = 1, 2
"""FFmpeg's numbers of the colour ranges."""
BT709: Final = 1
_BT601, _BT2020 = 6, 9
_UNSPECIFIED: Final = 2
# Of pictures without a stated matrix, players take those above this height as HD.
_HD_HEIGHT: Final = 576
_FILTER: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# What FFmpeg raises on what it cannot read, beside its own errors.
READ_ERRORS: Final = (av.FFmpegError, ValueError, OverflowError)
# Tags of another encoding than UTF-8 go through byte by byte, in PyAV 19 without being asked.
TAG_OPTIONS: Final[dict[str, Any]] = (
    {"metadata_errors": "surrogateescape"} if av.__version__.startswith("18.") else {}
)
# Back from where reading goes on, so that the frame before is there.
_SEEK_BACK_S: Final = 1


@dataclass(frozen=True)
class Colour:
    """How levels mean colours, in FFmpeg's numbers (those of ITU-T H.273).

    Attributes:
        range: `LIMITED` or `FULL`.
        matrix: between Y'CbCr and R'G'B'.
        primaries: of R, G and B.
        transfer: from light to levels.
    """

    range: int = LIMITED
    matrix: int = BT709
    primaries: int = BT709
    transfer: int = BT709

    @property
    def is_hdr(self) -> bool:
        """Whether it has to be tone-mapped."""
        return self.transfer in (HLG, PQ)

    @property
    def sdr(self) -> Colour:
        """Those of a result: BT.709 in place of HDR."""
        return Colour(self.range) if self.is_hdr else self

    @property
    def sws_matrix(self) -> int:
        """The number under which FFmpeg's scaler has the matrix."""
        return _BT2020 if self.matrix in (9, 10) else {1: 1, 4: 4, 7: 7}.get(self.matrix, 5)


DEFAULT_COLOUR: Final = Colour()


class Clip:
    """A clip's first video stream.

    Attributes:
        path: the file.
        has_sound: whether there is an audio stream.
        other_videos: how many more video streams there are.
        width, height: of an upright frame as it is given, in px.
        time_base: seconds in a unit of time.
        frame_rate: frames per second, on average.
        frame_count: how many frames about there are; None if unknown.
        damaged: packets that were skipped and frames that were patched up so far.
        stated_s: the length that the file states, if it does.
        ended_s: end of the last frame that was read.
        origin_s: the file's time that counts as 0, as in streams cut from a broadcast.
        index: the stream's number.
        colour: of the file.
        bits: of a level in the file.
        turns: quarter turns to the left that make a frame of the file upright.
        matrix: how the picture is turned and mirrored for display, 9 numbers; None is as `turns`.
        pixel_shape: width divided by height of a pixel; None is square.
        loop: of an animated picture that is made of it.
    """

    loop = 0

    def __init__(self, path: Path, *, max_side_px: int | None = None) -> None:
        """Looks at a clip and decodes its first frame.

        Args:
            path: a file.
            max_side_px: frames are given no larger than this, on the longer side.

        Raises:
            VideoError: it is missing, no clip, has no video, or no frame can be decoded.
        """
        self.path = path
        self.damaged = 0
        with open_clip(path) as container:
            streams = [s for s in container.streams.video if not is_cover(s)]
            if not streams:
                kinds = ", ".join(sorted({s.type for s in container.streams}))
                if not kinds:
                    raise VideoError(
                        f"{path} holds nothing, neither video nor sound: its recording was cut "
                        "short, take another copy"
                    )
                raise VideoError(f"{path} has no video, only {kinds}")
            stream = streams[0]
            if stream.codec_context is None:
                raise VideoError(
                    f"{path} holds video of a codec that FFmpeg cannot decode: convert it to "
                    "H.264 with the program that made it"
                )
            self.index = stream.index
            self.other_videos = len(streams) - 1
            self.has_sound = bool(container.streams.audio)
            self.time_base = exact(stream.time_base) or Fraction(1, 1000)
            self.frame_rate = exact(stream.average_rate or stream.guessed_rate or 25)
            self.pixel_shape = exact(stream.sample_aspect_ratio) or None
            self.stated_s: Fraction | None = None
            if stream.duration is not None:
                self.stated_s = stream.duration * exact(stream.time_base)
            elif container.duration is not None:
                self.stated_s = Fraction(container.duration, 1_000_000)
            self.ended_s = Fraction(0)
            self.frame_count: int | None = stream.frames or None
            if self.frame_count is None and self.stated_s is not None:
                self.frame_count = max(1, round(self.stated_s * self.frame_rate))
            self.origin_s = Fraction(max(0, container.start_time or 0), 1_000_000)
            first = next(self._decoded(container, stream), None)
            if first is None:
                raise VideoError(f"{path} holds no frame that can be decoded")
            self._describe(first, max_side_px)
        self.damaged = 0

    def _describe(self, frame: av.VideoFrame, max_side_px: int | None) -> None:
        self.bits = max(component.bits for component in frame.format.components)
        self.colour = colour_of(frame)
        self._coded = _shrunk(frame.width, frame.height, max_side_px)
        self.matrix = _display_matrix(frame)
        self.turns = round(frame.rotation / 90) % 4
        self.width, self.height = self._coded if self.turns % 2 == 0 else self._coded[::-1]

    def frames(self, first_s: Fraction | None = None) -> Iterator[Frame]:
        """Reads the frames that are shown at a time or after it, None for all.

        Packets that cannot be decoded are skipped, and frames that the decoder patched up are
        kept; both count as damaged.
        """
        usual = max(1, round(1 / self.frame_rate / self.time_base))
        with open_clip(self.path) as container:
            stream = container.streams[self.index]
            # Threads that take a frame each lose, without an error, as many good frames as there
            # are threads where the end is damaged. Painting takes far longer than decoding.
            stream.thread_type = "SLICE"  # type: ignore[attr-defined]
            if first_s is not None and first_s > _SEEK_BACK_S:
                back = int((first_s + self.origin_s - _SEEK_BACK_S) / self.time_base)
                with contextlib.suppress(av.FFmpegError):  # some formats cannot seek
                    container.seek(back, stream=stream)
            last: int | None = None
            for decoded in self._decoded(container, stream):
                pts = decoded.pts
                if pts is None or (last is not None and pts <= last):
                    pts = 0 if last is None else last + usual
                last = pts
                time_s = pts * self.time_base - self.origin_s
                duration = decoded.duration or usual
                self.ended_s = time_s + duration * self.time_base
                if first_s is None or time_s >= first_s:
                    yield Frame(self._upright(decoded), pts, duration, time_s)

    def _decoded(self, container: InputContainer, stream: Any) -> Iterator[av.VideoFrame]:
        packets = container.demux(stream)
        ended = False
        while not ended:
            frames: list[av.VideoFrame] = []
            try:
                packet = next(packets, None)
                # Decoding nothing asks for what is left, which a decoder can be asked for once.
                ended = packet is None or packet.size == 0
                frames = stream.decode(None) if packet is None else packet.decode()
            except READ_ERRORS:
                self.damaged += 1
            for frame in frames:
                self.damaged += frame.is_corrupt
                yield frame

    def _upright(self, frame: av.VideoFrame) -> Picture:
        """Converts a frame to R'G'B' of SDR, at the size and in the direction of display."""
        width, height = self._coded
        colour = self.colour  # the first frame's: some streams state it in some frames only
        pixels: Any = frame.reformat(
            width=width,
            height=height,
            format="rgb48le" if colour.is_hdr else "rgb24",
            src_colorspace=colour.sws_matrix,
            src_color_range=colour.range,
            dst_color_range=FULL,
            interpolation=_FILTER,
        ).to_ndarray()
        rgb = tone_map(pixels, colour.transfer) if colour.is_hdr else pixels
        return np.ascontiguousarray(np.rot90(rgb, self.turns))


@contextlib.contextmanager
def open_clip(path: Path) -> Iterator[InputContainer]:
    """Opens a file for FFmpeg, which is kept from opening anything else.

    Raises:
        VideoError: it is missing, a photo, or FFmpeg cannot read it.
    """
    av.logging.set_level(av.logging.PANIC)
    if is_special(path):
        raise VideoError(f"{path} is a pipe or a device: save the clip as a file")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise VideoError(f"{path} is empty")
    except FileNotFoundError as error:
        raise VideoError(f"no such file: {path}") from error
    except OSError as error:
        raise VideoError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        options = {"protocol_whitelist": "file"}
        container = av.open(f"file:{path}", "r", options=options, **TAG_OPTIONS)
    except READ_ERRORS as error:
        raise VideoError(
            f"{path} is no clip that FFmpeg reads, or a damaged or truncated one"
        ) from error
    with container:
        # FFmpeg takes a photo as a clip of one frame.
        if container.format.name == "image2" or container.format.name.endswith("_pipe"):
            raise VideoError(f"{path} is a photo and no clip: `impasto stylize` paints it")
        yield container


def exact(rational: Any) -> Fraction:
    """Returns a rational of PyAV, 0 where it is unset.

    Those of PyAV 19 cannot be rounded, and what two of them give is rounded without a word.
    """
    return Fraction(rational or 0)


def _display_matrix(frame: av.VideoFrame) -> list[int] | None:
    try:
        stated: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV 18 refuses it all where it has no name for some, such as EXIF
        return None
    return None if stated is None else np.frombuffer(bytes(stated), "=i4").tolist()


def is_cover(stream: Any) -> bool:
    """Tells whether a video stream is a picture that belongs to the sound."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def colour_of(frame: av.VideoFrame) -> Colour:
    """Returns a frame's colours; what it leaves open is what players take it for."""
    if frame.format.is_rgb or frame.format.has_palette:
        return Colour(range=FULL)
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    guess = BT709 if frame.height > _HD_HEIGHT else _BT601
    known = (0, _UNSPECIFIED)  # 0 as a matrix means R'G'B', and nothing as the others
    return Colour(
        FULL if full else LIMITED,
        guess if frame.colorspace in known else frame.colorspace,
        guess if frame.color_primaries in known else frame.color_primaries,
        guess if frame.color_trc in known else frame.color_trc,
    )


def _shrunk(width: int, height: int, max_side_px: int | None) -> tuple[int, int]:
    """Returns a size within a limit, with even sides, which every codec can hold."""
    longer = max(width, height)
    if max_side_px is None or longer <= max_side_px:
        return width, height
    width, height = (max(2, round(n * max_side_px / longer / 2) * 2) for n in (width, height))
    return width, height
