"""Paints the three pictures in ``examples/paintings``: style images that belong to this project.

    python examples/paint.py                      # all three, 1024 x 768
    python examples/paint.py mosaic --seed 7 -o somewhere

Everything is computed from a seed with NumPy and Pillow; no picture goes in. Lengths are
written for a height of 768 px and scale with ``--height``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from painters.canvas import REFERENCE_HEIGHT_PX
from painters.engraving import ink_lines
from painters.mosaic import mosaic
from painters.strokes import flow_strokes
from PIL import Image

PAINTINGS: dict[str, Callable[[int, int], Image.Image]] = {
    "flow_strokes": flow_strokes,
    "mosaic": mosaic,
    "ink_lines": ink_lines,
}


def main(arguments: list[str] | None = None) -> None:
    """Paints the named pictures, all of them by default, as JPEG files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"which to paint: {', '.join(PAINTINGS)}")
    default = Path(__file__).resolve().parent / "paintings"
    parser.add_argument("-o", "--output", type=Path, default=default, help="folder for the files")
    parser.add_argument("--height", type=int, default=REFERENCE_HEIGHT_PX, help="in px, 64 or more")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another picture")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in PAINTINGS:
            parser.error(f"no painting is called {name!r}; there are: {', '.join(PAINTINGS)}")
    if options.height < 64 or options.seed < 0:
        parser.error("--height must be 64 or more and --seed 0 or more")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or PAINTINGS:
        path = options.output / f"{name}.jpg"
        PAINTINGS[name](options.height, options.seed).save(
            path, quality=92, optimize=True, progressive=True
        )
        print(path)


if __name__ == "__main__":
    main()
