"""A folder of photos against pure inference: `python benchmarks/folder.py`.

Makes a folder of photos of 1024 px on the longer side out of the example photos, or takes one
that is given, paints it with one `impasto stylize`, and runs the same network on the same
pictures as arrays in memory, in turns. The command's time contains starting, reading, writing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import impasto
from impasto.data.examples import example_photos_folder
from impasto.evaluation.machine import describe_machine
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image

LONGER_SIDE_PX = 1024
JPEG_QUALITY = 92


def main() -> None:
    """Prints images per second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder in place of the example photos")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="the photos are split into these")
    parser.add_argument("--style", default=impasto.list_styles()[0].name)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--suffix", choices=[".jpg", ".png"], default=".jpg", help="of the results")
    arguments = parser.parse_args()

    model = impasto.load_model(arguments.style, threads=arguments.threads)
    times: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folders = make_photos(Path(name), arguments)
        for number, folder in enumerate(folders):
            pictures = [read_image(path).rgb for path in sorted(folder.iterdir())]
            if number == 0:
                model.paint(pictures[0])
            start = time.perf_counter()
            for picture in pictures:
                model.paint(picture)
            inference_s = time.perf_counter() - start
            line = [sys.executable, "-m", "impasto", "stylize", str(folder)]
            line += ["--style", arguments.style, "--threads", str(arguments.threads), "--quiet"]
            line += ["--format", {".jpg": "jpeg", ".png": "png"}[arguments.suffix]]
            start = time.perf_counter()
            subprocess.run(line, check=True)  # noqa: S603
            times.append((inference_s, time.perf_counter() - start))
    inference_s, command_s = (sum(column) for column in zip(*times, strict=True))
    print(f"\n{arguments.count} photos, {LONGER_SIDE_PX} px, {arguments.style};", end=" ")
    print(describe_machine(arguments.threads, ("onnxruntime", "pillow")))
    print("| what | images per second |")
    print("| --- | --- |")
    print(f"| pure inference, arrays in memory | {arguments.count / inference_s:.2f} |")
    what = f"`impasto stylize FOLDER`, files to {arguments.suffix} files"
    print(f"| {what} | {arguments.count / command_s:.2f} |")
    ratios = [inference / command for inference, command in times]
    print(f"| ratio, median of {len(times)} rounds | {statistics.median(ratios):.2f} |")


def make_photos(folder: Path, arguments: argparse.Namespace) -> list[Path]:
    """Writes the photos as JPEG into one folder per round: crops and mirror images."""
    sources = list(iterate_pictures(arguments.photos or example_photos_folder()))
    rng = np.random.default_rng(0)
    rounds = [folder / f"round{number}" for number in range(arguments.rounds)]
    for number in range(arguments.count):
        image = Image.fromarray(read_image(sources[number % len(sources)]).rgb)
        width, height = image.size
        share = rng.uniform(0.7, 1.0)
        left, top = (rng.uniform(0, 1 - share) * side for side in image.size)
        box = (left, top, left + share * width, top + share * height)
        scale = LONGER_SIDE_PX / max(width, height)
        size = (round(width * scale), round(height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS, box=box)
        if rng.random() < 0.5:
            image = ImageOps.mirror(image)
        target = rounds[number % len(rounds)]
        target.mkdir(exist_ok=True)
        image.save(target / f"photo{number:03}.jpg", quality=JPEG_QUALITY)
    return rounds


if __name__ == "__main__":
    main()
