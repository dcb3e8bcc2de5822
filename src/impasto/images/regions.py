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
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from impasto.errors import ImageReadError, MissingExtraError, OutputError
from impasto.images.exif import add_to_tiff, clean_exif, copy_exif
from impasto.images.folders import is_special
from impasto.images.frames import count_frames
from impasto.images.mapping import DEFAULT_MEMORY, HELD_BYTES, bands, mapped, release
from impasto.images.opening import open_header
from impasto.images.profiles import to_srgb
from impasto.images.reading import DECODE_ERRORS, Photo, check_size, sixteen_to_eight_bit
from impasto.images.writing import (
    JPEG_QUALITY,
    LONGEST_JPEG_EXIF,
    atomic_path,
    format_of,
    on_white,
    to_pillow,
)

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_LOADERS: Final = {
    "JPEG": "jpegload",
    "MPO": "jpegload",
    "PNG": "pngload",
    "TIFF": "tiffload",
    "WEBP": "webpload",
}
# How many channels of a picture are colours, by Pillow's mode; other modes are left to Pillow.
_COLOURS: Final = {
    "L": 1, "LA": 1, "I;16": 1, "I;16B": 1, "P": 3, "RGB": 3, "RGBA": 3, "CMYK": 4,
}  # fmt: skip
_MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}
_TYPES: Final = {"uchar": np.uint8, "ushort": np.uint16}

# EXIF orientations: whether rows become columns, and whether their order and that of columns
# is turned round then.
_TURNS: Final = {
    1: (False, False, False), 2: (False, False, True),
    3: (False, True, True), 4: (False, True, False),
    5: (True, False, False), 6: (True, False, True),
    7: (True, True, True), 8: (True, True, False),
}  # fmt: skip

# `writing` chooses the same, but for PNG's fastest strategy, which libvips does not offer.
_SAVERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "JPEG": ("jpegsave", {"Q": JPEG_QUALITY, "subsample_mode": "off"}),
    "PNG": ("pngsave", {"compression": 1, "filter": "all"}),
    "WEBP": ("webpsave", {"Q": JPEG_QUALITY}),
    "TIFF": (
        "tiffsave",
        {"compression": "deflate", "tile": True, "tile_width": 256, "tile_height": 256},
    ),
}
_WITHOUT_ALPHA: Final = ("JPEG",)
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
    return file_format in _SAVERS


def write_huge(path: str | Path, photo: Photo, *, quality: int | None = None) -> None:
    """Writes a picture atomically in the format of the path's suffix, as `write_image` does.

    Args:
        path: the file; `can_write` tells of its format.
        photo: the picture, whose pixels are overwritten by those that the file holds.
        quality: 1 to 100 for JPEG and WebP; None takes ours.

    Raises:
        OutputError: the file cannot be written.
    """
    import pyvips

    file_format = format_of(path)
    _convert_back(photo, file_format)
    image = _as_vips(photo, file_format)
    exif = photo.exif
    if file_format == "JPEG" and len(exif or b"") > LONGEST_JPEG_EXIF:
        exif = None
    saver, options = _SAVERS[file_format]
    options = options | {"keep": "icc"}
    if quality is not None and "Q" in options:
        options["Q"] = quality
    if file_format == "TIFF":
        height, width = photo.rgb.shape[:2]
        options["bigtiff"] = height * width * image.bands > _LARGEST_TIFF_BYTES
    elif exif is not None:
        options["keep"] = "icc|exif"
        _attach(image, "exif-data", exif)
    if photo.icc_profile is not None:
        _attach(image, "icc-profile-data", photo.icc_profile)
    with atomic_path(path) as temporary:
        try:
            _save(image, saver, temporary, options, photo)
        except pyvips.Error as error:
            raise _cannot_write(Path(path), str(error.detail)) from error
        if file_format == "TIFF" and exif is not None:
            add_to_tiff(temporary, exif)


