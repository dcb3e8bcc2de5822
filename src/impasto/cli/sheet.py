"""``impasto styles --sheet``: one photo in every style, on one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import typer
from PIL import Image

from impasto.catalog import Style
from impasto.cli.console import own_stderr, progress_bar
from impasto.cli.plan import (
    PIPE,
    check_free,
    check_writable,
    is_folder,
    means_folder,
    single_target,
)
from impasto.errors import ImpastoError, ModelError, UnknownStyleError, UsageError
from impasto.images.contact_sheet import PAPER, Cell, contact_sheet
from impasto.images.reading import Photo, read_image
from impasto.images.resize import shrink
from impasto.images.writing import write_image
from impasto.runtime.loading import load_model
from impasto.runtime.styles import list_styles

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL_PX: Final = 320  # longer side
# Painted at twice that, strokes are fine enough to leave the photo legible, as they do on
# photos of full size, and large enough to be seen.
PAINTED_PX: Final = 2 * CELL_PX


def make_sheet(photo: str, output: str | None, *, overwrite: bool) -> None:
    """Paints a photo in every style and writes them side by side; prints where.

    A model that cannot be used is named and left out.
    """
    target = _target(photo, output)
    check_free(target, overwrite=overwrite)
    check_writable(target)
    styles = list_styles()
    if not styles:
        raise UnknownStyleError(
            "there are no styles to paint a sheet in: `impasto train` makes one"
        )
    with own_stderr():
        rgb = _on_paper(shrink(read_image(photo), PAINTED_PX))
        cells, complete = _painted(rgb, styles)
        first = Cell(_small(rgb), Path(photo).name, "the photo")
        write_image(target, contact_sheet([first, *cells]))
    typer.echo(str(target))
    if not complete:
        raise typer.Exit(1)


def _target(photo: str, output: str | None) -> Path:
    if PIPE in (photo, output):
        raise UsageError("--sheet takes a photo's file and -o a file or a folder, not -")
    if photo and is_folder(Path(photo)):
        raise UsageError(f"--sheet takes one photo, and {photo} is a folder")
    path = Path(photo)
    name = f"{path.stem}.styles{'.png' if path.suffix.lower() == '.png' else '.jpg'}"
    if output is None:
        output = str(path.with_name(name)) if path.name else ""
    elif output and means_folder(output):
        output = str(Path(output) / name)
    return single_target(photo, output, "styles")


def _on_paper(photo: Photo) -> NDArray[np.uint8]:
    """Lays what is transparent on the sheet's paper."""
    if photo.alpha is None:
        return photo.rgb
    height, width = photo.alpha.shape
    paper = Image.new("RGB", (width, height), PAPER)
    paper.paste(Image.fromarray(photo.rgb), mask=Image.fromarray(photo.alpha))
    return np.asarray(paper)


def _painted(rgb: NDArray[np.uint8], styles: tuple[Style, ...]) -> tuple[list[Cell], bool]:
    """Paints a picture in every style; returns too whether all models could be used."""
    cells: list[Cell] = []
    failed: set[Path] = set()
    with progress_bar(len(styles), shown=True) as screen:
        for style in styles:
            if style.path not in failed:
                try:
                    cells.append(_cell(rgb, style))
                except ImpastoError as error:
                    failed.add(style.path)
                    screen.note(f"left out: {error}")
            screen.advance()
    if not cells:
        raise ModelError("none of the styles can be used, so there is no sheet")
    return cells, not failed


def _cell(rgb: NDArray[np.uint8], style: Style) -> Cell:
    painted = load_model(style.name).paint(rgb)
    about = ", ".join(filter(None, (style.artist, style.year)))
    return Cell(_small(painted), style.name, about if style.origin == "shipped" else "your own")


def _small(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return shrink(Photo(rgb), CELL_PX).rgb
