"""Makes the pictures of the README and of docs: `python scripts/make_pictures.py PAINTINGS`.

PAINTINGS is a folder of works that the gallery learned, `<style>.jpg` each; one that is missing is
not shown beside its style.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

import impasto
from impasto.catalog import shipped_styles
from impasto.data.degradation import degrade, jpeg
from impasto.evaluation.superres import crop_to_multiple, resampling_methods
from impasto.images.contact_sheet import Cell, contact_sheet

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
CELL = (280, 210)
GALLERY_CELL = (512, 384)
GALLERY_PHOTOS = ("stream", "raccoon", "pagoda", "mountains", "cat", "autumn_hills", "coffee")
PAINTING_PX = 132
FRAME_PX = 4
UPSCALED = 4
GAP_PX = 6
QUALITY = 72

Cells = list[Image.Image]


def main() -> None:
    """Writes gallery.jpg and a picture per dial of `impasto stylize` into docs/images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paintings", type=Path)
    save(contact_sheet([*gallery(parser.parse_args().paintings)]), "gallery")

    wave, starry = impasto.load_model("great_wave"), impasto.load_model("starry_night")
    pagoda = example_photo("pagoda")
    save_sheet([[wave(pagoda, strength=part) for part in (0.0, 0.33, 0.66, 1.0)]], "strength")

    dandelions = example_photo("dandelions")
    save_sheet(
        [[dandelions, starry(dandelions), starry(dandelions, keep_colors=True)]], "keep_colors"
    )

    dahlia = example_photo("dahlia")
    mask = background_mask(dahlia.size)
    save_sheet([[dahlia, mask.convert("RGB"), starry(dahlia, mask=mask)]], "mask")

    mountains = example_photo("mountains", 1024)
    sizes = [wave(mountains, stroke_size=factor) for factor in (1, 2, 4)]
    save_sheet([[mountains, *sizes]], "stroke_size")

    cells = [
        *enlarged("astronaut", (130, 20), ("faithful", "sharp")),
        *enlarged("raccoon", (300, 190), ("faithful", "sharp")),
        *enlarged("pagoda", (120, 60), ("sharp", "photo"), jpeg_quality=75),
    ]
    save(contact_sheet(cells), "upscale")


def gallery(paintings: Path) -> Iterator[Cell]:
    """Yields a photo painted in each style of the gallery, the painting in its corner."""
    first = shipped_styles()[0].path
    for number, style in enumerate(s for s in shipped_styles() if s.path == first):
        photo = example_photo(GALLERY_PHOTOS[number % len(GALLERY_PHOTOS)], 1024)
        result = ImageOps.fit(impasto.load_model(style.name)(photo), GALLERY_CELL)
        file = paintings / f"{style.name}.jpg"
        if file.exists():
            painting = Image.open(file).convert("RGB")
            painting.thumbnail((PAINTING_PX, PAINTING_PX), Image.Resampling.LANCZOS)
            inset = ImageOps.expand(painting, FRAME_PX, "white")
            result.paste(inset, (0, GALLERY_CELL[1] - inset.height))
        yield Cell(np.asarray(result), style.name, f"{style.artist}, {style.year}")


def enlarged(
    name: str, corner: tuple[int, int], models: tuple[str, ...], jpeg_quality: int | None = None
) -> Iterator[Cell]:
    """Yields a piece of an example photo, made small and enlarged by 4 in several ways."""
    original = crop_to_multiple(np.asarray(example_photo(name, 1024)), UPSCALED)
    low_res = degrade(original, UPSCALED, "bicubic")
    if jpeg_quality is not None:
        low_res = jpeg(low_res, jpeg_quality)
    pictures = {"bicubic": resampling_methods(UPSCALED)["bicubic"](low_res)}
    pictures |= {model: impasto.upscale(low_res, scale=UPSCALED, model=model) for model in models}
    (left, top), (width, height) = corner, CELL
    source = "from a JPEG" if jpeg_quality else ""
    for how, picture in (pictures | {"original": original}).items():
        about = "" if how == "original" else source
        yield Cell(picture[top : top + height, left : left + width], how, about)


def example_photo(name: str, longer_side_px: int = 640) -> Image.Image:
    """Opens an example photo, shrunk so that brush strokes show at the cells' size."""
    photo = Image.open(ROOT / "examples" / "photos" / f"{name}.jpg").convert("RGB")
    photo.thumbnail((longer_side_px, longer_side_px))
    return photo


def background_mask(size: tuple[int, int]) -> Image.Image:
    """Returns a mask for dahlia.jpg: white around the flower, black on it, soft between."""
    width, height = size
    x, y, radius = 0.485 * width, 0.52 * height, 0.22 * width
    mask = Image.new("L", size, 255)
    ImageDraw.Draw(mask).ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return mask.filter(ImageFilter.GaussianBlur(0.01 * width))


def save_sheet(rows: list[Cells], name: str) -> None:
    """Writes docs/images/NAME.jpg: pictures in a table, each cropped to a cell of 280x210 px."""
    gap = ((0, GAP_PX), (0, GAP_PX), (0, 0))
    cells = [
        [np.pad(np.asarray(ImageOps.fit(cell, CELL)), gap, constant_values=255) for cell in row]
        for row in rows
    ]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in cells])[:-GAP_PX, :-GAP_PX]
    save(sheet, name)


def save(sheet: NDArray[np.uint8], name: str) -> None:
    """Writes docs/images/NAME.jpg."""
    path = IMAGES / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path, quality=QUALITY, optimize=True, progressive=True)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
