"""Is it painted at three scales, is the photo kept, and is more than its colours new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impasto.evaluation.features import SCALES, Seen, correlation, gram_distance
from impasto.evaluation.pixels import Picture, best_recolouring, gaussian_blur
from impasto.images.colour import luma
from impasto.losses.layers import STYLE_LAYERS
from impasto.losses.style_targets import Grams

_REPAINTED_SIGMA_PX: Final = 16.0
_GRADIENT_SIGMA_PX: Final = 1.0
_TENSOR_SIGMA_PX: Final = 4.0
_EDGES: Final = 0.2


def balanced_ratios(result: Seen, photo: Seen, painting: Mapping[int, Grams]) -> tuple[float, ...]:
    """Measures how far a result is from the painting, at each scale.

    Args:
        result: of the photo.
        photo: the untouched one.
        painting: `see_painting`.

    Returns:
        Per scale ``s`` the mean over the style layers of ``||G(result) - G(painting)||_F^2 /
        ||G(photo) - G(painting)||_F^2``, with the pictures at ``512/s`` and the painting at
        ``384/s`` px. 0 is the painting's texture, 1 the photo's. Their mean is *painted*.
    """
    ratios = []
    for scale in SCALES:
        after, before, target = result.grams[scale], photo.grams[scale], painting[scale]
        layers = [
            gram_distance(after[layer], target[layer]) / gram_distance(before[layer], target[layer])
            for layer in STYLE_LAYERS
        ]
        ratios.append(float(np.mean(layers)))
    return tuple(ratios)


def correlations(result: Seen, photo: Seen) -> tuple[float, ...]:
    """Measures how much of the photo is there, at each scale.

    Returns:
        Per scale the correlation of the maps of relu3_3, each channel's mean removed; 1 is the
        photo itself. Their mean is *kept*.
    """
    return tuple(correlation(result.content[scale], photo.content[scale]) for scale in SCALES)


def repainted(photo: Picture, result: Picture) -> float:
    """Measures what is new besides the colours and the fine texture.

    Args:
        photo: ``(H, W, 3)`` uint8, with a longer side of 512 px.
        result: the same shape.

    Returns:
        Both are blurred (Gaussian, sigma 16 px). The RMS of what the best affine map of the
        photo's colours leaves of the result, as a share of the result's RMS contrast around
        each channel's mean. Any recolouring with any fine texture gives nearly 0.
    """
    before, after = (
        gaussian_blur(x.astype(np.float32), _REPAINTED_SIGMA_PX) for x in (photo, result)
    )
    contrast = float(np.square(after - after.mean(axis=(0, 1))).mean())
    left = float(np.square(after - best_recolouring(before, after)).mean())
    # An even result has no contrast that a share could be taken of.
    return 0.0 if contrast < 1e-6 else float(np.sqrt(left / contrast))


def follow(photo: Picture, result: Picture) -> float:
    """Measures whether what is painted runs along what is there.

    Args:
        photo: ``(H, W, 3)`` uint8, with a longer side of 512 px.
        result: the same shape.

    Returns:
        Mean ``|cos|`` of the angle between the main directions of both structure tensors (luma,
        gradients of a blur of sigma 1, tensor blurred by sigma 4) over the strongest fifth of
        the photo's edges. How strong an edge is says the difference of its tensor's
        eigenvalues. Directions at random give 2/pi = .64.
    """
    before, after = _structure(photo), _structure(result)
    strength = np.abs(before)
    strong = strength >= np.quantile(strength, 1 - _EDGES)
    # The argument is twice the angle of the main direction.
    turned = (np.angle(before) - np.angle(after)) / 2
    return float(np.abs(np.cos(turned))[strong].mean())


def _structure(rgb: Picture) -> NDArray[np.complex64]:
    """Returns the structure tensor as ``Jxx - Jyy + 2i Jxy``."""
    grey = gaussian_blur(luma(rgb.astype(np.float32))[..., 0], _GRADIENT_SIGMA_PX)
    down, across = np.gradient(grey)
    squared = np.square(across + 1j * down)
    blurred = gaussian_blur(np.stack([squared.real, squared.imag], -1), _TENSOR_SIGMA_PX)
    return np.asarray(blurred[..., 0] + 1j * blurred[..., 1], np.complex64)