def _open(path: Path, header: ImageFile) -> Any:
    """Opens a picture by pyvips, to be read from top to bottom; None where that cannot be."""
    loader = _LOADERS.get(header.format or "")
    if loader is None or header.mode not in _COLOURS:
        return None
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
    import pyvips

    exif, turned = Image.Exif(), _TURNS[1]
    # A damaged EXIF block is no reason to refuse the picture.
    with contextlib.suppress(*DECODE_ERRORS):
        found = _exif_of(header, file)
        turned = _TURNS.get(found.get(ExifTags.Base.Orientation, 1), turned)
        exif = copy_exif(found)
    height, width = image.height, image.width
    upright = (width, height) if turned[0] else (height, width)
    profile = header.info.get("icc_profile")
    own_profile = None
    rgb = mapped((*upright, 3), folder)
    alpha = mapped(upright, folder) if header.has_transparency_data else None
    region = pyvips.Region.new(image)
    pyvips.Error("")  # takes what libvips has said before
    for rows in bands(height, width, most_pixels=_BAND_PIXELS, over=(rgb, alpha)):
        try:
            data = region.fetch(0, rows.start, width, rows.stop - rows.start)
            if header.format == "TIFF":
                _raise_what_was_said()
        except pyvips.Error as error:
            reason = str(error.detail).strip().split("\n", maxsplit=1)[0]
            raise ImageReadError(f"{name} is damaged or truncated: {reason}") from error
        values = np.frombuffer(data, _TYPES[image.format]).reshape(-1, width, image.bands)
        colours, clear = _split(values, image, header)
        converted, own_profile = to_srgb(colours, profile if isinstance(profile, bytes) else b"")
        _put(rgb, np.asarray(converted), rows, turned)
        if alpha is not None and clear is not None:
            _put(alpha, clear, rows, turned)
    block = None
    with contextlib.suppress(*DECODE_ERRORS):
        block = clean_exif(exif, upright[1], upright[0], srgb=own_profile is None)
    return Photo(
        rgb,
        alpha,
        block,
        "JPEG" if header.format == "MPO" else header.format or "",
        own_profile,
        count_frames(header, file),
    )


def _raise_what_was_said() -> None:
    """Raises what libvips said since it was last asked: a damaged tile is black otherwise."""
    import pyvips

    error = pyvips.Error("a tile cannot be decoded")
    if error.detail:
        raise error


def _colours(image: Any, header: ImageFile) -> int:
    colours = _COLOURS[header.mode]
    return 1 if header.mode == "P" and image.bands < 3 else colours  # a palette of greys


def _split(
    values: NDArray[Any], image: Any, header: ImageFile
) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Returns the colours in 8 bits, in the mode that `reading` gives them, and alpha."""
    if values.dtype == np.uint16:
        # Pillow reads 16 bits of grey, and of colours the upper eight.
        grey = header.mode.startswith("I")
        values = sixteen_to_eight_bit(values) if grey else (values >> 8).astype(np.uint8)
    colours = _colours(image, header)
    size = (values.shape[1], values.shape[0])
    base = Image.frombytes(_MODES[colours], size, values[..., :colours].tobytes())
    if header.mode == "P":
        base = base.convert("RGB")
    return base, values[..., colours] if header.has_transparency_data else None


def _put(
    target: NDArray[np.uint8],
    values: NDArray[np.uint8],
    rows: slice,
    turned: tuple[bool, bool, bool],
) -> None:
    """Puts rows of a picture where they belong when it is upright."""
    transposed, upside_down, mirrored = turned
    if transposed:
        values = values.swapaxes(0, 1)
    if upside_down:
        values = values[::-1]
    if mirrored:
        values = values[:, ::-1]
    length = target.shape[1] if transposed else target.shape[0]
    if mirrored if transposed else upside_down:
        rows = slice(length - rows.stop, length - rows.start)
    if not transposed:
        target[rows] = values
        return
    for down in bands(*target.shape[:2], over=[target]):  # each band meets every row
        target[down, rows] = values[down]


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


def _convert_back(photo: Photo, file_format: str) -> None:
    """Gives the pixels the photo's own colours, and a background where transparency is lost."""
    flat = photo.alpha is not None and file_format in _WITHOUT_ALPHA
    if photo.icc_profile is None and not flat:
        return
    height, width = photo.rgb.shape[:2]
    over = (photo.rgb, photo.alpha)
    for rows in bands(height, width, most_pixels=_BAND_PIXELS, over=over):
        alpha = photo.alpha[rows] if photo.alpha is not None and flat else None
        image = to_pillow(Photo(photo.rgb[rows], alpha, icc_profile=photo.icc_profile))
        photo.rgb[rows] = np.asarray(on_white(image) if flat else image)


def _as_vips(photo: Photo, file_format: str) -> Any:
    """Returns the picture as pyvips takes it."""
    import pyvips

    height, width = photo.rgb.shape[:2]
    image = pyvips.Image.new_from_memory(photo.rgb, width, height, 3, "uchar")
    if photo.alpha is not None and file_format not in _WITHOUT_ALPHA:
        alpha = pyvips.Image.new_from_memory(photo.alpha, width, height, 1, "uchar")
        image = image.bandjoin(alpha)
    return image.copy(interpretation="srgb", xres=_NO_RESOLUTION, yres=_NO_RESOLUTION)


def _attach(image: Any, name: str, data: bytes) -> None:
    import pyvips

    image.set_type(pyvips.GValue.blob_type, name, data)


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
