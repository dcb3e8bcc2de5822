"""Encoding frames: codecs, what each can hold, and the pieces of a clip."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.video.reformatter import Interpolation
from PIL import Image

from impasto.errors import OutputError, UsageError
from impasto.images.writing import on_white
from impasto.video.clips import DEFAULT_COLOUR, FULL, Colour
from impasto.video.frames import Frame

_FILTER: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
# Of fewer frames x265 gives decoding times out of memory that it never filled.
_X265_FRAMES: Final = 3


@dataclass(frozen=True)
class Codec:
    """A codec that results are written in.

    Attributes:
        encoder: FFmpeg's name of it.
        crf: its usual constant rate factor; None where it has none.
        most_crf: the largest.
        options: FFmpeg's, beside that.
        piece: the container in which pieces of a clip rest.
        odd_sides: whether it holds odd widths and heights at half the colour resolution.
        tag: how the codec is named in MP4 and MOV; ``""`` is FFmpeg's choice.
        chroma: name of the colour resolution, as in FFmpeg's pixel formats.
        deep: whether it holds levels of more than 8 bits; PyAV's libvpx does not.
        suffixes: of the files that hold it.
    """

    encoder: str
    crf: int | None
    most_crf: int
    options: dict[str, str] = field(default_factory=dict)
    piece: str = "mp4"
    odd_sides: bool = False
    tag: str = ""
    chroma: str = "420p"
    deep: bool = True
    suffixes: tuple[str, ...] = ()

    def pixel_format(self, width: int, height: int, bits: int) -> str:
        """Returns FFmpeg's name of the pixel format for a size and the bits of a level."""
        odd = (width % 2 or height % 2) and not self.odd_sides
        ten = "10le" if (bits > 8 and self.deep) or self.encoder == "prores_ks" else ""
        return f"yuv{'444p' if odd else self.chroma}{ten}"


_EVERYDAY: Final = (".mp4", ".m4v", ".mov", ".mkv")
_OPEN: Final = (".mp4", ".m4v", ".mkv", ".webm")

CODECS: Final = {
    "h264": Codec("libx264", 18, 51, {"preset": "veryfast"}, suffixes=_EVERYDAY),
    "hevc": Codec(
        "libx265",
        20,
        51,
        {"preset": "veryfast", "x265-params": "log-level=none"},
        tag="hvc1",
        suffixes=_EVERYDAY,
    ),
    "vp9": Codec(
        "libvpx-vp9",
        28,
        63,
        {"cpu-used": "4", "row-mt": "1"},
        odd_sides=True,
        deep=False,
        suffixes=_OPEN,
    ),
    "av1": Codec("libsvtav1", 28, 63, {"preset": "8"}, odd_sides=True, suffixes=_OPEN),
    "prores": Codec(
        "prores_ks",
        None,
        0,
        {"profile": "hq"},
        piece="mov",
        odd_sides=True,
        chroma="422p",
        suffixes=(".mov", ".mkv"),
    ),
}


def choose_codec(name: str | None, crf: int | None, suffix: str, bits: int) -> str:
    """Returns the wanted codec of a result, or else a usual one for its suffix and bits.

    Raises:
        UsageError: there is no such codec, or it has no such rate factor, or files of that
            suffix do not hold it.
    """
    if name is None:
        usual = "hevc" if bits > 8 else "h264"
        name = "vp9" if suffix == ".webm" else usual
    check_codec(name, crf)
    held_by = CODECS[name].suffixes
    if suffix not in held_by:
        others = ", ".join(other for other, codec in CODECS.items() if suffix in codec.suffixes)
        raise UsageError(
            f"{suffix} cannot hold --codec {name}: choose one of {others}, or give -o a name that "
            f"ends in {' or '.join(held_by)}"
        )
    return name


def check_codec(name: str | None, crf: int | None) -> None:
    """Raises a `UsageError` for an unknown codec, or a rate factor that it does not have."""
    if name is not None and name not in CODECS:
        *most, last = CODECS
        raise UsageError(f"--codec must be {', '.join(most)} or {last}, not {name!r}")
    if crf is None:
        return
    if name is not None and CODECS[name].crf is None:
        raise UsageError(f"--crf is not for {name}, which has one quality: leave it out")
    limit = max(c.most_crf for c in CODECS.values()) if name is None else CODECS[name].most_crf
    if not 0 <= crf <= limit:
        raise UsageError(f"--crf must lie between 0 and {limit}, not {crf}")


