"""From a model file to a network that maps one picture to another, of any kind of model.

What uses networks tells by a `Progress` how far a picture is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError
from impasto.runtime.metadata import ModelMetadata
from impasto.runtime.model_file import read_model_file
from impasto.runtime.session import ModelSession

LEVELS: Final = np.float32(255)

# Rows of a wide picture that stay in a processor's cache while they are rounded.
_ROWS_AT_ONCE: Final = 32

_OTHER_COMMAND: Final = {"style": "", "upscale": ": `impasto stylize` runs it"}

Progress = Callable[[float], None]
"""Takes the share of a picture that is done."""


def nothing(_share: float) -> None:
    """Takes reports that nobody wants."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Returns a function that reports a part's progress as progress of the whole."""
    return lambda share: progress(start + share * (end - start))


class OpenModel(NamedTuple):
    """A model file that is ready to run: its metadata, its graph's session, and its content."""

    metadata: ModelMetadata
    session: ModelSession
    data: bytes


def open_model(
    path: str | Path, kind: str, *, threads: int | None = None, device: str = "auto"
) -> OpenModel:
    """Opens a model file of a kind, ``"style"`` or ``"upscale"``; settings as `load_model` has.

    Raises:
        ModelError: the file cannot be used, or is of the other kind.
        NewerFormatError: a newer version of Impasto made it.
        UsageError: there is no such device.
    """
    data, metadata = read_model_file(path)
    if metadata.kind != kind:
        raise ModelError(
            f"{path}: the model is of kind {metadata.kind}, not {kind}{_OTHER_COMMAND[kind]}"
        )
    scale = metadata.scale if kind == "upscale" else 1
    try:
        session = ModelSession(data, threads=threads, device=device, scale=scale)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return OpenModel(metadata, session, data)


def run_on_picture(
    session: ModelSession,
    rgb: NDArray[np.uint8],
    style_weights: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Runs a network on a picture of its smallest size or more, (H, W, 3) uint8.

    Returns:
        (scale H, scale W, 3) float32 in [0, 1].

    Raises:
        ImageTooLargeError: there is not enough memory for a picture of this size.
        ModelError: the model fails on the picture.
    """
    batch = np.divide(rgb.transpose(2, 0, 1)[None], LEVELS, order="C")
    result: NDArray[np.float32] = session.run(batch, style_weights=style_weights)[0]
    np.clip(result, 0.0, 1.0, out=result)
    return result.transpose(1, 2, 0)


def to_levels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounds (H, W, 3) values in [0, 1] to 8-bit levels, in the usual order in memory."""
    levels = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        part = values[rows] * LEVELS
        np.rint(part, out=part)
        # A network leaves one channel behind the other; mixing them is fastest one by one.
        for channel in range(3):
            levels[rows, :, channel] = part[..., channel]
    return levels
