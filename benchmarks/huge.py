"""Time and memory from thumbnails to scans: `python benchmarks/huge.py STYLE`.

Makes pictures out of an example photo, mirrored as often as needed, paints each with the
installed command in a process of its own, and prints seconds, from start to written file, and the
process's peak resident memory. Pictures beyond the memory budget need the extra `huge`.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from impasto.data.examples import example_photos_folder
from impasto.evaluation.machine import describe_machine
from impasto.paper.report import COLOURS, plot
from impasto.runtime.cores import usable_cores

PHOTO = "mountains.jpg"
MEGAPIXELS = (4.0, 24.0, 100.0)
PLOTTED_MEGAPIXELS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
SHAPE = 3 / 2  # width to height, as most cameras have it

# On Linux, what a process held before it started another one counts as that one's memory, so
# that a small one stands in between.
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:]).returncode
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


class Row(NamedTuple):
    """One picture, painted."""

    megapixels: float
    size: tuple[int, int]
    stroke_size: str
    elapsed_s: float
    peak_bytes: int


def main() -> None:
    """Prints a row for each size and stroke size; with --plot draws them too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("style", help="a style's name or a model file")
    parser.add_argument("--megapixels", type=float, nargs="+", help="4, 24 and 100 if omitted")
    parser.add_argument("--stroke-sizes", nargs="+", default=["1"])
    parser.add_argument("--suffix", default=".jpg", help="of pictures and results")
    parser.add_argument("--memory", help="as for impasto stylize")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument(
        "--plot", type=Path, help="draw 0.1 to 100 megapixels into this file, .png and .svg"
    )
    arguments = parser.parse_args()

    sizes: Sequence[float] = PLOTTED_MEGAPIXELS if arguments.plot else MEGAPIXELS
    print("| megapixels | size | stroke size | seconds | s per megapixel | peak memory, GiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    rows: list[Row] = []
    for megapixels in arguments.megapixels or sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"picture{arguments.suffix}"
            height = round((megapixels * 1e6 / SHAPE) ** 0.5)
            size = (round(height * SHAPE), height)
            write_picture(path, size)
            for stroke_size in arguments.stroke_sizes:
                elapsed_s, peak_bytes = paint(path, stroke_size, arguments)
                rows.append(Row(megapixels, size, stroke_size, elapsed_s, peak_bytes))
                print_row(rows[-1])
    packages = ("onnxruntime", "numpy", "pillow", "pyvips-binary")
    print(f"\n{arguments.style}; {describe_machine(arguments.threads, packages)}")
    if arguments.plot:
        draw(arguments.plot, rows)


def write_picture(path: Path, size: tuple[int, int]) -> None:
    """Writes the photo, mirrored at its edges up to a size or cut down to it."""
    width, height = size
    with Image.open(example_photos_folder() / PHOTO) as image:
        rgb = np.asarray(image.convert("RGB"))
    missing = (max(0, height - rgb.shape[0]), max(0, width - rgb.shape[1]))
    rgb = np.pad(rgb, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    Image.fromarray(rgb[:height, :width]).save(path, quality=92)


def paint(path: Path, stroke_size: str, arguments: argparse.Namespace) -> tuple[float, int]:
    """Paints a picture in a process; returns its time in seconds and its memory in bytes."""
    line = [sys.executable, "-m", "impasto", "stylize", str(path), "--quiet", "--overwrite"]
    line += ["-o", str(path.with_stem("painted")), "--stroke-size", stroke_size]
    line += ["--threads", str(arguments.threads)]
    is_file = arguments.style.endswith(".onnx")
    line += ["--model" if is_file else "--style", arguments.style]
    if arguments.memory:
        line += ["--memory", arguments.memory]
    return run_measured(line)


def run_measured(line: Sequence[str]) -> tuple[float, int]:
    """Runs a command; returns its time in seconds and the peak of its memory in bytes."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", MEASURE, *line], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"`{shlex.join(line)}` failed")
    elapsed_s, peak = done.stdout.split()
    return float(elapsed_s), int(peak) * (1 if sys.platform == "darwin" else 1024)  # macOS: bytes


def print_row(row: Row) -> None:
    """Prints a row of the table."""
    width, height = row.size
    print(
        f"| {row.megapixels:g} | {width}x{height} | {row.stroke_size} | {row.elapsed_s:.1f} | "
        f"{row.elapsed_s / row.megapixels:.2f} | {row.peak_bytes / 2**30:.2f} |",
        flush=True,
    )


def draw(path: Path, rows: list[Row]) -> None:
    """Draws time and memory over size."""
    with plot(path, panels=2) as (times, memory):
        stroke_sizes = list(dict.fromkeys(row.stroke_size for row in rows))
        for stroke_size, colour in zip(stroke_sizes, COLOURS, strict=False):
            chosen = [row for row in rows if row.stroke_size == stroke_size]
            x = [row.megapixels for row in chosen]
            style = {"color": colour, "marker": "o", "label": f"--stroke-size {stroke_size}"}
            times.loglog(x, [row.elapsed_s for row in chosen], **style)
            memory.semilogx(x, [row.peak_bytes / 2**30 for row in chosen], **style)
        for panel, label in ((times, "seconds"), (memory, "peak memory, GiB")):
            panel.set_xlabel("megapixels")
            panel.set_ylabel(label)
            panel.xaxis.set_major_formatter("{x:g}")
        times.yaxis.set_major_formatter("{x:g}")
        memory.set_ylim(bottom=0)
        times.legend(frameon=False)


if __name__ == "__main__":
    main()
