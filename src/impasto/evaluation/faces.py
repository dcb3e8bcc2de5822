"""Where faces are on photos, and how much of them is kept."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from impasto.errors import DataError
from impasto.evaluation.features import SCALES, Seen, correlation

COLUMNS: Final = ("photo", "x0", "y0", "x1", "y1")
Boxes = NDArray[np.float64]
"""``(N, 4)``: left, top, right and bottom in pixels of the photo at its own size."""


def read_boxes(path: Path | None = None) -> dict[str, Boxes]:
    """Reads boxes, by the photo's file name.

    Args:
        path: a CSV file with the columns photo, x0, y0, x1 and y1; None is the shipped one, drawn
            by hand on the validation photos.

    Raises:
        DataError: the file is missing, or a row is no box; its line is named.
    """
    path = path or Path(str(resources.files("impasto.evaluation") / "faces.csv"))
    found: dict[str, list[list[float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise DataError(f"{path} must have the columns {', '.join(COLUMNS)}")
            for row in reader:
                box = _box(row, path, reader.line_num)
                found.setdefault(row["photo"], []).append(box)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file of boxes") from error
    return {name: np.array(boxes) for name, boxes in found.items()}


def _box(row: Mapping[str, str], path: Path, line: int) -> list[float]:
    try:
        x0, y0, x1, y1 = (float(row[key]) for key in COLUMNS[1:])
    except (TypeError, ValueError):
        x0 = y0 = x1 = y1 = float("nan")
    if not (0 <= x0 < x1 < float("inf") and 0 <= y0 < y1 < float("inf")):
        raise DataError(f"{path}, line {line}: a box needs numbers 0 <= x0 < x1 and 0 <= y0 < y1")
    return [x0, y0, x1, y1]


def faces_kept(
    result: Seen, photo: Seen, boxes: Boxes, photo_size: tuple[int, int]
) -> tuple[float, ...]:
    """Measures how much of the faces is left, at each scale.

    It is the correlation of the maps of relu3_3 inside the boxes, one or more on a photo of this
    height and width; from each channel the mean of the whole map is removed, since a small face
    has too few values for one.

    Raises:
        DataError: a box reaches beyond the photo.
    """
    height, width = photo_size
    if boxes[:, 2].max() > width or boxes[:, 3].max() > height:
        right, bottom = boxes[:, 2:].max(axis=0)
        raise DataError(
            f"the faces reach to {right:g},{bottom:g} px, and the photo has {width}x{height} px: "
            "the boxes belong to another picture"
        )
    kept = []
    for scale in SCALES:
        after, before = result.content[scale], photo.content[scale]
        rows, columns = after.shape[-2:]
        inside = torch.zeros(rows, columns, dtype=torch.bool)
        for x0, y0, x1, y1 in boxes:
            down = _span(y0 * rows / height, y1 * rows / height, rows)
            across = _span(x0 * columns / width, x1 * columns / width, columns)
            inside[down, across] = True
        kept.append(correlation(after, before, inside))
    return tuple(kept)


def _span(low: float, high: float, count: int) -> slice:
    """Returns the cells of a map whose middle lies between; at least one."""
    first, end = round(low), round(high)
    if end <= first:
        first = min(int((low + high) / 2), count - 1)
        end = first + 1
    return slice(min(first, count - 1), min(end, count))
