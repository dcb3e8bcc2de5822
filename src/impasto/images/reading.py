"""Reading a picture of any usual kind as 8-bit sRGB, upright, with its alpha apart.

The size in the header is checked before a pixel is decoded. Embedded colour profiles are
applied, so that the values mean sRGB; EXIF survives without orientation, thumbnail and the
tags that describe the old file's layout. Of animations and documents, the first frame counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from impasto.errors import ImageReadError, ImageTooLargeError, MissingExtraError, install_line
from impasto.images.exif import clean_exif, copy_exif
from impasto.images.folders import is_special
from impasto.images.frames import count_frames
from impasto.images.opening import READABLE, open_header
from impasto.images.profiles import to_srgb

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
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# Above the size of usual photos, which are converted at once.
_BAND_PIXELS: Final = 1 << 24


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
    """Turns a Pillow image of any mode into a `Photo`; the image itself stays as it is.

    Args:
        image: any Pillow image; its EXIF orientation is applied.
        max_pixels: largest width times height accepted.
        name: what error messages call the picture.

    Raises:
        ImageReadError: the image cannot be decoded or has values without a known range.
        ImageTooLargeError: it has more than ``max_pixels`` pixels.
    """
    return _decode(image, max_pixels, name, in_place=False, failure="cannot be decoded")


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
        photo = _decode(image, max_pixels, name, in_place=True, failure="is damaged or truncated")
        return dataclasses.replace(photo, frames=count_frames(image, file))


def _decode(
    image: Image.Image, max_pixels: int, name: str, *, in_place: bool, failure: str
) -> Photo:
    check_size(image, max_pixels, name)
    try:
        image.load()
        return _convert(image, image.format or "", in_place=in_place)
    except MemoryError as error:
        raise _no_memory(image, name) from error
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


def _no_memory(image: Image.Image, name: str) -> ImageTooLargeError:
    size = f"{image.width}x{image.height}"
    return ImageTooLargeError(f"{name} ({size}) does not fit into memory{without_huge()}")


def _convert(image: Image.Image, file_format: str, *, in_place: bool) -> Photo:
    """Converts a decoded image, which is changed only if ``in_place``."""
    profile = image.info.get("icc_profile")
    exif = Image.Exif()
    # A damaged EXIF block is no reason to refuse the picture.
    with contextlib.suppress(*DECODE_ERRORS):
        exif = copy_exif(image.getexif())
    with contextlib.suppress(*DECODE_ERRORS):
        if in_place:
            ImageOps.exif_transpose(image, in_place=True)
        else:
            image = ImageOps.exif_transpose(image)
    rgb, alpha, own_profile = _pixels(image, profile if isinstance(profile, bytes) else b"")
    block = None
    with contextlib.suppress(*DECODE_ERRORS):
        block = clean_exif(exif, *image.size, srgb=own_profile is None)
    return Photo(
        rgb=rgb,
        alpha=alpha,
        exif=block,
        format="JPEG" if file_format == "MPO" else file_format,
        icc_profile=own_profile,
    )


def _pixels(
    image: Image.Image, profile: bytes
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, bytes | None]:
    """Returns sRGB values, alpha, and the profile to give back.

    A large picture is converted in bands: every step makes a copy, and four whole copies of
    200 megapixels would take twice the memory of the picture and its result.
    """
    rgb = np.empty((image.height, image.width, 3), dtype=np.uint8)
    alpha, own_profile = None, None
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        band = image.crop((0, top, image.width, bottom)) if rows < image.height else image
        base, clear = split_alpha(band)
        converted, own_profile = to_srgb(base, profile)
        rgb[top:bottom] = np.asarray(converted)
        if clear is not None:
            alpha = np.empty(rgb.shape[:2], dtype=np.uint8) if alpha is None else alpha
            alpha[top:bottom] = clear
    return rgb, alpha, own_profile


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
