"""A contact sheet: pictures of one size in a grid, with a caption of two lines below each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER: Final = (250, 248, 244)
INK: Final = (38, 36, 33)
PALE_INK: Final = (138, 132, 124)

# For pictures of about 320 px.
_MARGIN_PX: Final = 36
_GAP_PX: Final = 24
_FONT_PX: Final = (17, 14)
_LINE_PX: Final = (9, 30)  # from the picture's lower edge to the top of each line
_CAPTION_PX: Final = 50
_NARROWEST_PX: Final = 140  # column: captions need room below narrow pictures too

_ASPECT: Final = 1.4  # width by height that a sheet comes near to
_EMPTY_PLACES: Final = 3.0  # what they count for against a sheet's shape


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of a sheet.

    Attributes:
        rgb: (H, W, 3) uint8, of the same size in all cells.
        name: the first line below it, dark.
        about: the second line, pale; ``""`` leaves it out.
    """

    rgb: NDArray[np.uint8]
    name: str
    about: str = ""


def contact_sheet(cells: Sequence[Cell]) -> NDArray[np.uint8]:
    """Lays one picture or more out in a grid that is a little wider than high, (H, W, 3) uint8.

    A caption that is wider than its column is cut short. Pillow's own font has Latin letters;
    others are drawn as boxes.
    """
    height, width = cells[0].rgb.shape[:2]
    column_px = max(width, _NARROWEST_PX)
    step_x, step_y = column_px + _GAP_PX, height + _CAPTION_PX + _GAP_PX
    columns = _columns(len(cells), step_x, step_y)
    rows = math.ceil(len(cells) / columns)
    size = (2 * _MARGIN_PX + columns * step_x - _GAP_PX, 2 * _MARGIN_PX + rows * step_y - _GAP_PX)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    fonts = [ImageFont.load_default(size=px) for px in _FONT_PX]
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = _MARGIN_PX + column * step_x, _MARGIN_PX + row * step_y
        sheet.paste(Image.fromarray(np.ascontiguousarray(cell.rgb)), (left, top))
        lines = zip((cell.name, cell.about), fonts, _LINE_PX, (INK, PALE_INK), strict=True)
        for caption, font, below_px, colour in lines:
            text = _shortened(caption, font, column_px)
            draw.text((left, top + height + below_px), text, colour, font)
    return np.asarray(sheet)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """Returns a text as it is, or its beginning and an ellipsis, as wide as there is room."""
    short = text = " ".join(text.split())
    kept = len(text)
    while kept and font.getlength(short) > width_px:
        kept -= 1
        short = f"{text[:kept].rstrip()}…"
    return short if kept else ""


def _columns(cells: int, step_x: int, step_y: int) -> int:
    """Chooses a grid of a good shape with few empty places."""

    def badness(columns: int) -> float:
        rows = math.ceil(cells / columns)
        shape = abs(math.log(columns * step_x / (rows * step_y) / _ASPECT))
        return shape + _EMPTY_PLACES * (rows * columns - cells) / cells

    return min(range(1, cells + 1), key=badness)
