"""What is particular to style transfer in a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.data import PhotoCrops, PhotoSource
from impasto.errors import ResumeError, UsageError
from impasto.images.writing import write_image
from impasto.losses import LossNetwork, PerceptualLoss, gram_matrix
from impasto.losses.balancing import References, balanced_weights, measure_references
from impasto.losses.functional import pixel_loss
from impasto.networks import FastSpec, Network
from impasto.training.config import TrainingConfig
from impasto.training.pictures import (
    History,
    Painting,
    compose_gallery,
    compose_preview,
    read_painting,
    read_validation_photos,
    to_pictures,
    to_tensor,
)
from impasto.training.start import TABLE, begin
from impasto.training.temporal import temporal_loss

REFERENCE_CROPS = 64
"""How many crops the references of the loss weights are measured on."""

IDENTITY_WEIGHT = 1e-3
"""Weight of the identity set's pixel loss: ten grey levels count as a third of the content."""


class StyleTask:
    """Loss, validation and previews of the styles of a run.

    A run learns one parameter set per painting and painting size, and the identity's, in the
    order of `TrainingConfig.parameter_sets`.

    Args:
        config: the run's settings.
        photos: the training photos; the balancing references are measured on some of them.
        validation: source of the validation photos.
        device: where the loss network runs.
        saved: what the checkpoint of a run that is resumed keeps; earlier previews are continued.
    """

    product: ClassVar[str] = "style"
    remedies: ClassVar[str] = "--learning-rate or --style-scale"

    def __init__(
        self,
        config: TrainingConfig,
        photos: PhotoSource,
        validation: PhotoSource,
        device: torch.device,
        *,
        saved: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.samples = [
            PhotoCrops(
                photos, size, max_zoom=config.max_zoom, min_zoom=config.min_zoom, seed=config.seed
            )
            for size in config.crop_px
        ]
        self.device = device
        self.paintings: list[Painting] = [
            read_painting(path, size) for path in config.paintings for size in config.style_size_px
        ]
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
        grams = [self._style_target(painting, device) for painting in self.paintings]
        targets = {layer: torch.cat([gram[layer] for gram in grams]) for layer in grams[0]}
        self.references = None
        if saved and saved.get("references"):
            self.references = References.from_dict(saved["references"])
        weights = {layer: [w] * len(grams) for layer, w in self.loss.style_weights.items()}
        if config.style_weight == "auto":
            if self.references is None:
                crops = [self.samples[0][number][0].to(device) for number in range(REFERENCE_CROPS)]
                self.references = measure_references(
                    loss_network, crops, targets, config.content_layer
                )
            scales = [scale for scale in config.style_scales for _ in config.style_size_px]
            content_weight, weights = balanced_weights(self.references, scales)
            self.loss.content_weight = config.content_weight * content_weight
        self.identity = config.identity and config.trains_trunk
        # The identity has a style weight of zero, whatever its target.
        self.targets = {
            layer: F.pad(gram, (0, 0, 0, 0, 0, int(self.identity)))
            for layer, gram in targets.items()
        }
        self.weights = {
            layer: torch.tensor([*values, *[0.0] * self.identity], device=device)
            for layer, values in weights.items()
        }
        self.validation = read_validation_photos(validation).to(device)
        self.history = History(config.run_folder / "history.png", resume=bool(saved))

    def _style_target(self, painting: Painting, device: torch.device) -> dict[str, Tensor]:
        if painting.grams is None:
            return self.loss.style_targets(to_tensor(painting.rgb).to(device))
        if missing := [layer for layer in self.loss.style_layers if layer not in painting.grams]:
            raise UsageError(
                f"--style-layers has {missing[0]}; the style targets have "
                f"{', '.join(painting.grams)}"
            )
        return {layer: painting.grams[layer].to(device) for layer in self.loss.style_layers}

    @property
    def warnings(self) -> list[str]:
        """Plain sentences on what may spoil the styles."""
        return list(dict.fromkeys(w for painting in self.paintings for w in painting.warnings))

    def saved(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps of the task, JSON-ready."""
        return {
            "references": self.references.to_dict() if self.references else None,
            "paintings_sha256": [self.paintings[i].sha256 for i in self.example_sets()],
        }

    def check_resumed(self, values: dict[str, Any]) -> None:
        """Refuses paintings that are not those the run began with.

        Raises:
            ResumeError: the message names the painting.
        """
        pairs = zip(self.saved()["paintings_sha256"], values["paintings_sha256"], strict=True)
        for path, (now, before) in zip(self.config.paintings, pairs, strict=True):
            if now != before:
                raise ResumeError(
                    f"{path} is not the painting that the run in {self.config.run_folder} "
                    "began with"
                )

    def learns(self, parameter: str) -> bool:
        """Tells whether a parameter of the network is learned.

        Where styles are kept, the convolutions are frozen. The kept rows of the table get
        gradients of zero, with which Adam leaves them bit for bit as they are.
        """
        return self.config.trains_trunk or parameter == TABLE

    def begin(self, network: Network) -> None:
        """Puts the weights of the model that a new run begins with, if any, into its network.

        Raises:
            ModelError: that model cannot be used.
        """
        if self.config.add_to:
            begin(network, self.config.add_to, self.config, self, self.samples[0])

    def step(
        self, network: nn.Module, batch: Tensor, first: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Paints a batch of photos ``(N, 3, H, W)``; returns weighted terms and the paintings."""
        sets = self.sets_of(range(first, first + len(batch)))
        output = self.paint(network, batch, sets)
        terms = self.terms(output, batch, sets)
        if self.config.temporal_weight:
            loss = temporal_loss(
                lambda moved: self.paint(network, moved, sets),
                batch,
                output,
                seed=self.config.seed,
                number=first,
            )
            terms["temporal"] = self.config.temporal_weight * loss
            terms["total"] = terms["total"] + terms["temporal"]
        return terms, output

    def sets_of(self, numbers: range) -> Tensor:
        """Which parameter set each sample of the run is painted with.

        Every pass over the sets is a fresh permutation, so that batches mix styles and none
        is seen more than another. A pure function of seed and number, as the crops are.
        """
        sets = self.config.trained_sets
        if len(sets) == 1:
            return torch.zeros(len(numbers), dtype=torch.long)
        chosen = []
        for number in numbers:
            turn, position = divmod(number, len(sets))
            order = np.random.default_rng([self.config.seed, turn, 2]).permutation(sets)
            chosen.append(int(order[position]))
        return torch.tensor(chosen)

    def paint(self, network: nn.Module, images: Tensor, sets: Tensor) -> Tensor:
        """Runs the network, each picture with its parameter set."""
        if not isinstance(self.config.network, FastSpec):
            output: Tensor = network(images)
        else:
            one_hot = F.one_hot(sets.to(images.device), self.config.parameter_sets)
            output = network(images, one_hot.to(images.dtype))
        return output

    def terms(self, output: Tensor, images: Tensor, sets: Tensor) -> dict[str, Tensor]:
        """Computes the weighted loss terms of a batch of outputs and their photos."""
        sets = sets.to(output.device)
        terms = self.loss.terms(
            output,
            images,
            {layer: target[sets] for layer, target in self.targets.items()},
            {layer: weight[sets] for layer, weight in self.weights.items()},
        )._asdict()
        if self.identity:
            chosen = sets == self.config.parameter_sets - 1
            share = chosen.float().mean() * IDENTITY_WEIGHT
            # Of no picture the mean is not a number.
            terms["identity"] = (
                share * pixel_loss(output[chosen], images[chosen])
                if chosen.any()
                else output.new_zeros(())
            )
            terms["total"] = terms["total"] + terms["identity"]
        return terms

    @torch.no_grad()
    def style_losses(self, output: Tensor) -> Tensor:
        """Weighted style terms of a batch against every learned set's painting, ``(sets,)``."""
        features = self.loss.loss_network(output, self.config.style_layers)
        losses = output.new_zeros(len(self.config.trained_sets))
        for layer, target in self.targets.items():
            difference = gram_matrix(features[layer])[:, None] - target
            losses += difference.square().sum(dim=(-2, -1)).mean(dim=0) * self.weights[layer]
        return losses

    def example_sets(self) -> list[int]:
        """The sets that validation paints: of each painting the first size."""
        return list(range(0, len(self.paintings), len(self.config.style_size_px)))

    @torch.no_grad()
    def validate(self, network: nn.Module) -> tuple[dict[str, float], Tensor]:
        """Scores validation photos, one at a time to spare memory.

        One painting is scored on all photos, several on one photo each.

        Returns:
            Mean terms by name, and the results ``(N, 3, H, W)``.
        """
        sets = self.example_sets()
        count = len(self.validation)
        pairs = [(i, i % count) for i in sets] if len(sets) > 1 else [(0, i) for i in range(count)]
        sums: dict[str, float] = {}
        results = []
        for number, index in pairs:
            photo, chosen = self.validation[index : index + 1], torch.tensor([number])
            output = self.paint(network, photo, chosen).float()
            results.append(output)
            for name, value in self.terms(output, photo, chosen).items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(pairs)
        return sums, torch.cat(results)

    def write_preview(self, results: Tensor, path: Path) -> None:
        """Writes paintings, validation photos and results as one picture."""
        paintings = [self.paintings[number].rgb for number in self.example_sets()]
        if len(paintings) > 1:
            picture = compose_gallery(paintings, to_pictures(results))
        else:
            picture = compose_preview(
                paintings[0], to_pictures(self.validation), to_pictures(results)
            )
        write_image(path, picture)

    def add_to_history(self, results: Tensor) -> NDArray[np.uint8]:
        """Appends results to the growing picture and returns it as ``(H, W, 3)`` uint8."""
        return self.history.add(to_pictures(results))
