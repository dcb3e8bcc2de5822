"""Impasto: train image transformation networks with perceptual losses and run them fast.

``import impasto`` loads nothing heavy: NumPy, Pillow and ONNX Runtime come with the first
picture, PyTorch only with `impasto.training` and what stands beside it.

    >>> painted = impasto.stylize("photo.jpg")  # a Pillow image
    >>> model = impasto.load_model("great_wave")  # for many pictures, from any thread
    >>> painted = model("photo.jpg", strength=0.7)
    >>> larger = impasto.upscale("photo.jpg", scale=4)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, overload

from impasto._version import __version__
from impasto.dials import Enlarging, Painting, Writing, shows_dials, without_limit

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeVar, Unpack

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from impasto.catalog import Style
    from impasto.dials import CallKeywords, EnlargingKeywords
    from impasto.runtime.stylizer import StyleModel

    BytesOrArray = TypeVar("BytesOrArray", bytes, NDArray[np.uint8])

__all__ = ["__version__", "list_styles", "load_model", "stylize", "upscale"]

# ONNX Runtime 1.29 and later tell their makers which models are run; read when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@overload
def stylize(
    image: str | Path | Image, style: str | Path | None = ..., **dials: Unpack[CallKeywords]
) -> Image: ...
@overload
def stylize(
    image: BytesOrArray, style: str | Path | None = ..., **dials: Unpack[CallKeywords]
) -> BytesOrArray: ...
@shows_dials(Painting, Writing, leave_out=("format", "quality", "overwrite"))
def stylize(
    image: str | Path | bytes | Image | NDArray[np.uint8],
    style: str | Path | None = None,
    **dials: Unpack[CallKeywords],
) -> Image | bytes | NDArray[np.uint8]:
    """Paints one picture and returns the kind that was given.

    Args:
        image: a path (gives a Pillow image), a file's bytes (gives bytes of the same format),
            a Pillow image, or a uint8 array of (H, W, 3), (H, W, 4) with alpha or (H, W) grey.
        style: a name of `list_styles`, a blend such as ``"great_wave:0.7,udnie:0.3"`` or a
            model file; None is the first shipped style.
        **dials: how it is painted.

    Returns:
        The painted picture, of the same size unless it is above ``max_size``, upright, alpha
        kept. A file's EXIF and colour profile go with it, in the Pillow image's ``info``.

    Raises:
        impasto.errors.ImpastoError: the picture, the style or a setting cannot be used; the
            classes below it say which.
    """
    return load_model(style)(image, **dials)


@overload
def upscale(
    image: str | Path | Image, *, model: str | Path | None = ..., **dials: Unpack[EnlargingKeywords]
) -> Image: ...
@overload
def upscale(
    image: BytesOrArray, *, model: str | Path | None = ..., **dials: Unpack[EnlargingKeywords]
) -> BytesOrArray: ...
@shows_dials(Enlarging, Writing, leave_out=("tile", "format", "quality", "overwrite"))
def upscale(
    image: str | Path | bytes | Image | NDArray[np.uint8],
    *,
    model: str | Path | None = None,
    **dials: Unpack[EnlargingKeywords],
) -> Image | bytes | NDArray[np.uint8]:
    """Makes one picture larger and returns the kind that was given.

    Args:
        image: a path (gives a Pillow image), a file's bytes (gives bytes of the same format),
            a Pillow image, or a uint8 array of (H, W, 3), (H, W, 4) with alpha or (H, W) grey.
        model: ``"photo"`` for usual pictures, ``"sharp"`` or ``"faithful"`` for clean ones, or
            a model file; None is the first of these that there is for the scale.
        **dials: how it is enlarged.

    Returns:
        The larger picture, upright, alpha enlarged too. A file's EXIF and colour profile go
        with it, in the Pillow image's ``info``.

    Raises:
        impasto.errors.ImpastoError: the picture, the model or a setting cannot be used; the
            classes below it say which.
    """
    from impasto.runtime import loading

    own, limit = without_limit(dials)
    enlarging = Enlarging(**own)
    return loading.load_upscaler(model, scale=enlarging.scale)(
        image, match_histogram=enlarging.match_histogram, max_pixels=limit
    )


def load_model(
    name_or_path: str | Path | None = None, *, threads: int | None = None, device: str = "auto"
) -> StyleModel:
    """Loads a style for repeated use; a model already loaded is returned again.

    Args:
        name_or_path: a name of `list_styles` or a model file; None is the first shipped style.
        threads: CPU threads for one picture; None takes every core.
        device: ``"auto"`` (CUDA where ONNX Runtime has it, else the CPU), ``"cpu"``,
            ``"cuda"``, ``"coreml"``, ``"directml"`` or ``"openvino"``; one that is named is
            used, or refused.

    Returns:
        An object to call like `stylize`, from any thread.

    Raises:
        impasto.errors.UnknownStyleError: there is no style or file of that name.
        impasto.errors.ModelError: the model file cannot be used.
        impasto.errors.UsageError: there is no such device.
        impasto.errors.MissingExtraError: it is OpenVINO, and that is not installed.
    """
    from impasto.runtime import loading

    return loading.load_model(name_or_path, threads=threads, device=device)


def list_styles() -> tuple[Style, ...]:
    """Returns the shipped styles, the default first, and after them the user's own.

    Own styles are those of the models that ``impasto styles add`` put into the user's data
    folder.
    """
    from impasto.runtime import styles

    return styles.list_styles()
