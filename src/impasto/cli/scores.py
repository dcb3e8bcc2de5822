"""Scores of ``impasto evaluate`` as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from impasto.cli.console import one_line
from impasto.markdown import MarkdownTable

if TYPE_CHECKING:
    from impasto.evaluation import SuperresScores

    ByMethod: TypeAlias = Mapping[str, SuperresScores]

# What stands for a picture's name in the rows of the means.
MEAN: Final = "mean"
_COLUMNS: Final = ("psnr", "ssim", "feature_relu2_2", "feature_relu3_3")
_WIDTHS: Final = (6, 6, 9, 9)


class ScoreTable:
    """A Markdown table that grows while pictures are scored.

    Args:
        title: a line above it.
        images: names of the pictures.
        methods: names of the methods.
    """

    def __init__(self, title: str, images: Iterable[str], methods: Iterable[str]) -> None:
        widths = [
            max(len(one_line(text)) for text in texts)
            for texts in (("image", MEAN, *images), ("method", *methods))
        ]
        heads = ("image", "method", "PSNR", "SSIM", "relu2_2", "relu3_3")
        self._table = MarkdownTable(heads, (*widths, *_WIDTHS), texts=(0, 1), title=one_line(title))

    def show(self, image: str, by_method: ByMethod, print_line: Callable[[str], None]) -> None:
        """Prints one row per method, below the table's head if they are the first."""
        for method, score in by_method.items():
            cells = (
                one_line(image),
                one_line(method),
                f"{score.psnr:.2f}",
                f"{score.ssim:.4f}",
                f"{score.feature_relu2_2:,.0f}",
                f"{score.feature_relu3_3:,.0f}",
            )
            for line in self._table.row(cells):
                print_line(line)


def scores_json(
    setup: Mapping[str, Any],
    scores: Mapping[str, ByMethod],
    means: ByMethod,
    failed: Mapping[str, str],
) -> str:
    """Returns one JSON object.

    Args:
        setup: its first entries.
        scores: by picture and method.
        means: by method.
        failed: messages of the pictures without scores.
    """
    images = [{"name": name, "methods": _plain(by_method)} for name, by_method in scores.items()]
    return json.dumps({**setup, "images": images, "mean": _plain(means), "failed": failed})


def write_csv(path: Path, scores: Mapping[str, ByMethod], means: ByMethod) -> None:
    """Writes one row per picture and method, those of the means last, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    from impasto.images.writing import atomic_path

    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "method", *_COLUMNS))
        for image, by_method in {**scores, MEAN: means}.items():
            for method, score in by_method.items():
                values = score.to_dict()
                writer.writerow((image, method, *(values[column] for column in _COLUMNS)))


def _plain(by_method: ByMethod) -> dict[str, dict[str, float | None]]:
    """Returns numbers only: JSON has no infinity, which is the PSNR of equal pictures."""
    return {
        method: {
            name: value if math.isfinite(value) else None for name, value in score.to_dict().items()
        }
        for method, score in by_method.items()
    }
