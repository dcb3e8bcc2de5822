"""Tries what a command does to photos: `python benchmarks/peers.py 'TOOL {input} {output}'`.

The pictures are those of `photo_formats.py`. Prints a Markdown row per feature; differences are in
levels of 255 from the picture as a viewer shows it, orientation and profile applied. A feature
whose command is not given is one that the tool's help does not name.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import photo_formats as pf
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

TIMEOUT_S = 120
# Mean difference that still is the same picture: lossy formats stay below it, a profile or an
# orientation that is ignored is above.
SAME = 2.0
KINDS = {
    "Display P3": "PNG, Display P3",
    "Adobe RGB": "PNG, Adobe RGB",
    "alpha": "PNG, RGBA",
    "palette with transparency": "PNG, palette with transparency",
    "CMYK": "TIFF, CMYK without a profile",
    "CMYK with a profile": "TIFF, CMYK with a profile",
    "16-bit RGB": "PNG, 16-bit RGB",
    "16-bit grey": "PNG, 16-bit grey",
    "AVIF in and out": "AVIF",
    "HEIC in": "HEIC, Display P3, turned",
    "animated GIF": "animated GIF, 3 frames",
    "Chinese name with spaces": "JPEG, 夏天 的 照片.jpg",
}
MAKE = 0x010F
# Run in the tool's own environment.
INSTALLED = """
from importlib.metadata import distributions
found = {d.name: d for d in distributions() if d.name not in ("pip", "setuptools")}
files = [f.locate() for d in found.values() for f in d.files or ()]
size_mb = sum(f.stat().st_size for f in files if f.is_file()) / 1e6
print(f"{'with' if 'torch' in found else 'without'} PyTorch, {size_mb:.0f} MB")
"""
Done = subprocess.CompletedProcess[bytes]


def main() -> None:
    """Prints a Markdown row per feature."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="paints {input} into {output}, both files")
    parser.add_argument("--alone", help="paints {input} without another option")
    parser.add_argument("--strength", help="like the command, leaving the photo as it is")
    parser.add_argument("--keep-colors", help="like the command, keeping the photo's colours")
    parser.add_argument("--mask", help="like the command, where {mask} is white")
    parser.add_argument("--folder", help="paints the photos of folder {input} into {output}")
    parser.add_argument("--json", help="like --folder, with JSON on stdout")
    parser.add_argument("--pipe", help="paints stdin to stdout")
    parser.add_argument("--python", help="of an environment that holds the tool and nothing else")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for feature, fact in Trial(Path(folder), arguments).facts():
            print(f"| {feature} | {fact.replace(folder, '')} |", flush=True)


