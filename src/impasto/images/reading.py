"""Reading a picture of any usual kind as 8-bit sRGB, upright, with its alpha apart.

The size in the header is checked before a pixel is decoded. Embedded colour profiles are
applied, so that the values mean sRGB; EXIF survives without orientation, thumbnail and the
tags that describe the old file's layout. Of animations and documents, the first frame counts.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from impasto.errors import ImageReadError, ImageTooLargeError, MissingExtraError, install_line
from impasto.images.exif import clean_exif
from impasto.images.folders import is_special
from impasto.images.mapping import bands, release
from impasto.images.opening import READABLE, count_frames, open_header

DEFAULT_MAX_PIXELS: Final = 200_000_000

# What Pillow's decoders raise on damaged data.
DECODE_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# Above the size of usual photos, which are converted at once.
_BAND_PIXELS: Final = 1 << 24

# For each EXIF orientation: what makes a picture upright, and where its first row lies then:
# whether it is a column, and whether it is the last one.
_TURNS: Final[dict[int, tuple[Image.Transpose | None, bool, bool]]] = {
    1: (None, False, False),
    2: (Image.Transpose.FLIP_LEFT_RIGHT, False, False),
    3: (Image.Transpose.ROTATE_180, False, True),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, False, True),
    5: (Image.Transpose.TRANSPOSE, True, False),
    6: (Image.Transpose.ROTATE_270, True, True),
    7: (Image.Transpose.TRANSVERSE, True, True),
    8: (Image.Transpose.ROTATE_90, True, False),
}


class NoRangeError(ValueError):
    """The values of a picture are not levels of 8 or 16 bits."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded picture, in memory or mapped from files.

    Attributes:
        rgb: (H, W, 3) uint8, sRGB, upright.
        alpha: (H, W) uint8, 255 opaque, or None where the picture has no transparency.
        exif: EXIF block without orientation, ready for Pillow's ``save``, or None.
        format: Pillow's name of the file format, for example ``"JPEG"``; ``""`` if unknown.
        icc_profile: the RGB profile that the picture came with and is given back when written,
            or None where that is sRGB; ``rgb`` is sRGB in either case.
        frames: frames or pages that the file holds, of which this is the first.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    exif: bytes | None = None
    format: str = ""
    icc_profile: bytes | None = None
    frames: int = 1


Band: TypeAlias = tuple[slice, Image.Image, NDArray[np.uint8] | None]
"""Rows of a picture: which, their colours, and alpha where there is some."""


def read_image(
    source: str | Path | bytes | BinaryIO,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    name: str = "the picture",
) -> Photo:
    """Reads a picture.

    Args:
        source: a path, a file's content, or a binary file that can seek.
        max_pixels: largest width times height accepted, checked before decoding.
        name: what error messages call a picture without a path.

    Raises:
        ImageReadError: the picture is missing, empty, truncated or not a picture.
        ImageTooLargeError: its header states more than ``max_pixels`` pixels, or it does
            not fit into memory.
        MissingExtraError: it is a HEIC photo, and the extra ``heic`` is not installed.
    """
    if not isinstance(source, (str, Path)):
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        return _read_stream(stream, name, max_pixels)
    path = Path(source)
    if is_special(path):  # a second look at a pipe finds it empty, or waits for good
        raise ImageReadError(
            f"{path} is a pipe or a device: save the picture as a file, or give - for stdin"
        )
    try:
        with path.open("rb") as file:
            return _read_stream(file, str(path), max_pixels)
    except FileNotFoundError as error:
        raise ImageReadError(f"no such file: {path}") from error
    except IsADirectoryError as error:
        raise ImageReadError(f"{path} is a folder, not a picture") from error
    except OSError as error:
        raise ImageReadError(f"cannot read {path}: {error.strerror or error}") from error


def is_picture(path: Path) -> bool:
    """Tells whether a file's header is that of a picture in a readable format."""
    try:
        with path.open("rb") as file, open_header(file):
            return True
    except MissingExtraError:
        return True
    except DECODE_ERRORS:
        return False


def photo_from_image(
    image: Image.Image, *, max_pixels: int = DEFAULT_MAX_PIXELS, name: str = "the picture"
) -> Photo:
    """Turns a Pillow image of any mode into a `Photo`, upright; the image stays as it is.

    Error messages call it ``name``.

    Raises:
        ImageReadError: the image cannot be decoded or has values without a known range.
        ImageTooLargeError: it has more than ``max_pixels`` pixels.
    """
    return _decode(image, None, max_pixels, name, failure="cannot be decoded")


def _read_stream(file: BinaryIO, name: str, max_pixels: int) -> Photo:
    if not file.read(1):
        raise ImageReadError(f"{name} is empty")
    try:
        image = open_header(file)
    except DECODE_ERRORS as error:
        raise ImageReadError(
            f"{name} is not a picture, or a damaged one (readable: {READABLE})"
        ) from error
    with image:
        return _decode(image, file, max_pixels, name, failure="is damaged or truncated")


def _decode(
    image: Image.Image, file: BinaryIO | None, max_pixels: int, name: str, *, failure: str
) -> Photo:
    check_size(image, max_pixels, name)
    try:
        image.load()
        return assembled(
            image,
            _bands(image),
            size=image.size,
            file=file,
            read_exif=image.getexif,
            room=lambda shape: np.empty(shape, np.uint8),
        )
    except MemoryError as error:
        size = f"{image.width}x{image.height}"
        raise ImageTooLargeError(
            f"{name} ({size}) does not fit into memory{without_huge()}"
        ) from error
    except NoRangeError as error:
        raise ImageReadError(f"{name} has {error}: save it as 8 or 16 bit") from error
    except DECODE_ERRORS as error:
        reason = " ".join(str(error).split())  # libheif ends its messages by a line break
        raise ImageReadError(f"{name} {failure}: {reason}") from error


