"""What becomes of each kind of picture file: `python benchmarks/photo_formats.py [STYLE]`.

Every file is made here from one scene, so that what must come out is known, and goes twice
through the command as a user runs it. The painted result gives size, mode, EXIF orientation,
profile and alpha; the one at `--strength 0` gives the difference of its colours from those that
were put in, in levels of 255, over all channels and visible pixels. Results are opened by Pillow
alone. The profiles, and the colours they stand for, are computed from published primaries.
"""

from __future__ import annotations

import argparse
import io
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))
from icc_profiles import (  # noqa: E402
    ADOBE_RGB,
    DISPLAY_P3,
    cmyk_profile,
    expected_own,
    expected_srgb,
    rgb_profile,
)

HEIGHT, WIDTH = 90, 120
ORIENTATION = 0x0112
SPACES = {rgb_profile(space): space for space in (DISPLAY_P3, ADOBE_RGB)}
Levels = NDArray[np.uint8] | NDArray[np.floating]


@dataclass
class Case:
    """A file and what must come out of it.

    Attributes:
        name: of the kind, as the table shows it.
        data: the file's content.
        suffix: of the file.
        output: the result's suffix.
        colours: (H, W, 3) of the result at strength 0, in its own profile.
        alpha: (H, W) of the result, or None.
        profile: that the result must carry, or None.
        file: the file's name without its suffix.
    """

    name: str
    data: bytes
    suffix: str
    output: str
    colours: Levels
    alpha: NDArray[np.uint8] | None = None
    profile: bytes | None = None
    file: str = "photo"

    @property
    def srgb(self) -> Levels:
        """The colours as a viewer shows them, in sRGB."""
        if self.profile is None:
            return self.colours
        converted: NDArray[np.float64] = expected_srgb(self.colours, SPACES[self.profile])
        return converted


def main() -> None:
    """Prints a Markdown row per kind of file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("style", nargs="?", help="a style's name or a model file; the first one")
    arguments = parser.parse_args()
    style = [] if arguments.style is None else ["--style", arguments.style]
    print(
        "| input | output | size | mode | EXIF orientation | profile | alpha, largest difference "
        "| colours at strength 0, mean and largest difference | mean change by painting | note |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in make_cases():
        with tempfile.TemporaryDirectory() as folder:
            print(_row(case, Path(folder), style), flush=True)
    versions = ", ".join(f"{name} {version(name)}" for name in ("pillow", "pi-heif"))
    print(
        "\nDifferences in levels of 255. Where JPEG, WebP or AVIF come in or out, theirs is the "
        f"difference, largest at the scene's hard corners; {versions}"
    )


def _row(case: Case, folder: Path, style: list[str]) -> str:
    source = folder / f"{case.file}{case.suffix}"
    source.write_bytes(case.data)
    images = []
    for strength in ("0", "1"):
        target = folder / f"{case.file} {strength}{case.output}"
        command = [sys.executable, "-m", "impasto", "stylize", str(source), "-o", str(target)]
        done = subprocess.run(  # noqa: S603
            [*command, "--strength", strength, *style],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            return f"| {case.name} | exit code {done.returncode}: {done.stderr.strip()} |"
        with Image.open(target) as image:
            image.load()
            images.append(image)
    plain, painted = images
    visible = np.full(case.colours.shape[:2], True) if case.alpha is None else case.alpha > 0
    levels, painted_levels = (np.asarray(i.convert("RGB")).astype(float) for i in images)
    if levels.shape != case.colours.shape:
        return f"| {case.name} | {plain.size} instead of {case.colours.shape[1::-1]} |"
    difference = np.abs(levels - case.colours)[visible]
    cells = [
        case.name,
        str(painted.format),
        f"{painted.width}x{painted.height}",
        painted.mode,
        str(painted.getexif().get(ORIENTATION, "none")),
        _profile_cell(case, painted),
        _alpha_cell(case, painted),
        f"{difference.mean():.2f}, {difference.max():.1f}",
        f"{np.abs(painted_levels - levels)[visible].mean():.1f}",
        done.stderr.replace(str(source), source.name).removeprefix("impasto: ").strip(),
    ]
    return f"| {' | '.join(cells)} |"


def _profile_cell(case: Case, image: Image.Image) -> str:
    kept = image.info.get("icc_profile")
    if kept is None:
        return "none" if case.profile is None else "lost"
    return "the photo's own" if kept == case.profile else f"another, {len(kept)} bytes"


def _alpha_cell(case: Case, image: Image.Image) -> str:
    if case.alpha is None:
        return "alpha appeared" if image.has_transparency_data else "no alpha"
    if not image.has_transparency_data:
        return "lost"
    kept = np.asarray(image.convert("RGBA").getchannel("A")).astype(int)
    return str(np.abs(kept - case.alpha).max())


def make_cases() -> Iterator[Case]:
    """Yields a case per kind of picture file, all of one scene but for HEIC."""
    scene = _scene()
    yield from _orientations(scene)
    yield from _profiles(scene)
    yield from _depths_and_modes(scene)
    yield from _frames(scene)
    yield from _other_containers(scene)


def _scene() -> NDArray[np.uint8]:
    """Soft gradients with four corners of their own, inside every profile's gamut."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    values = np.stack([60 + 150 * x, 70 + 130 * y, 190 - 90 * x * y], axis=-1)
    scene: NDArray[np.uint8] = np.rint(values).astype(np.uint8)
    scene[:20, :30] = (210, 60, 50)
    scene[-20:, -30:] = (60, 80, 200)
    return scene


