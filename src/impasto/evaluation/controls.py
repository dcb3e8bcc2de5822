"""Results without a painter, which the measures must tell from paintings.

A measure that one of them passes says nothing, so they stand below every table, with the
measures that they fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impasto.evaluation.features import PAINTING_PX, PHOTO_PX
from impasto.evaluation.measures import StyleMeasures
from impasto.evaluation.pixels import Floats, Picture, gaussian_blur, resize_longer_side

Control = Callable[[Picture, Picture], Picture]
"""Maps a photo and a painting, ``(H, W, 3)`` uint8, to a result of the photo's shape."""

AT_MOST: Final[Mapping[str, float]] = {
    "painted": 0.4,
    "lattice_2": 0.3,
    "lattice_4": 1.0,
    "halo": 4.0,
    "grid": 2.5,
}
AT_LEAST: Final[Mapping[str, float]] = {"kept": 0.5, "repainted": 0.2, "follow": 0.9}
GHOST_AT_MOST: Final = 2.0
"""As a multiple of 1/N, what N unrelated results have."""

# On a photo with a longer side of 512 px.
_BLUR_PX: Final = 4.0
_DETAIL_PX: Final = 8.0
_DETAIL_SHARE: Final = 0.6


def failed_measures(measures: StyleMeasures) -> list[str]:
    """Returns the names of the measures that are beyond their limits.

    The best published results of feed-forward networks pass these limits, and controls do not.
    *ghost* counts from two photos on; *faces* has no limit.
    """
    values = measures.to_dict()
    most = {**AT_MOST, "ghost": GHOST_AT_MOST / len(measures.photos)}
    return [
        name
        for name, value in values.items()
        if (name in most and (value or 0) > most[name])
        or (name in AT_LEAST and value < AT_LEAST[name])
    ]


def untouched(photo: Picture, _painting: Picture) -> Picture:
    """Returns the photo itself."""
    return photo


def blurred(photo: Picture, _painting: Picture) -> Picture:
    """Returns the photo out of focus, by a Gaussian of 4 px at 512 px."""
    return _levels(gaussian_blur(photo.astype(np.float32), _BLUR_PX * _scale(photo)))


def recoloured(photo: Picture, painting: Picture) -> Picture:
    """Returns the photo in the painting's colours.

    Of the affine maps that give a photo the mean and the covariance of the painting's colours, it
    is the one that changes colours least (Pitie and Kokaram, "The linear Monge-Kantorovitch
    linear colour mapping for example-based colour transfer", 2007).
    """
    return _levels(_recoloured(photo, painting))


def pasted(photo: Picture, painting: Picture) -> Picture:
    """Returns the photo in the painting's colours, with six tenths of the painting's detail on top.

    Detail is what a Gaussian of 8 px at 512 px takes from the painting, which is laid on at the
    scale of its measures: three quarters of the photo's.
    """
    canvas = _canvas(photo, painting)
    detail = canvas - gaussian_blur(canvas, _DETAIL_PX * _scale(photo))
    return _levels(_recoloured(photo, painting) + np.float32(_DETAIL_SHARE) * detail)


def half(photo: Picture, painting: Picture) -> Picture:
    """Returns photo and painting in equal parts, one seen through the other."""
    return _levels((photo.astype(np.float32) + _canvas(photo, painting)) / 2)


CONTROLS: Final[Mapping[str, Control]] = {
    "the photo": untouched,
    "blurred": blurred,
    "recoloured": recoloured,
    "detail pasted on": pasted,
    "half photo, half painting": half,
}
"""By name; each fails a measure."""


def _recoloured(photo: Picture, painting: Picture) -> Floats:
    colours, wanted = (x.reshape(-1, 3).astype(np.float64) for x in (photo, painting))
    root = _square_root(np.cov(colours.T))
    inverse = np.linalg.pinv(root, rcond=1e-6, hermitian=True)
    matrix = inverse @ _square_root(root @ np.cov(wanted.T) @ root) @ inverse
    mapped = (colours - colours.mean(axis=0)) @ matrix + wanted.mean(axis=0)
    return np.asarray(mapped.reshape(photo.shape), np.float32)


def _square_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Takes the root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _canvas(photo: Picture, painting: Picture) -> Floats:
    """Lays a painting over a photo from its upper left corner, mirrored where it ends."""
    height, width = photo.shape[:2]
    small = resize_longer_side(painting, round(PAINTING_PX * _scale(photo)))
    missing = (max(0, height - small.shape[0]), max(0, width - small.shape[1]))
    whole = np.pad(small, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    return whole[:height, :width].astype(np.float32)


def _scale(photo: Picture) -> float:
    return float(max(photo.shape[:2]) / PHOTO_PX)


def _levels(values: NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
