"""Training runs of a second or two, for the tests of training and of its commands."""

import os
import subprocess
import sys

import numpy as np
from PIL import Image

# Previews of 256 px would take longer than all the rest of such a run.
PREVIEW_PX = 32

NETWORK = {"network": "shipped", "width": 1, "residual_blocks": 1}
SETTINGS = {
    "octaves": 1,
    "crop_px": 32,
    "crop_ratio": 1.0,
    "max_zoom": 1.0,
    "style_size_px": 64,
    "batch_size": 1,
    "device": "cpu",
    "precision": "32-true",
    "threads": 1,
    "workers": 0,
    "log_every": 1,
}

# Run in another process: `python -c COMMAND_LINE train ...`.
COMMAND_LINE = f"""
import sys
import impasto.training.pictures
impasto.training.pictures.PREVIEW_PX = {PREVIEW_PX}
from impasto.cli.app import main
main(sys.argv[1:])
"""


def flags(**changed):
    """`SETTINGS` as the command line's flags; a value of None leaves the flag out."""
    chosen = {k: v for k, v in (NETWORK | SETTINGS | changed).items() if v is not None}
    return [
        part
        for name, value in chosen.items()
        for part in ("--" + name.replace("_", "-").removesuffix("-s"), str(value))
    ]


def write_painting(path, height=260, width=300):
    """Diagonal stripes in strong colours."""
    rows, columns = np.mgrid[0:height, 0:width]
    stripes = ((rows + columns) // 9 % 3)[..., None]
    colours = np.array([[220, 60, 20], [20, 60, 200], [240, 220, 90]], np.uint8)
    Image.fromarray(colours[stripes[..., 0]]).save(path)
    return path


def write_photos(folder, count=5, *, height=40, width=48):
    """Smooth pictures, each different."""
    folder.mkdir()
    rows, columns = np.mgrid[0:height, 0:width] / 40
    for number in range(count):
        waves = [np.sin(3 * rows * (c + 1) + number) + np.cos(4 * columns - c) for c in range(3)]
        picture = (np.stack(waves, axis=-1) + 2) * 60
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"photo{number}.png")
    return folder


def start(code, *args, **options):
    """Starts Python code in another process, with one thread and its own process group."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        **options,
    )


def files(folder):
    """Relative names of all files below a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
