"""What ``impasto stylize`` does with each picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli.report import PAINTING
from impasto.cli.running import Task
from impasto.dials import Painting, Writing
from impasto.images.reading import DEFAULT_MAX_PIXELS
from impasto.runtime.loading import load_model
from impasto.runtime.mixing import parse_blend

if TYPE_CHECKING:
    from impasto.runtime.stylizer import StyleModel


def load(style: str | None, model: Path | None, threads: int | None, device: str) -> StyleModel:
    """Loads the style that ``--style`` and ``--model`` mean together.

    Raises:
        UsageError: there is no such device, or the style is no blend.
        ModelError: the model cannot be used, or does not hold that style.
    """
    if model is None:
        return load_model(style, threads=threads, device=device)
    painter = load_model(model, threads=threads, device=device)
    return painter if style is None else painter.with_blend(parse_blend(style))


def painting_task(painter: StyleModel, dials: Painting, writing: Writing) -> Task:
    """Makes the task of painting in a style; reads the mask.

    Args:
        painter: the style.
        dials: how the pictures are painted.
        writing: how they are written.

    Raises:
        ImageError: the mask cannot be read.
    """
    from impasto.runtime.changes import Painter
    from impasto.runtime.stylizer import with_mask
    from impasto.work import Work

    ready = with_mask(dials, max_pixels=writing.max_pixels or DEFAULT_MAX_PIXELS)
    work = Work(Painter(painter, ready), writing)
    return Task(work, PAINTING, {"style": painter.name}, painter.device)
