"""The settings of ``stylize`` and ``upscale``, checked before any file is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from impasto.errors import UsageError
from impasto.runtime.cores import check_threads
from impasto.runtime.dials import LARGEST_STRENGTH, LARGEST_STROKE_SIZE, SMALLEST_STROKE_SIZE

_SCALES: Final = (2, 4, 8)
_UNIT_BYTES: Final = {"M": 2**20, "G": 2**30}

FORMATS: Final = ("jpeg", "png", "webp", "tiff", "avif", "bmp")


@dataclass(frozen=True)
class Settings:
    """How every picture of a run is read and written.

    Attributes:
        file_format: Pillow's name of the format of every result; None keeps the photo's.
        quality: 1 to 100, for the formats that lose some; None is ours.
        max_pixels: photos and results with more are refused; None is the default.
        overwrite: replace results that are there.
    """

    file_format: str | None = None
    quality: int | None = None
    max_pixels: int | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class PaintSettings:
    """How every picture of a run is painted.

    Attributes:
        strength: 0 (the photo) to 1 (the painting), and beyond it up to 1.5.
        stroke_size: multiplies the strokes, .5 to 4.
        keep_colors: keep the photo's colours.
        mask: a picture, white where the photos are painted; None paints all of them.
        max_side_px: results are made smaller until no side is longer; None keeps the size.
        memory: bytes that a picture and its result may take, before they are worked on in
            temporary files; None is the default.
    """

    strength: float = 1.0
    stroke_size: float = 1.0
    keep_colors: bool = False
    mask: Path | None = None
    max_side_px: int | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Voice:
    """How much a run says.

    Attributes:
        as_json: one JSON line per file on stdout, in place of the results' paths.
        quiet: nothing but errors.
        verbose: what is done and how long it takes.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def check_settings(settings: Settings, voice: Voice, threads: int | None) -> None:
    """Checks ranges and contradictions.

    Raises:
        UsageError: a number lies outside its range, or two settings contradict each other.
    """
    check_at_least_one("max-pixels", settings.max_pixels)
    check_threads(threads)
    if settings.quality is not None and not 1 <= settings.quality <= 100:
        raise UsageError(f"--quality must lie between 1 and 100, not {settings.quality}")
    if voice.quiet and voice.verbose:
        raise UsageError("--quiet and --verbose contradict each other: give one of them")


def check_painting(settings: PaintSettings) -> None:
    """Checks ranges.

    Raises:
        UsageError: a number lies outside its range.
    """
    check_range("strength", settings.strength, 0, LARGEST_STRENGTH)
    check_range("stroke-size", settings.stroke_size, SMALLEST_STROKE_SIZE, LARGEST_STROKE_SIZE)
    check_at_least_one("max-size", settings.max_side_px)


def check_range(flag: str, value: float, least: float, most: float) -> None:
    """Checks a number.

    Raises:
        UsageError: it lies outside its range.
    """
    if not least <= value <= most:
        raise UsageError(f"--{flag} must lie between {least:g} and {most:g}, not {value}")


def check_at_least_one(flag: str, value: int | None) -> None:
    """Checks a number that may be left out.

    Raises:
        UsageError: it is below 1.
    """
    if value is not None and value < 1:
        raise UsageError(f"--{flag} must be at least 1, not {value}")


def check_scale(flag: str, value: int) -> None:
    """Checks how many times larger pictures become.

    Raises:
        UsageError: it is neither 2, 4 nor 8.
    """
    if value not in _SCALES:
        raise UsageError(f"--{flag} must be 2, 4 or 8, not {value}")


def parse_memory(text: str | None) -> int | None:
    """Reads ``--memory``: a number with MiB or GiB behind it.

    Raises:
        UsageError: it is none, or below 1 MiB.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG])iB", text.strip(), re.IGNORECASE)
    size = float(match[1]) * _UNIT_BYTES[match[2].upper()] if match else 0
    if not 2**20 <= size <= 2**50:
        raise UsageError(f"--memory must be a size such as 512MiB or 2GiB, not {text!r}")
    return int(size)


def check_csv(csv_file: Path | None) -> None:
    """Checks ``--csv``.

    Raises:
        UsageError: the name does not end in ``.csv``, or is a folder's.
    """
    from impasto.cli.plan import is_folder

    if csv_file is None:
        return
    if csv_file.suffix.lower() != ".csv":
        raise UsageError(f"--csv is {csv_file}; its name must end in .csv")
    if is_folder(csv_file):
        raise UsageError(f"--csv takes a file, and {csv_file} is a folder")


def pillow_format(name: str | None) -> str | None:
    """Returns Pillow's name of a format, which may also be named by its suffix.

    Raises:
        UsageError: nothing is written in that format.
    """
    if name is None:
        return None
    from impasto.images.writing import FORMAT_BY_SUFFIX

    known = FORMAT_BY_SUFFIX.get(f".{name.lower()}")
    if known is None:
        *most, last = FORMATS
        raise UsageError(f"--format must be {', '.join(most)} or {last}, not {name!r}")
    return known
