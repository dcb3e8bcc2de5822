"""What `impasto stylize` takes beyond painting: `python benchmarks/cold_start.py [STYLE]`.

A whole process that paints one JPEG photo takes turns with pure inference, the same picture from
array to array in this process, where the model is warm; their difference is what start-up, reading,
writing and the first run's memory cost. Beside it `impasto --help`.
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
from numpy.typing import NDArray
from PIL import Image

from impasto.data.examples import example_photos_folder
from impasto.evaluation.machine import describe_machine
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.runtime.cores import usable_cores
from impasto.runtime.loading import load_model, model_path

# Before each process this one's threads must have stopped spinning.
PAUSE_S = 0.2


def main() -> None:
    """Prints medians of the process, of pure inference and of the difference, and of the help."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("style", nargs="?", help="a style's name or a model file; the first one")
    parser.add_argument("--photo", type=Path, help="an example photo, made square, when omitted")
    parser.add_argument("--size", type=int, default=1024, metavar="PX", help="of that photo")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()

    model = model_path(arguments.style)
    with tempfile.TemporaryDirectory() as folder:
        photo = arguments.photo or _example(Path(folder) / "photo.jpg", arguments.size)
        painted = Path(folder) / "painted.jpg"
        command = ["stylize", str(photo), "--model", str(model), "-o", str(painted)]
        command += ["--overwrite", "--threads", str(arguments.threads)]
        rgb = read_image(photo).rgb
        rows = _measure(command, rgb, model, arguments)
        modules = {name: _modules(line) for name, line in (("x", command), ("h", ["--help"]))}
    print("| what | median | from | to | modules |")
    print("| --- | --- | --- | --- | --- |")
    height, width = rgb.shape[:2]
    for name, values, count in (
        (f"`impasto stylize`, {width}x{height}, whole process", rows["process"], modules["x"]),
        ("pure inference, warm, arrays in memory", rows["inference"], ""),
        ("`impasto stylize` beyond it", rows["beyond"], ""),
        ("`impasto --help`, whole process", rows["help"], modules["h"]),
    ):
        print(
            f"| {name} | {statistics.median(values):.3f} s | {min(values):.3f} s | "
            f"{max(values):.3f} s | {count} |"
        )
    packages = ("onnxruntime", "numpy", "pillow", "typer")
    machine = describe_machine(arguments.threads, packages)
    print(f"\n{model.name}, {arguments.repetitions} turns; {machine}")


def _example(path: Path, size: int) -> Path:
    source = next(iterate_pictures(example_photos_folder()))
    with Image.open(source) as image:
        square = min(image.size)
        image.convert("RGB").crop((0, 0, square, square)).resize((size, size)).save(
            path, quality=92
        )
    return path


def _measure(
    command: list[str], rgb: NDArray[np.uint8], model: Path, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Takes turns; the first process, which fills the disk's cache, and two runs do not count."""
    painter = load_model(model, threads=arguments.threads)
    for _ in range(2):
        painter.paint(rgb)
    _process_s(command)
    rows: dict[str, list[float]] = {"process": [], "inference": [], "beyond": [], "help": []}
    for _ in range(arguments.repetitions):
        time.sleep(PAUSE_S)
        process_s = _process_s(command)
        start = time.perf_counter()
        painter.paint(rgb)
        inference_s = time.perf_counter() - start
        time.sleep(PAUSE_S)
        rows["process"].append(process_s)
        rows["inference"].append(inference_s)
        rows["beyond"].append(process_s - inference_s)
        rows["help"].append(_process_s(["--help"]))
    return rows


def _process_s(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "impasto", *command], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def _modules(command: list[str]) -> int:
    """Counts the modules that a command imports, Python's own start-up included."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-X", "importtime", "-m", "impasto", *command],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return len(lines) - 1  # less the heading


if __name__ == "__main__":
    main()
