"""``impasto evaluate style --baseline``: a style in the paper's terms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import typer

from impasto.cli.console import (
    Screen,
    one_line,
    own_stderr,
    print_error,
    print_result,
    progress_bar,
)
from impasto.cli.scores import MEAN
from impasto.errors import ImageError, MissingExtraError
from impasto.markdown import MarkdownTable

if TYPE_CHECKING:
    from impasto.paper.comparison import StyleJudge
    from impasto.paper.objective import TrainedWeights
    from impasto.runtime.stylizer import StyleModel
    from impasto.training.pictures import Painting

Row: TypeAlias = dict[str, Any]
"""What was found on one photo, or the means; JSON-ready."""

_COLUMNS: Final = {
    "content": "content",
    "style": "style",
    "total_variation": "variation",
    "objective": "objective",
    "objective_of_photo": "photo's own",
    "style_ratio": "style ratio",
    "balanced_ratio": "balanced",
    "correlation": "correlation",
    "from_noise": "from noise",
    "from_photo": "from photo",
}
"""The keys of a row, and the heads of their columns."""

_COUNTS: Final = ("from_noise", "from_photo")


SIZE_PX: Final = 256
ITERATIONS: Final = 150


def show_baseline(
    painter: StyleModel,
    path: Path,
    weights: TrainedWeights,
    painting: Painting,
    photos: Mapping[str, Path],
    *,
    size: int,
    iterations: int,
    device: str,
    as_json: bool,
) -> None:
    """Judges a style on photos, and prints how.

    Args:
        painter: of one style.
        path: its model file.
        weights: of the objective that it was trained with.
        painting: of the style.
        photos: by name.
        size: longer side of the photos beside the baseline, in px.
        iterations: of the baseline at most.
        device: of the baseline.
        as_json: print one object in place of a table.

    Raises:
        ImpastoError: the painting cannot be used.
        typer.Exit: some photos could not be judged.
    """
    from impasto.paper.comparison import StyleJudge

    judge = StyleJudge(
        painter.paint, painting, weights, size_px=size, iterations=iterations, device=device
    )
    about = {
        "model": str(path),
        "style": painter.name,
        "painting": str(painting.path),
        "size_px": size,
        "iterations": iterations,
        "weights": asdict(weights),
    }
    title = (
        f"{painter.name}, objective at {size} px as in its training, and the iteration of L-BFGS "
        "that comes as low"
    )
    table = _Table(title, photos, iterations)
    steps = 2 * iterations * len(photos)
    with own_stderr(), progress_bar(steps, shown=True, doing="optimising") as screen:
        rows, failed = _measure_all(judge, photos, table=None if as_json else table, screen=screen)
    if rows:
        means = _means(list(rows.values()), iterations)
        if as_json:
            listed = [{"name": name, **row} for name, row in rows.items()]
            result = {**about, "photos": listed, "mean": means, "failed": failed}
            print_result(json.dumps(result))
        else:
            table.show(MEAN, means, print_result)
    for message in failed.values():
        print_error(message)
    if failed:
        raise typer.Exit(1 if rows else 2)


def _measure_all(
    judge: StyleJudge, photos: Mapping[str, Path], *, table: _Table | None, screen: Screen
) -> tuple[dict[str, Row], dict[str, str]]:
    """Judges each photo; returns the rows, and the messages of those without."""
    rows: dict[str, Row] = {}
    failed: dict[str, str] = {}
    for name, path in photos.items():
        left = 2 * judge.iterations

        def step(_state: object) -> None:
            nonlocal left
            left -= 1
            screen.advance()

        try:
            rows[name] = _measure(judge, path, step)
        except (ImageError, MissingExtraError) as error:
            failed[name] = str(error) if str(path) in str(error) else f"{path}: {error}"
        else:
            if table is not None:
                table.show(name, rows[name], screen.result)
        for _ in range(left):
            screen.advance()
    return rows, failed


def _measure(judge: StyleJudge, path: Path, step: Callable[[object], None]) -> Row:
    """Judges one photo.

    Raises:
        ImageError: it cannot be read or is too small.
        MissingExtraError: reading it needs an extra.
    """
    from impasto.images.reading import read_image

    photo = read_image(path)
    found = judge.compare(photo, path, on_iteration=step)
    scores = judge.score(photo)
    return {
        "content": found.network.content,
        "style": found.network.style,
        "total_variation": found.network.total_variation,
        "objective": found.network.total,
        "objective_of_photo": found.photo.total,
        "style_ratio": None if scores is None else scores.style_ratio,
        "balanced_ratio": None if scores is None else scores.balanced_ratio,
        "correlation": None if scores is None else scores.correlation,
        "from_noise": found.from_noise,
        "from_photo": found.from_photo,
    }


def _means(rows: list[Row], iterations: int) -> Row:
    """Returns plain means; a baseline that never came as low counts with all its iterations."""
    means: Row = {"photos": len(rows)}
    for key in _COLUMNS:
        values = [row[key] for row in rows]
        if key in _COUNTS:
            means[f"{key}_reached"] = sum(value is not None for value in values)
            values = [iterations if value is None else value for value in values]
        means[key] = None if None in values else sum(values) / len(values)
    return means


class _Table:
    """A Markdown table that grows while photos are judged.

    Args:
        title: a line above it.
        photos: by name.
        iterations: of the baseline.
    """

    def __init__(self, title: str, photos: Mapping[str, Path], iterations: int) -> None:
        name_width = max(len(one_line(text)) for text in ("photo", MEAN, *photos))
        heads = ("photo", *_COLUMNS.values())
        widths = (name_width, *[len("999.999")] * len(_COLUMNS))
        self._table = MarkdownTable(heads, widths, title=one_line(title))
        self._iterations = iterations

    def show(self, name: str, row: Row, print_line: Callable[[str], None]) -> None:
        """Prints a row, below the table's head if it is the first."""
        for line in self._table.row((one_line(name), *(self._cell(key, row) for key in _COLUMNS))):
            print_line(line)

    def _cell(self, key: str, row: Row) -> str:
        value = row[key]
        if key not in _COUNTS:
            return "-" if value is None else f"{value:.3f}" if value < 1000 else f"{value:,.0f}"
        if value is None:
            return f">{self._iterations}"
        below = row.get(f"{key}_reached", 0) < row.get("photos", 0)
        return f"{'>' if below else ''}{value:.4g}"
