"""Writing results so that a half-written file never carries a finished one's name."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import math
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.dials import Writing
from impasto.errors import OutputError
from impasto.images.exif import has_nested_directories
from impasto.images.reading import Photo

# AVIF's scale is another: on a painted photo, its 90 differs by 3.3 levels in the mean and
# JPEG's 95 by 2.7, in two thirds of the bytes.
JPEG_QUALITY: Final = 95
AVIF_QUALITY: Final = 90
LOSSY_FORMATS: Final = frozenset({"JPEG", "WEBP", "AVIF"})

FORMAT_BY_SUFFIX: Final = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".bmp": "BMP",
}

_ENCODER_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    # Full colour resolution: brush strokes are mostly colour edges. Huffman tables of the
    # picture's own would save 3 % of the bytes for 2.7 times the time.
    "JPEG": {"quality": JPEG_QUALITY, "subsampling": 0},
    # On a painted photo, runs alone take 0.4 of the default's time and no more bytes (1024 px):
    # searching for longer matches finds none among brush strokes.
    "PNG": {"compress_level": 1, "compress_type": zlib.Z_RLE},
    "WEBP": {"quality": JPEG_QUALITY},
    "TIFF": {"compression": "tiff_deflate"},
    # Speed 9 takes a tenth of the default's time for up to 8 % more bytes (960x640).
    "AVIF": {"quality": AVIF_QUALITY, "subsampling": "4:4:4", "speed": 9},
    "BMP": {},
}
WITHOUT_ALPHA: Final = ("JPEG", "BMP")
_WITHOUT_METADATA: Final = ("BMP",)
# libjpeg's, libwebp's and libavif's limits.
_LARGEST_SIDE_PX: Final = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_535}
_LONGEST_EXIF: Final = {"JPEG": 65_533}


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path that becomes ``path`` when the block ends without an error.

    The temporary file lies in the same folder, which is made if it is missing, and has the
    same suffix. On any error, an interrupt included, it is removed and ``path`` is untouched.

    Raises:
        OutputError: an ``OSError`` inside the block or in the final rename.
    """
    path = Path(path)
    temporary = path.with_name(f".impasto-{secrets.token_hex(6)}{path.suffix}")
    try:
        if path.exists() and not path.is_file():
            raise OutputError(f"cannot write {path}: it is a folder or a device, not a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        if error.errno == errno.ENOSPC:
            reason = "no space left on the disk"
        raise OutputError(f"cannot write {path}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_image(
    path: str | Path,
    picture: Photo | NDArray[np.uint8],
    *,
    quality: int | None = None,
) -> None:
    """Writes a picture, (H, W, 3) uint8 sRGB if it is an array, in the format of the path's suffix.

    It does so atomically, and as `encode_image` does.

    Raises:
        UsageError: ``quality`` lies outside 1..100.
        OutputError: the suffix is unknown or the file cannot be written.
    """
    photo = picture if isinstance(picture, Photo) else Photo(picture)
    data = encode_image(photo, format_of(path), quality=quality)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def format_of(path: str | Path) -> str:
    """Returns Pillow's format name for a path that shall be written.

    Raises:
        OutputError: the suffix is not one that can be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMAT_BY_SUFFIX:
        known = " ".join(FORMAT_BY_SUFFIX)
        raise OutputError(f"cannot write {path}: its name must end in one of {known}")
    return FORMAT_BY_SUFFIX[suffix]


def check_sides(file_format: str, width: int, height: int) -> None:
    """Refuses a size in px that a format cannot hold, before a picture of it is made.

    Raises:
        OutputError: a side is too long.
    """
    limit_px = _LARGEST_SIDE_PX.get(file_format)
    if limit_px is not None and max(width, height) > limit_px:
        raise OutputError(
            f"{file_format} cannot hold a picture of {width}x{height}, only sides of up to "
            f"{limit_px} px: choose another format, such as PNG"
        )


def writable_format(file_format: str) -> str:
    """Returns the format that a result is written in, for a photo's format.

    One that cannot be written becomes PNG, but HEIC becomes JPEG: of a phone's photo, PNG would
    be ten times as large.
    """
    if file_format in FORMAT_BY_SUFFIX.values():
        return file_format
    return "JPEG" if file_format == "HEIF" else "PNG"


def encode_image(photo: Photo, file_format: str, *, quality: int | None = None) -> bytes:
    """Encodes a picture in memory.

    A photo's own profile is embedded and its colours are converted to it; BMP carries none and
    stays sRGB. JPEG and BMP lay what is transparent on white.

    Args:
        photo: the picture.
        file_format: Pillow's name of any format; `writable_format` chooses the one written.
        quality: 1 (small) to 100 (faithful) for `LOSSY_FORMATS`, the others ignore it; None
            takes 95 for JPEG and WebP and 90 for AVIF.

    Raises:
        UsageError: ``quality`` lies outside 1..100.
        OutputError: the format cannot hold the picture (for example JPEG above 65,535 px).
    """
    quality = Writing(quality=quality).quality
    file_format = writable_format(file_format)
    options = dict(_ENCODER_OPTIONS[file_format])
    if quality is not None and file_format in LOSSY_FORMATS:
        options["quality"] = quality
    exif = fitting_exif(photo, file_format)
    if exif is not None:
        options["exif"] = exif
        if file_format == "TIFF" and has_nested_directories(exif):
            del options["compression"]  # libtiff cannot write nested EXIF, Pillow itself can
    if file_format in _WITHOUT_METADATA:
        photo = dataclasses.replace(photo, icc_profile=None)
    elif photo.icc_profile is not None:
        options["icc_profile"] = photo.icc_profile
    image = to_pillow(photo)
    if photo.alpha is not None and file_format in WITHOUT_ALPHA:
        image = on_white(image)
    buffer = io.BytesIO()
    try:
        image.save(buffer, file_format, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(
            f"{file_format} cannot hold this picture of {image.width}x{image.height}: {error}"
        ) from error
    return buffer.getvalue()


def fitting_exif(photo: Photo, file_format: str) -> bytes | None:
    """Returns a photo's EXIF block, or None where a format cannot hold it."""
    too_long = len(photo.exif or b"") > _LONGEST_EXIF.get(file_format, math.inf)
    return None if too_long or file_format in _WITHOUT_METADATA else photo.exif


def to_pillow(photo: Photo) -> Image.Image:
    """Returns a Pillow image, ``"RGBA"`` where there is alpha and ``"RGB"`` otherwise.

    Where the photo has a profile of its own, so has the image, in ``info["icc_profile"]``, and
    its values are that profile's. EXIF is in ``info["exif"]``.

    Raises:
        OutputError: the profile cannot be used; none that `reading` gave is refused.
    """
    image = Image.fromarray(np.ascontiguousarray(photo.rgb))
    if photo.icc_profile is not None:
        from impasto.images.profiles import from_srgb  # here: few pictures need its library

        from_srgb(image, photo.icc_profile)
        image.info["icc_profile"] = photo.icc_profile
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(photo.alpha)))
    if photo.exif is not None:
        image.info["exif"] = photo.exif
    return image


def on_white(image: Image.Image) -> Image.Image:
    """Lays an image of mode RGBA on white."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
