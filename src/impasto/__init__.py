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

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from impasto.catalog import Style
    from impasto.images.masks import MaskSource
    from impasto.runtime.stylizer import StyleModel

__all__ = ["__version__", "list_styles", "load_model", "stylize", "upscale"]

# ONNX Runtime 1.29 and later tell their makers which models are run; read when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@overload
def stylize(
    image: str | Path | Image,
    style: str | Path | None = ...,
    *,
    strength: float = ...,
    keep_colors: bool = ...,
    mask: MaskSource | None = ...,
    stroke_size: float = ...,
    max_pixels: int | None = ...,
    memory: int | None = ...,
) -> Image: ...
@overload
def stylize(
    image: bytes,
    style: str | Path | None = ...,
    *,
    strength: float = ...,
    keep_colors: bool = ...,
    mask: MaskSource | None = ...,
    stroke_size: float = ...,
    max_pixels: int | None = ...,
    memory: int | None = ...,
) -> bytes: ...
@overload
def stylize(
    image: NDArray[np.uint8],
    style: str | Path | None = ...,
    *,
    strength: float = ...,
    keep_colors: bool = ...,
    mask: MaskSource | None = ...,
    stroke_size: float = ...,
    max_pixels: int | None = ...,
    memory: int | None = ...,
) -> NDArray[np.uint8]: ...
def stylize(
    image: str | Path | bytes | Image | NDArray[np.uint8],
    style: str | Path | None = None,
    *,
    strength: float = 1.0,
    keep_colors: bool = False,
    mask: MaskSource | None = None,
    stroke_size: float = 1.0,
    max_pixels: int | None = None,
    memory: int | None = None,
) -> Image | bytes | NDArray[np.uint8]:
    """Paints one picture and returns the kind that was given.

    Args:
        image: a path (gives a Pillow image), a file's bytes (gives bytes of the same format),
            a Pillow image, or a uint8 array of (H, W, 3), (H, W, 4) with alpha or (H, W) grey.
        style: a name of `list_styles`, a blend such as ``"great_wave:0.7,udnie:0.3"`` or a
            model file; None is the first shipped style.
        strength: 0 (the photo) to 1 (the painting), and beyond it up to 1.5.
        keep_colors: keep the photo's colours and take only lightness from the painting.
        mask: a picture of any of these kinds and the same shape: white is painted, black
            stays photo.
        stroke_size: multiplies the brush strokes, which are as large relative to the picture
            whatever its size: .5 to 4.
        max_pixels: largest picture accepted, checked before decoding; None is 200 million.
        memory: bytes that a picture from a path and its result may take, before they are worked
            on in temporary files. None is 1 GiB.

    Returns:
        The painted picture, of the same size, upright, alpha kept. A file's EXIF and colour
        profile go with it, in the Pillow image's ``info``.

    Raises:
        impasto.errors.ImpastoError: the picture, the style or a setting cannot be used; the
            classes below it say which.
    """
    return load_model(style)(
        image,
        strength=strength,
        keep_colors=keep_colors,
        mask=mask,
        stroke_size=stroke_size,
        max_pixels=max_pixels,
        memory=memory,
    )


@overload
def upscale(
    image: str | Path | Image,
    *,
    scale: int = ...,
    model: str | Path | None = ...,
    match_histogram: bool = ...,
    max_pixels: int | None = ...,
) -> Image: ...
@overload
def upscale(
    image: bytes,
    *,
    scale: int = ...,
    model: str | Path | None = ...,
    match_histogram: bool = ...,
    max_pixels: int | None = ...,
) -> bytes: ...
@overload
def upscale(
    image: NDArray[np.uint8],
    *,
    scale: int = ...,
    model: str | Path | None = ...,
    match_histogram: bool = ...,
    max_pixels: int | None = ...,
) -> NDArray[np.uint8]: ...
def upscale(
    image: str | Path | bytes | Image | NDArray[np.uint8],
    *,
    scale: int = 2,
    model: str | Path | None = None,
    match_histogram: bool = False,
    max_pixels: int | None = None,
) -> Image | bytes | NDArray[np.uint8]:
    """Makes one picture larger and returns the kind that was given.

    Args:
        image: a path (gives a Pillow image), a file's bytes (gives bytes of the same format),
            a Pillow image, or a uint8 array of (H, W, 3), (H, W, 4) with alpha or (H, W) grey.
        scale: 2, 4 or 8 times as wide and high.
        model: ``"photo"`` for usual pictures, ``"sharp"`` or ``"faithful"`` for clean ones, or
            a model file; None is the first of these that there is for the scale.
        match_histogram: give each channel of the result the histogram of the picture's.
        max_pixels: largest picture and result accepted, checked before the work; None is 200
            million.

    Returns:
        The larger picture, upright, alpha enlarged too. A file's EXIF and colour profile go
        with it, in the Pillow image's ``info``.

    Raises:
        impasto.errors.ImpastoError: the picture, the model or a setting cannot be used; the
            classes below it say which.
    """
    from impasto.runtime import loading

    return loading.load_upscaler(model, scale=scale)(
        image, match_histogram=match_histogram, max_pixels=max_pixels
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
