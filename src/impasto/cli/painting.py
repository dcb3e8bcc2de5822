"""What ``impasto stylize`` does with each picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli.report import PAINTING
from impasto.cli.running import Task
from impasto.cli.settings import PaintSettings
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo
from impasto.runtime.loading import load_model
from impasto.runtime.mixing import parse_blend

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def painting_task(painter: StyleModel, settings: PaintSettings, max_pixels: int | None) -> Task:
    """Makes the task of painting in a style; reads the mask.

    Args:
        painter: the style.
        settings: how the pictures are painted.
        max_pixels: largest mask; None is the default.

    Raises:
        ImageError: the mask cannot be read.
    """
    mask: NDArray[np.uint8] | None = None
    if settings.mask is not None:
        from impasto.images.masks import read_mask

        mask = read_mask(settings.mask, max_pixels=max_pixels or DEFAULT_MAX_PIXELS)

    def paint(photo: Photo, progress: Callable[[float], None]) -> Photo:
        if settings.max_side_px is not None:
            from impasto.images.resize import shrink

            photo = shrink(photo, settings.max_side_px)
        rgb = painter.paint(
            photo.rgb,
            strength=settings.strength,
            stroke_size=settings.stroke_size,
            keep_colors=settings.keep_colors,
            mask=mask,
            memory=settings.memory,
            progress=progress,
        )
        return dataclasses.replace(photo, rgb=rgb)

    return Task(
        paint,
        PAINTING,
        {"style": painter.name},
        painter.device,
        max_side_px=settings.max_side_px,
        memory=settings.memory,
    )
