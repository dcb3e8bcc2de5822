"""``impasto evaluate style``: a style in the paper's terms and in ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from impasto.cli import optimizing, options
from impasto.cli.completion import complete_style
from impasto.cli.console import (
    Screen,
    one_line,
    own_stderr,
    print_error,
    print_note,
    print_result,
    progress_bar,
)
from impasto.cli.extras import needs_extra
from impasto.cli.scores import MEAN
from impasto.errors import ImageError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from impasto.optimization.equivalence import StyleJudge

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


def style(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A style's name or a model file.",
            autocompletion=complete_style,
        ),
    ],
    *,
    photos: Annotated[Path, typer.Option("--photos", metavar="FOLDER", help="A folder of photos.")],
    painting: Annotated[
        Path,
        typer.Option(
            "--painting",
            metavar="STYLE_IMAGE",
            help="The painting of the style, or a file of its style targets.",
        ),
    ],
    style_name: Annotated[
        str | None,
        typer.Option("--style", metavar="NAME", help="A style of the file. [default: its first]"),
    ] = None,
    size: Annotated[
        int, typer.Option(metavar="PX", help="Longer side of the photos beside the baseline.")
    ] = 256,
    iterations: Annotated[
        int, typer.Option(metavar="N", help="Iterations of the baseline at most.")
    ] = 150,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object in place of the table.")
    ] = False,
    device: Annotated[
        str, typer.Option(metavar="|".join(optimizing.DEVICES), help="Of the baseline.")
    ] = "auto",
    threads: options.Threads = None,
) -> None:
    """Measure a style: the paper's objective, and iterations of L-BFGS that it is worth.

    The terms of the objective have the weights that the model was trained with. The last
    columns say at which iteration the optimisation of Gatys et al., from noise as in the paper
    and from the photo, comes as low as the network. Style ratio, balanced ratio (lower is closer
    to the painting) and correlation (higher is closer to the photo) are taken at 512 px.
    """
    from impasto.cli.plan import find_pictures

    optimizing.check_numbers(iterations=iterations, size_px=size, seed=0, threads=threads)
    optimizing.one_of("device", device, optimizing.DEVICES)
    found = find_pictures("photos", photos)
    judge, about = _judge(
        model,
        style_name,
        painting,
        size=size,
        iterations=iterations,
        device=device,
        threads=threads,
    )
    title = (
        f"{about['style']}, objective at {size} px as in its training, and the iteration of L-BFGS "
        "that comes as low"
    )
    table = _Table(title, found, iterations)
    steps = 2 * iterations * len(found)
    with own_stderr(), progress_bar(steps, shown=True, doing="optimising") as screen:
        rows, failed = _measure_all(judge, found, table=None if as_json else table, screen=screen)
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


def _judge(
    model: str,
    style_name: str | None,
    painting: Path,
    *,
    size: int,
    iterations: int,
    device: str,
    threads: int | None,
) -> tuple[StyleJudge, Row]:
    """Loads the model and its painting; returns too what ``--json`` says of them.

    Raises:
        ImpastoError: one of them cannot be used.
    """
    from impasto.runtime.loading import load_model, model_path

    with needs_extra("train", "impasto evaluate style"):
        from impasto.optimization import weights_of_model
        from impasto.optimization.device import find_device
        from impasto.optimization.equivalence import StyleJudge
        from impasto.optimization.pictures import read_painting
    device = find_device(device, threads)
    path = model_path(model)
    painter = load_model(model, threads=threads)
    if style_name is not None:
        painter = painter.with_blend({style_name: 1.0})
    if len(painter.blend) > 1:
        raise UsageError(f"{model} is a blend: name one style")
    weights = weights_of_model(path, painter.name)
    image = read_painting(painting, painter.name)
    stated = {entry.name: entry.style_image_sha256 for entry in painter.metadata.styles}
    if stated[painter.name] not in ("", image.sha256):
        print_note(f"{painting} is not the very file that {painter.name} was trained on")
    judge = StyleJudge(
        painter.paint,
        image,
        weights,
        size_px=size,
        iterations=iterations,
        device=device,
    )
    return judge, {
        "model": str(path),
        "style": painter.name,
        "painting": str(painting),
        "size_px": size,
        "iterations": iterations,
        "weights": asdict(weights),
    }


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
        self._title = title
        self._width = max(len(one_line(text)) for text in ("photo", MEAN, *photos))
        self._iterations = iterations
        self._begun = False

    def show(self, name: str, row: Row, print_line: Callable[[str], None]) -> None:
        """Prints a row, below the table's head if it is the first."""
        if not self._begun:
            self._begun = True
            print_line(one_line(self._title))
            print_line("")
            print_line(self._line("photo", list(_COLUMNS.values())))
            dashes = [f"{'-' * (_width(head) - 1)}:" for head in _COLUMNS.values()]
            print_line(self._line("-" * self._width, dashes))
        print_line(self._line(one_line(name), [self._cell(key, row) for key in _COLUMNS]))

    def _line(self, name: str, cells: list[str]) -> str:
        padded = [
            f"{cell:>{_width(head)}}" for cell, head in zip(cells, _COLUMNS.values(), strict=True)
        ]
        return f"| {name:{self._width}} | {' | '.join(padded)} |"

    def _cell(self, key: str, row: Row) -> str:
        value = row[key]
        if key not in _COUNTS:
            return "-" if value is None else f"{value:.3f}" if value < 1000 else f"{value:,.0f}"
        if value is None:
            return f">{self._iterations}"
        below = row.get(f"{key}_reached", 0) < row.get("photos", 0)
        return f"{'>' if below else ''}{value:.4g}"


def _width(head: str) -> int:
    return max(len(head), len("999.999"))
