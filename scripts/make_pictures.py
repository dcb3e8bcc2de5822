"""Makes the README's pictures from the example photos: `python scripts/make_pictures.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import impasto

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ("pagoda", "cat", "stream")
CELL = (400, 300)
GAP_PX = 6


def main() -> None:
    """Writes docs/images/gallery.jpg: a row per photo, a column per shipped style."""
    models = [impasto.load_model(style.name) for style in impasto.list_styles()]
    rows = []
    for name in PHOTOS:
        photo = Image.open(ROOT / "examples" / "photos" / f"{name}.jpg").convert("RGB")
        pictures = [photo, *(model(photo) for model in models)]
        cells = [np.asarray(ImageOps.fit(picture, CELL)) for picture in pictures]
        rows.append(np.concatenate([np.pad(cell, _GAP, constant_values=255) for cell in cells], 1))
    sheet = Image.fromarray(np.concatenate(rows))
    path = ROOT / "docs" / "images" / "gallery.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=90)
    print(path.relative_to(ROOT))


_GAP = ((0, GAP_PX), (0, GAP_PX), (0, 0))

if __name__ == "__main__":
    main()
