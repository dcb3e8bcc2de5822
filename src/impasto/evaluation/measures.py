"""All measures of a style in one call: painted, kept, and what no painter would leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from impasto.errors import DataError, ImageError, UsageError
from impasto.evaluation.artefacts import GhostMeter, GridMeter, HaloMeter
from impasto.evaluation.faces import Boxes, faces_kept
from impasto.evaluation.features import PHOTO_PX, SCALES, Seen, see_painting, see_photo
from impasto.evaluation.pixels import Picture, fitted, resize_longer_side
from impasto.evaluation.quality import lattice
from impasto.evaluation.strokes import balanced_ratios, correlations, follow, repainted
from impasto.losses import LossNetwork
from impasto.losses.style_targets import Grams


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
        lattice_2: of the result as it is written, see `lattice`.
        lattice_4: likewise.
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
        values: dict[str, float | None] = {
            "painted": self.painted,
            "kept": self.kept,
            "repainted": self.repainted,
            "follow": self.follow,
            "faces": self.faces,
        }
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
        return self.mean.to_dict() | {
            "ghost": self.ghost,
            "halo": self.halo,
            "grid": self.grid,
            "grid_period_px": self.grid_period_px,
        }


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
        """Looks at a photo.

        Raises:
            ImageError: it is too narrow for the loss network.
        """
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
            name: of the photo, a new one.
            photo: at its own size.
            result: ``(h, w, 3)`` uint8 of the same shape, as it is written.
            faces: boxes on the photo, in its pixels.

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
        """Returns what was measured.

        Raises:
            UsageError: nothing was.
        """
        mean = mean_measures(list(self._photos.values()))
        grid, period_px = self._grid.peak
        return StyleMeasures(
            photos=dict(self._photos),
            mean=mean,
            ghost=self._ghost.value,
            halo=self._halo.value,
            grid=grid,
            grid_period_px=period_px,
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
        names: of the photos; their numbers from 0 when omitted.
        faces: boxes ``(N, 4)`` by name, as `read_boxes` gives them.
        loss_network: VGG-16; the shipped one when omitted.

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
    """Returns plain means; *faces* is that of the photos that have some.

    Raises:
        UsageError: there are none.
    """
    if not measures:
        raise UsageError("there are no photos to measure")
    faces = [one.faces for one in measures if one.faces is not None]
    return PhotoMeasures(
        balanced=tuple(np.mean([one.balanced for one in measures], axis=0).tolist()),
        correlation=tuple(np.mean([one.correlation for one in measures], axis=0).tolist()),
        faces=float(np.mean(faces)) if faces else None,
        **{
            name: float(np.mean([getattr(one, name) for one in measures]))
            for name in ("repainted", "follow", "lattice_2", "lattice_4")
        },
    )