@dataclass(frozen=True)
class Encoding:
    """How a clip is encoded; other attributes are those of a `Clip`.

    Attributes:
        codec: one of `CODECS`.
        crf: constant rate factor; None is the codec's usual one.
        width, height: of a frame as it is stored, in px.
    """

    codec: str
    crf: int | None
    width: int
    height: int
    bits: int
    time_base: Fraction
    frame_rate: Fraction
    colour: Colour = DEFAULT_COLOUR
    turns: int = 0
    pixel_shape: Fraction | None = None

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the pixel format."""
        return CODECS[self.codec].pixel_format(self.width, self.height, self.bits)


class PieceWriter:
    """Encodes frames into one piece of a clip, whose time begins at 0.

    Attributes:
        durations: of each frame, by its time within the piece.
    """

    def __init__(self, path: Path, encoding: Encoding, first_pts: int) -> None:
        """Begins a file; an `OutputError` says that the codec refuses the frames."""
        codec = CODECS[encoding.codec]
        self._path, self._encoding, self._first_pts = path, encoding, first_pts
        self.durations: dict[int, int] = {}
        options = dict(codec.options)
        if codec.crf is not None:
            options["crf"] = str(codec.crf if encoding.crf is None else encoding.crf)
        with self._told():
            self._container = av.open(str(path), "w", format=codec.piece)
            rate = encoding.frame_rate.limit_denominator(1 << 16)
            stream: Any = self._container.add_stream(codec.encoder, rate=rate, options=options)
            self._stream = stream
            stream.width, stream.height = encoding.width, encoding.height
            stream.pix_fmt = encoding.pixel_format
            stream.time_base = stream.codec_context.time_base = encoding.time_base
            colour = encoding.colour
            stream.color_range, stream.colorspace = colour.range, colour.matrix
            stream.color_primaries, stream.color_trc = colour.primaries, colour.transfer
            if codec.tag:
                stream.codec_context.codec_tag = codec.tag
            if encoding.pixel_shape:
                stream.codec_context.sample_aspect_ratio = encoding.pixel_shape

    def write(self, frame: Frame) -> None:
        """Encodes a frame; an `OutputError` says that the disk is full, for example."""
        colour = self._encoding.colour
        shown = frame.rgb
        if frame.alpha is not None:
            shown = np.asarray(on_white(Image.fromarray(np.dstack([shown, frame.alpha]))))
        stored = np.ascontiguousarray(np.rot90(shown, -self._encoding.turns))
        picture = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(
            format=self._encoding.pixel_format,
            dst_colorspace=colour.sws_matrix,
            src_color_range=FULL,
            dst_color_range=colour.range,
            interpolation=_FILTER,
        )
        picture.pts = frame.pts - self._first_pts
        picture.time_base = self._encoding.time_base
        self.durations[picture.pts] = frame.duration
        with self._told():
            self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Encodes the frames that wait and ends the file; errors are those of `write`."""
        with self._told():
            packets = self._stream.encode()
            if self._encoding.codec == "hevc" and len(self.durations) < _X265_FRAMES:
                for packet in packets:  # so few are never reordered, nor given before the end
                    packet.dts = packet.pts
            self._container.mux(packets)
            self._container.close()

    def abandon(self) -> None:
        """Leaves the file as it is and removes it."""
        with contextlib.suppress(av.FFmpegError):
            self._container.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _told(self) -> contextlib.AbstractContextManager[None]:
        encoding = self._encoding
        frames = f"{encoding.codec} frames of {encoding.width}x{encoding.height}"
        return told_errors(self._path, frames)


@contextlib.contextmanager
def told_errors(path: Path, what: str) -> Iterator[None]:
    """Turns errors of writing into an `OutputError` in one line."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"cannot write {what} to {path}: {reason}") from error