def _orientations(scene: NDArray[np.uint8]) -> Iterator[Case]:
    stored = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.swapaxes(0, 1),
        6: np.rot90(scene),
        7: scene.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(scene, -1),
    }
    for orientation, array in stored.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = encode(array, "JPEG", quality=95, subsampling=0, exif=exif)
        yield Case(f"JPEG, EXIF orientation {orientation}", data, ".jpg", ".jpg", scene)


def _profiles(scene: NDArray[np.uint8]) -> Iterator[Case]:
    for name, space in (("Display P3", DISPLAY_P3), ("Adobe RGB", ADOBE_RGB)):
        own, profile = np.rint(expected_own(scene, space)).astype(np.uint8), rgb_profile(space)
        data = encode(own, "PNG", icc_profile=profile)
        yield Case(f"PNG, {name}", data, ".png", ".png", own, profile=profile)
        data = encode(own, "JPEG", quality=95, subsampling=0, icc_profile=profile)
        yield Case(f"JPEG, {name}", data, ".jpg", ".jpg", own, profile=profile)
    # As saturated as P3 allows: what sRGB lacks is clipped.
    vivid = np.clip((scene.astype(float) - 128) * 1.7 + 128, 0, 255).astype(np.uint8)
    profile = rgb_profile(DISPLAY_P3)
    data = encode(vivid, "PNG", icc_profile=profile)
    yield Case("PNG, Display P3 beyond sRGB", data, ".png", ".png", vivid, profile=profile)
    inks = Image.fromarray(np.dstack([255 - scene, np.full(scene.shape[:2], 40, np.uint8)]), "CMYK")
    plain = scene * (1 - 40 / 255)
    yield Case("TIFF, CMYK without a profile", _save(inks, "TIFF"), ".tif", ".png", plain)
    # A printer whose black ink goes from L* 100 to 10 and whose other inks are not used.
    black = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    black[..., 3] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    profile = cmyk_profile(lambda *inks: (100 - 90 * inks[3], 0, 0))
    lightness = 100 - 90 * (black[..., 3:] / 255)
    light = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    grey = 255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    data = _save(Image.fromarray(black, "CMYK"), "TIFF", icc_profile=profile)
    yield Case("TIFF, CMYK with a profile", data, ".tif", ".png", np.repeat(grey, 3, axis=2))


