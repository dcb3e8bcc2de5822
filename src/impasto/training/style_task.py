"""What is particular to style transfer in a training run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from impasto.data import PhotoCrops, PhotoSource
from impasto.images.writing import write_image
from impasto.losses import LossNetwork, PerceptualLoss, PerceptualTerms
from impasto.training.balancing import (
    PHOTOS,
    References,
    balanced_weights,
    measure_references,
)
from impasto.training.config import DEFAULT_STYLE_SCALE, TrainingConfig
from impasto.training.pictures import (
    History,
    Painting,
    compose_preview,
    read_painting,
    read_validation_photos,
    to_pictures,
    to_tensor,
)


class StyleTask:
    """Loss, validation and previews of one painting.

    Args:
        config: the run's settings.
        photos: crops that the balancing references are measured on.
        validation: source of the validation photos.
        device: where the loss network runs.
        references: the references of a run that is resumed.
        resume: whether earlier previews are continued.
    """

    def __init__(
        self,
        config: TrainingConfig,
        photos: PhotoCrops,
        validation: PhotoSource,
        device: torch.device,
        *,
        references: References | None = None,
        resume: bool = False,
    ) -> None:
        self.painting: Painting = read_painting(config.painting, config.style_size_px)
        loss_network = LossNetwork(config.loss_network)
        loss_network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = PerceptualLoss(
            content_layer=config.content_layer,
            style_layers=config.style_layers,
            content_weight=config.content_weight,
            style_weight=1.0 if config.style_weight == "auto" else config.style_weight,
            style_reduction=config.style_reduction,
            tv_weight=config.tv_weight,
            lattice_weight=config.lattice_weight,
            loss_network=loss_network,
        ).to(device)
        self.targets = self.loss.style_targets(to_tensor(self.painting.rgb).to(device))
        self.references = references
        if config.style_weight == "auto":
            if self.references is None:
                crops = [photos[number][0].to(device) for number in range(PHOTOS)]
                self.references = measure_references(
                    loss_network, crops, self.targets, config.content_layer
                )
            scale = DEFAULT_STYLE_SCALE if config.style_scale is None else config.style_scale
            content_weight, self.loss.style_weights = balanced_weights(self.references, scale)
            self.loss.content_weight = config.content_weight * content_weight
        self.validation = read_validation_photos(validation).to(device)
        self.history = History(config.run_folder / "history.png", resume=resume)

    @property
    def reference_values(self) -> dict[str, float] | None:
        """The balancing references as saved with a run, None without balancing."""
        return self.references.to_dict() if self.references else None

    def terms(self, output: Tensor, images: Tensor) -> PerceptualTerms:
        """Computes the weighted loss terms of a batch of outputs and their photos."""
        return self.loss.terms(output, images, self.targets)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> tuple[dict[str, float], Tensor]:
        """Scores the validation photos, one at a time to spare memory.

        Returns:
            Mean terms by name, and the results ``(N, 3, H, W)``.
        """
        sums: dict[str, float] = {}
        results = []
        for photo in self.validation.split(1):  # type: ignore[no-untyped-call]
            output = network(photo).float()
            results.append(output)
            for name, value in self.terms(output, photo)._asdict().items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(self.validation)
        return sums, torch.cat(results)

    def write_preview(self, results: Tensor, path: Path) -> None:
        """Writes painting, validation photos and results as one picture."""
        picture = compose_preview(
            self.painting.rgb, to_pictures(self.validation), to_pictures(results)
        )
        write_image(path, picture)

    def add_to_history(self, results: Tensor) -> NDArray[np.uint8]:
        """Appends results to the growing picture and returns it as ``(H, W, 3)`` uint8."""
        return self.history.add(to_pictures(results))
