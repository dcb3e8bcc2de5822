"""Impasto: train image transformation networks with perceptual losses and run them fast.

``import impasto`` loads nothing heavy: NumPy, Pillow and ONNX Runtime come with the first
picture, PyTorch only with `impasto.training` and what stands beside it.

    >>> painted = impasto.stylize("photo.jpg")  # a Pillow image
    >>> model = impasto.load_model("great_wave")  # for many pictures, from any thread
    >>> painted = model("photo.jpg", strength=0.7)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from impasto._version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from impasto.catalog import Style
    from impasto.runtime.stylizer import StyleModel

__all__ = ["__version__", "list_styles", "load_model", "stylize"]


@overload
def stylize(
    image: str | Path | Image,
    style: str | Path | None = ...,
    *,
    strength: float = ...,
    keep_colors: bool = ...,
) -> Image: ...
@overload
def stylize(
    image: bytes,
    style: str | Path | None = ...,
    *,
    strength: float = ...,
    keep_colors: bool = ...,
) -> bytes: ...
@overload
def stylize(
    image: NDArray[np.uint8],
    style: str | Path | None = ...,
    *,
    strength: float = ...,
    keep_colors: bool = ...,
) -> NDArray[np.uint8]: ...
def stylize(
    image: str | Path | bytes | Image | NDArray[np.uint8],
    style: str | Path | None = None,
    *,
    strength: float = 1.0,
    keep_colors: bool = False,
) -> Image | bytes | NDArray[np.uint8]:
    """Paints one picture and returns the kind that was given.

    Args:
        image: a path (gives a Pillow image), a file's bytes (gives bytes of the same format),
            a Pillow image, or a uint8 array of (H, W, 3), (H, W, 4) with alpha or (H, W) grey.
        style: a shipped style's name or a model file; None is the first shipped style.
        strength: 0 (the photo) to 1 (the painting).
        keep_colors: keep the photo's colours and take only lightness from the painting.

    Returns:
        The painted picture, of the same size, upright, alpha kept.

    Raises:
        impasto.errors.ImpastoError: the picture, the style or a setting cannot be used; the
            classes below it say which.
    """
    return load_model(style)(image, strength=strength, keep_colors=keep_colors)


def load_model(name_or_path: str | Path | None = None) -> StyleModel:
    """Loads a style for repeated use; a model already loaded is returned again.

    Args:
        name_or_path: a shipped style's name or a model file; None is the first shipped style.

    Returns:
        An object to call like `stylize`, from any thread.

    Raises:
        impasto.errors.UnknownStyleError: there is no style or file of that name.
        impasto.errors.ModelError: the model file cannot be used.
    """
    from impasto.runtime import loading

    return loading.load_model(name_or_path)


def list_styles() -> tuple[Style, ...]:
    """Returns the shipped styles, the default first."""
    from impasto import catalog

    return catalog.list_styles()
