"""How many iterations of the baseline a network is worth: the paper's figure 5, as a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from impasto.evaluation import StyleScores, score_style
from impasto.evaluation.features import PAINTING_PX
from impasto.evaluation.pixels import Picture
from impasto.images.reading import Photo
from impasto.losses import STYLE_LAYERS, LossNetwork
from impasto.losses.style_targets import Grams
from impasto.paper.descent import OnIteration, noise, optimize
from impasto.paper.objective import (
    Objective,
    ObjectiveValues,
    TrainedWeights,
    prepared_loss_network,
    trained_objective,
)
from impasto.training.pictures import Painting, shrink_checked, to_tensor

EQUIVALENCE_PX = 256
EQUIVALENCE_ITERATIONS = 150


@dataclass(frozen=True)
class Comparison:
    """A network beside the baseline on one photo, under the objective of its training.

    Attributes:
        network: the objective of the network's picture.
        photo: that of the untouched photo.
        from_noise: the first iteration of the baseline, from white noise as in the paper, whose
            objective is as low as the network's; None if none of them is.
        from_photo: the same from the photo, whose own objective is that of iteration 1.
    """

    network: ObjectiveValues
    photo: ObjectiveValues
    from_noise: int | None
    from_photo: int | None


def equivalent_iterations(
    objective: Objective,
    start: Tensor,
    total: float,
    *,
    iterations: int = EQUIVALENCE_ITERATIONS,
    on_iteration: OnIteration | None = None,
) -> int | None:
    """Returns the first iteration of L-BFGS, from 1, whose objective is as low as ``total``.

    Iteration 1 evaluates ``start``, ``(1, 3, H, W)`` RGB in [0, 1]. None is returned if none of the
    ``iterations`` comes as low. The other arguments are those of `optimize`.
    """
    result = optimize(
        objective, start, iterations=iterations, until=total, on_iteration=on_iteration
    )
    return len(result.curve) if result.total <= total else None


def compare(
    objective: Objective,
    photo: Tensor,
    painted: Tensor,
    *,
    iterations: int = EQUIVALENCE_ITERATIONS,
    seed: int = 0,
    on_iteration: OnIteration | None = None,
) -> Comparison:
    """Compares a network's picture with the baseline, first from noise, then from the photo.

    Args:
        objective: of this photo.
        photo: ``(1, 3, H, W)`` RGB in [0, 1].
        painted: what the network made of it, of the same shape.
        iterations: limit of the baseline.
        seed: seed of the noise.
        on_iteration: as in `optimize`.
    """
    network = objective.values(painted)
    start = noise(photo.shape[-2], photo.shape[-1], seed=seed).to(photo.device)
    from_noise, from_photo = (
        equivalent_iterations(
            objective, image, network.total, iterations=iterations, on_iteration=on_iteration
        )
        for image in (start, photo)
    )
    return Comparison(network, objective.values(photo), from_noise, from_photo)


@dataclass
class StyleJudge:
    """Judges a style on photos, in the paper's terms and in ours.

    Attributes:
        paint: maps an ``(H, W, 3)`` uint8 photo to its result of the same size.
        painting: the style image.
        weights: those that the model was trained with.
        size_px: longer side of the photos while they are compared; none is enlarged.
        iterations: limit of the baseline.
        device: of the baseline.

    Raises:
        UsageError: the style targets lack a size or a layer.
        ImageError: the painting is too small for the loss network.
    """

    paint: Callable[[Picture], Picture]
    painting: Painting
    weights: TrainedWeights
    size_px: int = EQUIVALENCE_PX
    iterations: int = EQUIVALENCE_ITERATIONS
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.loss_network = prepared_loss_network(device=self.device)
        layers, size_px = tuple(self.weights.style), self.weights.style_size_px
        self.grams = self.painting.grams(self.loss_network, layers, size_px, self.device)
        # Scores are computed on the CPU.
        self.scoring = self.loss_network if self.device == "cpu" else LossNetwork()

    def compare(
        self, photo: Photo, name: str | Path, *, on_iteration: OnIteration | None = None
    ) -> Comparison:
        """Compares the network with the baseline on a photo.

        Raises:
            ImageError: the photo, called ``name``, is too small for the loss network.
        """
        rgb = shrink_checked(photo, self.size_px, name).rgb
        image = to_tensor(rgb).to(self.device)
        return compare(
            trained_objective(self.loss_network, image, [self.grams], self.weights),
            image,
            to_tensor(self.paint(rgb)).to(self.device),
            iterations=self.iterations,
            on_iteration=on_iteration,
        )

    def score(self, photo: Photo) -> StyleScores | None:
        """Scores the style on a photo; None where the style targets lack what scores need."""
        painting: Picture | Grams
        if self.painting.targets is None:
            painting = self.painting.rgb
        else:
            painting = self.painting.targets.grams.get(PAINTING_PX, {})
            if not set(STYLE_LAYERS) <= set(painting):
                return None
        (scores,) = score_style(self.paint, painting, [photo.rgb], loss_network=self.scoring)
        return scores
