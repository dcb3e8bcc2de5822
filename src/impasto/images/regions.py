"""Pictures larger than memory: decoded into mapped files and encoded from them, by libvips.

The header is read as that of every picture, and colours, orientation and what is kept of EXIF
and profiles are those of `reading` and `writing`; only rows come from libvips and go to it. What
it must hold in memory as a whole is the same for every program: interlaced PNG, progressive JPEG
and WebP.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
from PIL import Image

from impasto.errors import ImageReadError, MissingExtraError, OutputError
from impasto.images.exif import add_to_tiff
from impasto.images.folders import is_special
from impasto.images.mapping import DEFAULT_MEMORY, HELD_BYTES, bands, mapped, release
from impasto.images.opening import open_header
from impasto.images.reading import (
    DECODE_ERRORS,
    Band,
    Photo,
    assembled,
    check_size,
    sixteen_to_eight_bit,
)
from impasto.images.writing import (
    JPEG_QUALITY,
    WITHOUT_ALPHA,
    atomic_path,
    fitting_exif,
    format_of,
    on_white,
    to_pillow,
)

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_LOADED: Final = ("JPEG", "MPO", "PNG", "TIFF", "WEBP")
# How many channels of a picture are colours, by Pillow's mode; other modes are left to Pillow.
_COLOURS: Final = {
    "L": 1, "LA": 1, "I;16": 1, "I;16B": 1, "P": 3, "RGB": 3, "RGBA": 3, "CMYK": 4,
}  # fmt: skip
_MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}
_TYPES: Final = {"uchar": np.uint8, "ushort": np.uint16}

# `writing` chooses the same, but for PNG's fastest strategy, which libvips does not offer.
_ENCODER_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "JPEG": {"Q": JPEG_QUALITY, "subsample_mode": "off"},
    "PNG": {"compression": 1, "filter": "all"},
    "WEBP": {"Q": JPEG_QUALITY},
    "TIFF": {"compression": "deflate", "tile": True, "tile_width": 256, "tile_height": 256},
}
# A classic TIFF ends at 4 GiB; what is packed may become a little larger.
_LARGEST_TIFF_BYTES: Final = 4_000_000_000
_LONGEST_EXIF: Final = 1 << 24  # in bytes; a damaged PNG may state any length
_NO_RESOLUTION: Final = 72 / 25.4  # pixels per mm, what stands for "unknown"

_BAND_PIXELS: Final = 1 << 22
# At 0.2 s, all 70 MB of a picture of 24 megapixels piled up in memory while it was encoded.
_LOOK_EVERY_S: Final = 0.05


def read_huge(
    source: str | Path,
    folder: Path,
    *,
    max_pixels: int,
    memory: int | None = None,
    scale: int = 1,
) -> Photo | None:
    """Reads a picture into mapped files if it is too large to be worked on in memory.

    Args:
        source: a path.
        folder: for the files.
        max_pixels: largest width times height accepted, checked before decoding.
        memory: bytes that the picture and its result may take; None is the default.
        scale: how many times as wide and high the result will be.

    Returns:
        None for every other picture, which `read_image` takes: a smaller one, one of another
        format than JPEG, PNG, TIFF and WebP, and all of them without pyvips.

    Raises:
        ImageReadError: it is damaged or truncated.
        ImageTooLargeError: its header states more than ``max_pixels`` pixels.
        TemporarySpaceError: the folder has no space for it.
    """
    if is_special(Path(source)):
        return None
    limit = DEFAULT_MEMORY if memory is None else memory
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(Path(source).open("rb"))
            header = opened.enter_context(open_header(file))
        except (MissingExtraError, *DECODE_ERRORS):
            return None  # `read_image` says what is wrong
        if header.width * header.height * scale**2 * HELD_BYTES <= limit:
            return None
        check_size(header, max_pixels, str(source))
        image = _open(Path(source), header)
        return None if image is None else _decode(image, header, file, str(source), folder)


def can_write(file_format: str) -> bool:
    """Tells whether `write_huge` writes a format, by Pillow's name of it."""
    return file_format in _ENCODER_OPTIONS


def write_huge(path: str | Path, photo: Photo, *, quality: int | None = None) -> None:
    """Writes a picture as `write_image` does, in a format that `can_write` knows.

    Its pixels are overwritten by those that the file holds.

    Raises:
        OutputError: the file cannot be written.
    """
    import pyvips

    file_format = format_of(path)
    flat = photo.alpha is not None and file_format in WITHOUT_ALPHA
    _convert_back(photo, flat=flat)
    height, width = photo.rgb.shape[:2]
    image = pyvips.Image.new_from_memory(photo.rgb, width, height, 3, "uchar")
    if photo.alpha is not None and not flat:
        image = image.bandjoin(pyvips.Image.new_from_memory(photo.alpha, width, height, 1, "uchar"))
    image = image.copy(interpretation="srgb", xres=_NO_RESOLUTION, yres=_NO_RESOLUTION)
    exif = fitting_exif(photo, file_format)
    options = _ENCODER_OPTIONS[file_format] | {"keep": "icc"}
    if quality is not None and "Q" in options:
        options["Q"] = quality
    if file_format == "TIFF":
        options["bigtiff"] = height * width * image.bands > _LARGEST_TIFF_BYTES
    elif exif is not None:
        options["keep"] = "icc|exif"
        image.set_type(pyvips.GValue.blob_type, "exif-data", exif)
    if photo.icc_profile is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", photo.icc_profile)
    with atomic_path(path) as temporary:
        try:
            _save(image, f"{file_format.lower()}save", temporary, options, photo)
        except pyvips.Error as error:
            raise _cannot_write(Path(path), str(error.detail)) from error
        if file_format == "TIFF" and exif is not None:
            add_to_tiff(temporary, exif)