def _depths_and_modes(scene: NDArray[np.uint8]) -> Iterator[Case]:
    alpha = np.linspace(0, 255, HEIGHT).astype(np.uint8)[:, None].repeat(WIDTH, axis=1)
    deep = (scene.astype(np.uint16) * 256 + np.arange(WIDTH, dtype=np.uint16)[:, None]).clip(
        0, 65535
    )
    grey = np.ascontiguousarray(deep[..., 0]).astype(np.uint16)
    same = np.repeat(grey[..., None], 3, axis=2) / 257
    yield Case("PNG, 16-bit grey", encode(grey, "PNG"), ".png", ".png", same)
    yield Case("PNG, 16-bit RGB", _deep_png(deep), ".png", ".png", deep / 257)
    palette = Image.fromarray(scene).quantize(64)
    colours = np.asarray(palette.convert("RGB"))
    clear = bytes([0, 128] + [255] * 62)
    seen = np.frombuffer(clear, np.uint8)[np.asarray(palette)]
    data = _save(palette, "PNG", transparency=clear)
    yield Case("PNG, palette with transparency", data, ".png", ".png", colours, seen)
    rgba = np.dstack([scene, alpha])
    for file_format, suffix, options in (
        ("PNG", ".png", {}),
        ("TIFF", ".tif", {}),
        ("WEBP", ".webp", {"lossless": True}),
        ("AVIF", ".avif", {"quality": 100, "subsampling": "4:4:4"}),
    ):
        data = encode(rgba, file_format, **options)
        yield Case(f"{file_format}, RGBA", data, suffix, suffix, scene, alpha)


def _frames(scene: NDArray[np.uint8]) -> Iterator[Case]:
    first = Image.fromarray(scene).quantize(64).convert("RGB")
    others = [Image.new("RGB", first.size, colour) for colour in ("black", "white")]
    for name, file_format, suffix, options in (
        ("animated GIF", "GIF", ".gif", {}),
        ("APNG", "PNG", ".png", {}),
        ("animated WebP", "WEBP", ".webp", {"lossless": True}),
        ("multi-page TIFF", "TIFF", ".tif", {}),
        ("animated AVIF", "AVIF", ".avif", {"quality": 100, "subsampling": "4:4:4"}),
    ):
        data = _save(first, file_format, save_all=True, append_images=others, **options)
        yield Case(f"{name}, 3 frames", data, suffix, ".png", np.asarray(first))


def _other_containers(scene: NDArray[np.uint8]) -> Iterator[Case]:
    data = encode(scene, "AVIF", quality=95, subsampling="4:4:4")
    yield Case("AVIF", data, ".avif", ".avif", scene)
    quarters = np.empty((48, 64, 3), np.uint8)
    quarters[:24, :32], quarters[:24, 32:] = (200, 60, 40), (90, 170, 90)
    quarters[24:, :32], quarters[24:, 32:] = (50, 80, 190), (128, 128, 128)
    data = (TESTS / "images" / "data" / "phone.heic").read_bytes()
    profile = rgb_profile(DISPLAY_P3)
    name = "HEIC, Display P3, turned"
    yield Case(name, data, ".heic", ".png", quarters, profile=profile)
    # BMP cannot carry a profile, so that its colours are sRGB's.
    srgb = expected_srgb(quarters, DISPLAY_P3)
    yield Case(f"{name}, to BMP", data, ".heic", ".bmp", srgb)
    data = encode(scene, "JPEG", quality=95, subsampling=0)
    yield Case("JPEG, 夏天 的 照片.jpg", data, ".jpg", ".jpg", scene, file="夏天 的 照片")


def encode(array: NDArray[np.generic], file_format: str, **options: object) -> bytes:
    """Returns a picture file of (H, W) or (H, W, C) levels; the options are Pillow's."""
    return _save(Image.fromarray(np.ascontiguousarray(array)), file_format, **options)


def _save(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _deep_png(values: NDArray[np.uint16]) -> bytes:
    """Writes a PNG of 16 bits per channel, which Pillow cannot."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


if __name__ == "__main__":
    main()