def check_size(image: Image.Image, max_pixels: int, name: str) -> None:
    """Refuses a picture by its header.

    Raises:
        ImageReadError: it has no pixels.
        ImageTooLargeError: it has more than ``max_pixels``.
    """
    if image.width < 1 or image.height < 1:
        raise ImageReadError(f"{name} has no pixels ({image.width}x{image.height})")
    if image.width * image.height > max_pixels:
        raise ImageTooLargeError(
            f"{name} is {image.width}x{image.height}, above the limit of {max_pixels:,} pixels "
            f"(--max-pixels or max_pixels raises it){without_huge()}"
        )


def without_huge() -> str:
    """Returns what to add to an error about a picture's size where pyvips is missing."""
    if importlib.util.find_spec("pyvips") is not None:
        return ""
    return (
        "; pictures larger than memory need the extra impasto[huge]: "
        f"run `{install_line('huge')}` in a clone of the repository"
    )


def _bands(image: Image.Image) -> Iterator[Band]:
    """Cuts a large picture into bands.

    Every step of its conversion makes a copy, and four whole copies of 200 megapixels would
    take twice the memory of the picture and its result.
    """
    for rows in bands(image.height, image.width, most_pixels=_BAND_PIXELS):
        whole = rows.stop - rows.start == image.height
        band = image if whole else image.crop((0, rows.start, image.width, rows.stop))
        yield rows, *split_alpha(band)


def assembled(
    image: Image.Image,
    parts: Iterable[Band],
    *,
    size: tuple[int, int],
    file: BinaryIO | None,
    read_exif: Callable[[], Image.Exif],
    room: Callable[[tuple[int, ...]], NDArray[np.uint8]],
) -> Photo:
    """Makes a photo, upright and as sRGB, of a picture or its header and of its decoded bands.

    Args:
        image: the picture, or its header.
        parts: its bands as they are stored.
        size: width and height as they are stored, in px.
        file: the picture's, if it has one.
        read_exif: gives its EXIF block.
        room: makes an array of a shape.
    """
    exif, turn = Image.Exif(), _TURNS[1]
    # A damaged EXIF block is no reason to refuse the picture.
    with contextlib.suppress(*DECODE_ERRORS):
        exif = read_exif()
        turn = _TURNS.get(exif.get(ExifTags.Base.Orientation, 1), turn)
    height, width = size if turn[1] else size[::-1]
    rgb, alpha = room((height, width, 3)), None
    profile, own_profile = image.info.get("icc_profile"), None
    for rows, colours, clear in parts:
        if isinstance(profile, bytes) and profile:
            from impasto.images.profiles import to_srgb  # here: few pictures need its library

            converted, own_profile = to_srgb(colours, profile)
        else:
            converted = colours if colours.mode == "RGB" else colours.convert("RGB")
        _put(rgb, converted, rows, turn)
        if clear is not None:
            alpha = room((height, width)) if alpha is None else alpha
            _put(alpha, Image.fromarray(clear), rows, turn)
        release(rgb, alpha)
    block = None
    with contextlib.suppress(*DECODE_ERRORS):
        block = clean_exif(exif, width, height, srgb=own_profile is None)
    file_format = "JPEG" if image.format == "MPO" else image.format or ""
    frames = 1 if file is None else count_frames(image, file)
    return Photo(rgb, alpha, block, file_format, own_profile, frames)


def _put(
    target: NDArray[np.uint8],
    band: Image.Image,
    rows: slice,
    turn: tuple[Image.Transpose | None, bool, bool],
) -> None:
    """Puts rows of a picture where they belong when it is upright."""
    method, across, backwards = turn
    values = np.asarray(band if method is None else band.transpose(method))
    if backwards:
        length = target.shape[1 if across else 0]
        rows = slice(length - rows.stop, length - rows.start)
    if not across:
        target[rows] = values
        return
    for down in bands(*target.shape[:2], over=[target]):  # each band meets every row
        target[down, rows] = values[down]


def split_alpha(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Returns the colours in a mode that profiles apply to, and the alpha channel.

    Raises:
        NoRangeError: the values are not levels of 8 or 16 bits.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        clear = image.info.get("transparency")  # one level of grey, which PNG may declare
        alpha = np.where(values == clear, 0, 255).astype(np.uint8) if clear is not None else None
        return Image.fromarray(sixteen_to_eight_bit(values)), alpha
    if image.mode == "F":
        raise NoRangeError("floating-point values, which have no fixed range")
    if not image.has_transparency_data:
        return (image if image.mode in ("L", "CMYK", "RGB") else image.convert("RGB")), None
    rgba = image.convert("RGBA")
    alpha = np.array(rgba.getchannel("A"), dtype=np.uint8)
    return (image.getchannel("L") if image.mode == "LA" else rgba.convert("RGB")), alpha


def sixteen_to_eight_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scales 0..65535 to 0..255, rounding to the nearest level.

    Raises:
        NoRangeError: there are other values.
    """
    if values.min() < 0 or values.max() > 65535:
        raise NoRangeError("values outside 0..65535")
    levels: NDArray[np.uint8] = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return levels