class Trial:
    """A tool, tried on one picture after another.

    Args:
        folder: an empty one; each attempt gets a folder of its own in it.
        commands: the tool's command lines, by the names of the options above.
    """

    def __init__(self, folder: Path, commands: argparse.Namespace) -> None:
        self._folder = folder
        self._commands = commands
        self._attempts = 0
        self._cases = {case.name: case for case in pf.make_cases()}
        upright = self._cases["JPEG, EXIF orientation 1"]
        self._scene, self._jpeg = upright.colours.astype(np.uint8), upright.data
        self._half = self._jpeg[: len(self._jpeg) // 2]

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yields each feature and what came of it."""
        yield "EXIF orientation", self._orientations()
        yield "EXIF kept", self._exif()
        for feature, name in KINDS.items():
            yield feature, self._kind(self._cases[name])
        yield "existing file", self._existing()
        yield "errors", self._errors()
        attempts: tuple[tuple[str, str, Callable[[], str]], ...] = (
            ("one photo, no option", "alone", self._alone),
            ("folders in a folder; a second run", "folder", self._folder_twice),
            ("broken file in a folder", "folder", self._broken),
            ("JSON lines", "json", self._json_lines),
            ("stdin and stdout", "pipe", self._piped),
            ("mask", "mask", self._masked),
            ("strength 0", "strength", self._unpainted),
            ("keep colours", "keep_colors", self._kept_colours),
            ("installed", "python", self._installed),
        )
        for feature, option, attempt in attempts:
            yield feature, attempt() if getattr(self._commands, option) else "no"

    def _run(self, template: str, stdin: bytes = b"", /, **places: Path) -> Done:
        words = shlex.split(template)
        for name, place in places.items():
            words = [word.replace(f"{{{name}}}", str(place)) for word in words]
        return subprocess.run(  # noqa: S603
            words, input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False
        )

    def _new_folder(self, files: dict[str, bytes]) -> Path:
        self._attempts += 1
        folder = self._folder / str(self._attempts)
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def _paint(
        self, template: str, data: bytes, name: str = "photo.jpg", to: str = ".png", /, **mask: Path
    ) -> tuple[Done, Path]:
        folder = self._new_folder({name: data})
        target = folder / f"painted{to}"
        return self._run(template, input=folder / name, output=target, **mask), target

    def _kind(self, case: pf.Case) -> str:
        """Compares the unpainted result with the case's colours and alpha."""
        template = self._commands.strength or self._commands.command
        done, target = self._paint(template, case.data, case.file + case.suffix, case.output)
        try:
            shown, file_format, profile = _shown(target)
        except OSError:
            return f"no: exit code {done.returncode}, {_last_line(done)}"
        colours = case.srgb
        if shown.shape[:2] != colours.shape[:2]:
            return f"no: {shown.shape[1]}x{shown.shape[0]}"
        visible = np.full(shown.shape[:2], True) if case.alpha is None else case.alpha > 0
        difference = np.abs(shown[..., :3] - colours)[visible].mean()
        facts = [f"{'yes' if difference < SAME else 'no'}, {difference:.1f} off", file_format]
        if case.profile:
            full = self._paint(self._commands.command, case.data, "photo" + case.suffix)[1]
            for what, kept in (("unpainted", profile), ("painted", _shown(full)[2])):
                facts.append(f"{what} {'with' if kept == case.profile else 'without'} its profile")
        if case.alpha is not None:
            facts.append(f"alpha {np.abs(shown[..., 3] - case.alpha).max():.0f} off")
        if "frames" in case.name:
            facts.append(f"note: {_last_line(done) or 'none'}")
        return ", ".join(facts)

    def _orientations(self) -> str:
        kinds = [self._kind(self._cases[f"JPEG, EXIF orientation {n}"]) for n in range(1, 9)]
        return f"{sum(kind.startswith('yes') for kind in kinds)} of 8 upright"

    def _exif(self) -> str:
        exif = Image.Exif()
        exif[MAKE] = "Maker"
        data = pf.encode(self._scene, "JPEG", exif=exif)
        kept = []
        for suffix in (".jpg", ".png"):
            painted = self._paint(self._commands.command, data, "photo.jpg", suffix)[1]
            with Image.open(painted) as image:
                kept.append(f"{suffix} {'yes' if image.getexif().get(MAKE) == 'Maker' else 'no'}")
        return ", ".join(kept)

    def _existing(self) -> str:
        folder = self._new_folder({"photo.jpg": self._jpeg, "painted.png": b"mine"})
        target = folder / "painted.png"
        done = self._run(self._commands.command, input=folder / "photo.jpg", output=target)
        kept = "kept" if target.read_bytes() == b"mine" else "overwritten"
        return f"{kept}, exit code {done.returncode}"

    def _errors(self) -> str:
        facts = []
        files = {"text": b"not a photo", "empty file": b"", "half a JPEG": self._half}
        for name, data in files.items():
            done = self._paint(self._commands.command, data)[0]
            traceback = ", traceback" if b"Traceback" in done.stderr else ""
            count = len(done.stderr.splitlines())
            facts.append(f"{name}: {count} on stderr{traceback}, exit code {done.returncode}")
        return "; ".join(facts)

    def _alone(self) -> str:
        folder = self._new_folder({"photo.jpg": self._jpeg})
        done = self._run(self._commands.alone, input=folder / "photo.jpg")
        written = [path.name for path in folder.iterdir() if path.name != "photo.jpg"]
        return ", ".join(written) or f"no file, {len(done.stdout)} bytes on stdout"

    def _paint_folder(self, template: str, folder: Path) -> tuple[Done, dict[str, int]]:
        """Returns the times of the results by their names as well."""
        target = folder / "out"
        done = self._run(template, input=folder / "in", output=target)
        files = sorted(path for path in target.rglob("*") if path.is_file())
        return done, {str(path.relative_to(target)): path.stat().st_mtime_ns for path in files}

    def _folder_twice(self) -> str:
        names = ("in/a.jpg", "in/one/a.jpg", "in/two/deep/a.jpg")
        folder = self._new_folder(dict.fromkeys(names, self._jpeg))
        first, second = (self._paint_folder(self._commands.folder, folder)[1] for _ in range(2))
        return f"{', '.join(second)}; {'skipped' if first == second else 'painted again'}"

    def _broken(self) -> str:
        files = {"in/a.jpg": self._jpeg, "in/b.jpg": self._half, "in/c.jpg": self._jpeg}
        done, results = self._paint_folder(self._commands.folder, self._new_folder(files))
        named = "named" if b"b.jpg" in done.stdout + done.stderr else "not named"
        return f"{', '.join(results)}; exit code {done.returncode}, b.jpg {named}"

    def _json_lines(self) -> str:
        files = {"in/a.jpg": self._jpeg, "in/b.jpg": self._jpeg}
        done = self._paint_folder(self._commands.json, self._new_folder(files))[0]
        try:
            return f"{len([json.loads(line) for line in done.stdout.splitlines()])} objects"
        except ValueError:
            return f"one {type(json.loads(done.stdout)).__name__}"

    def _piped(self) -> str:
        done = self._run(self._commands.pipe, self._jpeg)
        with Image.open(io.BytesIO(done.stdout)) as image:
            return f"yes, {image.format}"

    def _masked(self) -> str:
        height, width = self._scene.shape[:2]
        mask = np.zeros((height, width), np.uint8)
        mask[:, width // 2 :] = 255
        folder = self._new_folder({"mask.png": pf.encode(mask, "PNG")})
        change = self._change(self._commands.mask, mask=folder / "mask.png")
        black, white = (change[mask == level].mean() for level in (0, 255))
        return f"black changes by {black:.1f}, white by {white:.1f}"

    def _unpainted(self) -> str:
        return f"changes by {self._change(self._commands.strength).mean():.1f}"

    def _kept_colours(self) -> str:
        templates = (self._commands.keep_colors, self._commands.command)
        kept, painted = (self._change(template, "YCbCr")[..., 1:].mean() for template in templates)
        return f"Cb and Cr change by {kept:.1f}, {painted:.1f} without it"

    def _change(self, template: str, mode: str = "RGB", **mask: Path) -> NDArray[np.float64]:
        data = pf.encode(self._scene, "PNG")
        painted = _shown(self._paint(template, data, "photo.png", **mask)[1])[0][..., :3]
        pair = (painted.astype(np.uint8), self._scene)
        after, before = (
            np.asarray(Image.fromarray(picture).convert(mode)).astype(float) for picture in pair
        )
        return abs(after - before)

    def _installed(self) -> str:
        done = self._run(shlex.join([self._commands.python, "-c", INSTALLED]))
        return done.stdout.decode().strip()


def _shown(path: Path) -> tuple[NDArray[np.float64], str, bytes | None]:
    """Returns sRGB and alpha as a viewer shows them, (H, W, 4) in 0..255, format and profile."""
    with Image.open(path) as image:
        file_format, profile = str(image.format), image.info.get("icc_profile")
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    rgb = upright.convert("RGB")
    if profile:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        with contextlib.suppress(ImageCms.PyCMSError):  # a profile of inks on RGB says nothing
            rgb = ImageCms.buildTransform(own, srgb, "RGB", "RGB").apply(rgb)
    shown = np.dstack([np.asarray(rgb), np.asarray(upright)[..., 3]]).astype(float)
    return shown, file_format, profile


def _last_line(done: Done) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


if __name__ == "__main__":
    main()
