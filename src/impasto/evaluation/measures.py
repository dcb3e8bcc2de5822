"""All measures of a style in one call: painted, kept, and what no painter would leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impasto.errors import DataError, ImageError, UsageError
from impasto.evaluation.artefacts import GhostMeter, GridMeter, HaloMeter
from impasto.evaluation.faces import Boxes, faces_kept
from impasto.evaluation.features import (
    PHOTO_PX,
    SCALES,
    Seen,
    balanced_ratios,
    correlations,
    see_painting,
    see_photo,
)
from impasto.evaluation.pixels import (
    Picture,
    best_recolouring,
    fitted,
    gaussian_blur,
    resize_longer_side,
)
from impasto.evaluation.quality import lattice
from impasto.images.colour import luma
from impasto.losses import LossNetwork
from impasto.losses.style_targets import Grams

_REPAINTED_SIGMA_PX: Final = 16.0
_GRADIENT_SIGMA_PX: Final = 1.0
_TENSOR_SIGMA_PX: Final = 4.0
_EDGES: Final = 0.2


@dataclass(frozen=True)
class PhotoMeasures:
    """Measures of one result, or plain means over several.

    Attributes:
        balanced: the balanced ratio at 512, 256 and 128 px, see `balanced_ratios`.
        correlation: of relu3_3 at the same sizes, see `correlations`.
        repainted: see `repainted`.
        follow: see `follow`.
        faces: correlation of relu3_3 inside the faces, a mean of three scales, see
            `faces_kept`; None where no face is marked.
        lattice_2: lattice of period 2 of the result as it is written, see `lattice`.
        lattice_4: lattice of period 4.
    """

    balanced: tuple[float, ...]
    correlation: tuple[float, ...]
    repainted: float
    follow: float
    faces: float | None
    lattice_2: float
    lattice_4: float

    @property
    def painted(self) -> float:
        """Mean of the balanced ratios: fine, middle and coarse strokes count alike."""
        return float(np.mean(self.balanced))

    @property
    def kept(self) -> float:
        """Mean of the correlations."""
        return float(np.mean(self.correlation))

    def to_dict(self) -> dict[str, float | None]:
        """Returns the measures by name, those of one scale as ``balanced_1`` and so on."""
        first = ("painted", "kept", "repainted", "follow", "faces")
        values: dict[str, float | None] = {name: getattr(self, name) for name in first}
        for name in ("balanced", "correlation"):
            scales = zip(SCALES, getattr(self, name), strict=True)
            values |= {f"{name}_{scale}": value for scale, value in scales}
        return values | {"lattice_2": self.lattice_2, "lattice_4": self.lattice_4}


@dataclass(frozen=True)
class StyleMeasures:
    """Measures of a style on photos.

    Attributes:
        photos: of each photo, by name.
        mean: plain means over the photos; *faces* over those that have some.
        ghost: share of the residuals' energy that all photos have at the same place, see
            `GhostMeter`; N unrelated results have 1/N, so that one photo alone says nothing.
        halo: overshoot beside the photos' step edges in levels, see `HaloMeter`; None
            where no photo has such an edge.
        grid: the highest peak of the residuals' spectrum beside what is usual near it, see
            `GridMeter`.
        grid_period_px: its period.
    """

    photos: Mapping[str, PhotoMeasures]
    mean: PhotoMeasures
    ghost: float
    halo: float | None
    grid: float
    grid_period_px: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the means and the measures of all photos together, by name."""
        together = ("ghost", "halo", "grid", "grid_period_px")
        return self.mean.to_dict() | {name: getattr(self, name) for name in together}


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo and what the loss network sees of it, to be compared with many results.

    Attributes:
        rgb: ``(H, W, 3)`` uint8.
        seen: at three scales.
    """

    rgb: Picture
    seen: Seen

    @classmethod
    def of(cls, rgb: Picture, loss_network: LossNetwork) -> PreparedPhoto:
        """Looks at a photo; `ImageError` if it is too narrow for the loss network."""
        return cls(rgb, see_photo(loss_network, rgb))


class StyleMeter:
    """Measures results one by one, and then all of them together.

    Args:
        painting: its Gram matrices by scale, from `see_painting`.
        loss_network: VGG-16.
    """

    def __init__(self, painting: Mapping[int, Grams], loss_network: LossNetwork) -> None:
        self._painting = painting
        self._loss_network = loss_network
        self._ghost, self._grid, self._halo = GhostMeter(), GridMeter(), HaloMeter()
        self._photos: dict[str, PhotoMeasures] = {}

    def add(
        self, name: str, photo: PreparedPhoto, result: Picture, faces: Boxes | None = None
    ) -> PhotoMeasures:
        """Measures one result.

        Args:
            name: the photo's, which no earlier photo has.
            photo: at its own size.
            result: ``(h, w, 3)`` uint8 of the same aspect ratio, as it is written.
            faces: ``(N, 4)`` boxes in pixels of the photo.

        Raises:
            ImageError: the result is no result of this photo.
            DataError: a face reaches beyond the photo.
        """
        seen = photo.seen
        if result is not photo.rgb:
            seen = see_photo(self._loss_network, result, photo.rgb)
        small = resize_longer_side(photo.rgb, PHOTO_PX)
        small_result = fitted(result, small)
        self._ghost.add(small, small_result)
        self._grid.add(fitted(photo.rgb, result), result)
        self._halo.add(small, small_result)
        in_faces = None
        if faces is not None and len(faces):
            size = (photo.rgb.shape[0], photo.rgb.shape[1])
            try:
                in_faces = float(np.mean(faces_kept(seen, photo.seen, faces, size)))
            except DataError as error:
                raise DataError(f"{name}: {error}") from error
        measures = PhotoMeasures(
            balanced=balanced_ratios(seen, photo.seen, self._painting),
            correlation=correlations(seen, photo.seen),
            repainted=repainted(small, small_result),
            follow=follow(small, small_result),
            faces=in_faces,
            lattice_2=lattice(result, 2),
            lattice_4=lattice(result, 4),
        )
        self._photos[name] = measures
        return measures

    def finish(self) -> StyleMeasures:
        """Returns the measures of all results; `UsageError` if there are none."""
        mean = mean_measures(list(self._photos.values()))
        return StyleMeasures(
            dict(self._photos), mean, self._ghost.value, self._halo.value, *self._grid.peak
        )


def measure_style(
    photos: Sequence[Picture | PreparedPhoto],
    results: Sequence[Picture],
    painting: Picture | Mapping[int, Grams],
    *,
    names: Sequence[str] | None = None,
    faces: Mapping[str, Boxes] | None = None,
    loss_network: LossNetwork | None = None,
) -> StyleMeasures:
    """Measures a style on photos.

    Photos and results are seen with a longer side of 512, 256 and 128 px and the painting of
    384, 192 and 96 px; grids are sought at the size that results are written at.

    Args:
        photos: ``(H, W, 3)`` uint8 each at its own size, or prepared for several calls.
        results: of each photo, uint8 of its shape.
        painting: ``(H, W, 3)`` uint8, or what `see_painting` gives.
        names: of the photos; None is their numbers from 0.
        faces: boxes ``(N, 4)`` by name, as `read_boxes` gives them.
        loss_network: VGG-16; None is the shipped one.

    Raises:
        UsageError: there are no photos, or not as many results or names.
        ImageError: a picture is too narrow, or a result has another shape than its photo.
    """
    network = loss_network or LossNetwork()
    target = painting if isinstance(painting, Mapping) else see_painting(network, painting)
    called = [str(number) for number in range(len(photos))] if names is None else list(names)
    if not len(photos) == len(results) == len(set(called)):
        raise UsageError(
            f"{len(photos)} photos need as many results and names, not {len(results)} results "
            f"and {len(set(called))} names"
        )
    meter = StyleMeter(target, network)
    for name, photo, result in zip(called, photos, results, strict=True):
        try:
            known = photo if isinstance(photo, PreparedPhoto) else PreparedPhoto.of(photo, network)
            meter.add(name, known, result, (faces or {}).get(name))
        except ImageError as error:
            raise ImageError(f"photo {name}: {error}") from error
    return meter.finish()


def mean_measures(measures: Sequence[PhotoMeasures]) -> PhotoMeasures:
    """Returns plain means, *faces* over the photos that have some; `UsageError` for none."""
    if not measures:
        raise UsageError("there are no photos to measure")
    means: dict[str, Any] = {}
    for item in fields(PhotoMeasures):
        values = [x for one in measures if (x := getattr(one, item.name)) is not None]
        mean = np.mean(values, axis=0).tolist() if values else None
        means[item.name] = tuple(mean) if isinstance(mean, list) else mean
    return PhotoMeasures(**means)


def repainted(photo: Picture, result: Picture) -> float:
    """Measures what is new besides the colours and the fine texture.

    Photo and result, ``(H, W, 3)`` uint8 with a longer side of 512 px, are blurred (Gaussian,
    sigma 16 px). The RMS of what the best affine map of the photo's colours leaves of the result
    is taken as a share of the result's RMS contrast around each channel's mean. Any recolouring
    with any fine texture gives nearly 0.
    """
    before, after = (
        gaussian_blur(x.astype(np.float32), _REPAINTED_SIGMA_PX) for x in (photo, result)
    )
    contrast = float(np.square(after - after.mean(axis=(0, 1))).mean())
    left = float(np.square(after - best_recolouring(before, after)).mean())
    # An even result has no contrast that a share could be taken of.
    return 0.0 if contrast < 1e-6 else float(np.sqrt(left / contrast))


def follow(photo: Picture, result: Picture) -> float:
    """Measures whether strokes run along the photo's edges.

    Photo and result are ``(H, W, 3)`` uint8 with a longer side of 512 px. The measure is the mean
    ``|cos|`` of the angle between the main directions of both structure tensors (luma, gradients
    of a blur of sigma 1, tensor blurred by sigma 4) over the strongest fifth of the photo's
    edges, by the difference of the tensor's eigenvalues. Directions at random give 2/pi = .64.
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