def _open(path: Path, header: ImageFile) -> Any:
    """Opens a picture by pyvips, to be read from top to bottom; None where that cannot be."""
    if header.format not in _LOADED or header.mode not in _COLOURS:
        return None
    loader = f"{header.format.replace('MPO', 'JPEG').lower()}load"
    try:
        import pyvips
    except (ImportError, OSError):  # the latter where libvips is missing
        return None
    options = {"access": "sequential", "fail_on": "error", "revalidate": True}
    if loader != "webpload":
        options["unlimited"] = True  # the size has been checked
    try:
        image = getattr(pyvips.Image, loader)(os.fsencode(path), **options)
    except pyvips.Error:
        return None
    needed = _colours(image, header) + header.has_transparency_data
    return image if image.format in _TYPES and image.bands >= needed else None


def _decode(image: Any, header: ImageFile, file: BinaryIO, name: str, folder: Path) -> Photo:
    """Decodes a picture, upright and as sRGB, into mapped files."""
    return assembled(
        header,
        _bands(image, header, name),
        size=(image.width, image.height),
        file=file,
        read_exif=lambda: _exif_of(header, file),
        room=lambda shape: mapped(shape, folder),
    )


def _bands(image: Any, header: ImageFile, name: str) -> Iterator[Band]:
    """Decodes a picture in bands: colours in 8 bits in the mode that `reading` gives them."""
    import pyvips

    has_alpha = header.has_transparency_data
    colours = _colours(image, header)
    region = pyvips.Region.new(image)
    pyvips.Error("")  # takes what libvips has said before
    for rows in bands(image.height, image.width, most_pixels=_BAND_PIXELS):
        try:
            data = region.fetch(0, rows.start, image.width, rows.stop - rows.start)
            # A damaged tile of a TIFF is black, and libvips only says so.
            if header.format == "TIFF" and (said := pyvips.Error("a tile is damaged")).detail:
                raise said
        except pyvips.Error as error:
            reason = str(error.detail).strip().split("\n", maxsplit=1)[0]
            raise ImageReadError(f"{name} is damaged or truncated: {reason}") from error
        values = np.frombuffer(data, _TYPES[image.format]).reshape(-1, image.width, image.bands)
        if values.dtype == np.uint16:
            # Pillow reads 16 bits of grey, and of colours the upper eight.
            grey = header.mode.startswith("I")
            values = sixteen_to_eight_bit(values) if grey else (values >> 8).astype(np.uint8)
        size = (image.width, len(values))
        base = Image.frombytes(_MODES[colours], size, values[..., :colours].tobytes())
        if header.mode == "P":
            base = base.convert("RGB")
        yield rows, base, values[..., colours] if has_alpha else None


def _colours(image: Any, header: ImageFile) -> int:
    """Returns how many channels are colours; a palette of greys has one."""
    return 1 if header.mode == "P" and image.bands < 3 else _COLOURS[header.mode]


def _exif_of(header: ImageFile, file: BinaryIO) -> Image.Exif:
    """Reads EXIF without decoding the picture, as Pillow would to find what a PNG has behind."""
    if header.format == "PNG" and "exif" not in header.info:
        file.seek(8)
        while len(chunk := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", chunk)
            if kind == b"eXIf":
                header.info["exif"] = b"Exif\0\0" + file.read(min(length, _LONGEST_EXIF))
                break
            file.seek(length + 4, os.SEEK_CUR)
    return Image.Image.getexif(header)


def _convert_back(photo: Photo, *, flat: bool) -> None:
    """Gives the pixels the photo's own colours, and with ``flat`` a white background."""
    if photo.icc_profile is None and not flat:
        return
    over = (photo.rgb, photo.alpha)
    for rows in bands(*photo.rgb.shape[:2], most_pixels=_BAND_PIXELS, over=over):
        alpha = photo.alpha[rows] if photo.alpha is not None and flat else None
        image = to_pillow(Photo(photo.rgb[rows], alpha, icc_profile=photo.icc_profile))
        photo.rgb[rows] = np.asarray(on_white(image) if flat else image)


def _save(image: Any, saver: str, path: Path, options: dict[str, Any], photo: Photo) -> None:
    """Saves in a thread, so that Ctrl-C is noticed meanwhile."""
    image.set_progress(True)  # without it libvips does not look whether it shall stop
    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(getattr(image, saver), os.fsencode(path), **options)
        try:
            while not wait([saving], _LOOK_EVERY_S).done:
                release(photo.rgb, photo.alpha)
        except BaseException:
            image.set_kill(True)
            raise
    saving.result()


def _cannot_write(path: Path, detail: str) -> Exception:
    """Returns the error of a file that libvips cannot write, for what it says about it."""
    found = re.search(r"system error: (.+)", detail)
    for code in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        if found and found[1] == os.strerror(code):
            return OSError(code, found[1])
    reason = found[1] if found else detail.strip().split("\n", maxsplit=1)[0]
    return OutputError(f"cannot write {path}: {reason}")
