"""How much a report measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectiveSize:
    """Photos and iterations at one size of the objective's curves.

    Attributes:
        longer_side_px: of the photos.
        photos: how many.
        iterations: of the baseline, on each.
    """

    longer_side_px: int
    photos: int
    iterations: int


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured.

    Attributes:
        speed_px: longer sides that are timed.
        speed_iterations: iterations of the baseline that are timed at each.
        objective: the objective's curves.
        superres_pictures: pictures of each test set; None is all of them.
        superres_px: longer side that the pictures are made smaller to; None leaves them.
        figure_px: longer side of the figures' pictures.
        figure_iterations: of each inversion and of the baseline beside the networks.
        cut: what is left out, in a sentence; ``""`` for nothing.
    """

    speed_px: tuple[int, ...] = (256, 512, 1024)
    speed_iterations: int = 12
    objective: tuple[ObjectiveSize, ...] = (
        ObjectiveSize(256, 15, 300),
        ObjectiveSize(512, 4, 200),
        ObjectiveSize(1024, 1, 150),
    )
    superres_pictures: int | None = None
    superres_px: int | None = None
    figure_px: int = 256
    figure_iterations: int = 300
    cut: str = ""


FULL = Sizes()

QUICK = Sizes(
    speed_px=(256, 512),
    speed_iterations=6,
    objective=(ObjectiveSize(256, 2, 100),),
    superres_pictures=5,
    superres_px=256,
    figure_px=192,
    figure_iterations=40,
    cut="A quick report: no 1024 px, objectives at 256 px on 2 photos for 100 iterations, 5 "
    "pictures of each test set at up to 256 px, inversions of 40 iterations at 192 px.",
)
"""About a quarter of an hour on two cores."""
