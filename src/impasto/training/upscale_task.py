"""What is particular to super-resolution in a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from impasto.catalog.own import weights_of
from impasto.data import PatchPairs, PhotoSource
from impasto.data.degradation import degrade
from impasto.errors import ModelError
from impasto.evaluation.superres import luma_scores, resampling_methods
from impasto.export import load_weights
from impasto.images.writing import write_image
from impasto.losses import (
    LossNetwork,
    feature_reconstruction_loss,
    lattice_loss,
    pixel_loss,
    total_variation_loss,
)
from impasto.networks import Network
from impasto.training.config import UpscalerConfig
from impasto.training.pictures import (
    History,
    compose_strips,
    read_validation_photos,
    to_pictures,
    to_tensor,
)


class UpscaleTask:
    """Loss, validation and previews of a super-resolution run.

    Johnson et al. 2016, section 4.2: the feature reconstruction loss between the network's
    result and the original, or the pixel loss, or both. Arguments are those of
    `impasto.training.setup.make_task`.
    """

    product: ClassVar[str] = "model"
    remedies: ClassVar[str] = "--learning-rate"

    def __init__(
        self,
        config: UpscalerConfig,
        photos: PhotoSource,
        validation: PhotoSource,
        device: torch.device,
        *,
        saved: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.samples = [
            PatchPairs(
                photos,
                config.patch_px,
                scale=config.scale,
                degradation=config.degradation,
                seed=config.seed,
            )
        ]
        self.loss_network: LossNetwork | None = None
        self._pooled_px = 1
        if config.uses_features:
            self.loss_network = LossNetwork(config.loss_network)
            self.loss_network.check_layers([config.feature_layer])
            self._pooled_px = 2 ** (int(config.feature_layer[4]) - 1)  # relu2_2: one pooling
            self.loss_network.to(memory_format=torch.channels_last).to(device)  # type: ignore[call-overload]
        self.originals = to_pictures(read_validation_photos(validation))
        rng = np.random.default_rng([config.seed, 4])
        self.low_res = [
            degrade(picture, config.scale, config.degradation, rng) for picture in self.originals
        ]
        self.device = device
        self.history = History(config.run_folder / "history.png", resume=bool(saved))

    @property
    def warnings(self) -> list[str]:
        """Nothing is known to spoil a model."""
        return []

    def saved(self) -> dict[str, Any]:
        """A checkpoint needs nothing of this task."""
        return {}

    def check_resumed(self, values: dict[str, Any]) -> None:
        """Has no inputs but the photos, of which any will do."""

    def learns(self, parameter: str) -> bool:  # noqa: ARG002
        """Learns every parameter."""
        return True

    def begin(self, network: Network) -> None:
        """Copies what fits of the model that the run begins with, if any; some must."""
        if self.config.start_from is None:
            return
        old = load_weights(weights_of(self.config.start_from)).state_dict()
        state = network.state_dict()
        fitting = {k: v for k, v in old.items() if k in state and state[k].shape == v.shape}
        if not any(value.ndim == 4 for value in fitting.values()):
            raise ModelError(
                f"--start-from {self.config.start_from} fits the network nowhere: "
                "name one of the same --network and --width"
            )
        network.load_state_dict(state | fitting)

    def step(
        self, network: nn.Module, batch: tuple[Tensor, Tensor], first: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Enlarges a batch of pairs; returns weighted terms and the results.

        The loss network's pooling halves pictures in fixed pairs of rows and columns. Where these
        always met the same sub-pixels of the network, it would learn a grid that pooling hides.
        So results are judged from another row and column on in every step.
        """
        low_res, high_res = batch
        output = network(low_res)
        rng = np.random.default_rng([self.config.seed, 5, first])
        top, left = rng.integers(self._pooled_px, size=2)
        return self.terms(output[..., top:, left:], high_res[..., top:, left:]), output

    def terms(self, output: Tensor, high_res: Tensor) -> dict[str, Tensor]:
        """Computes the weighted loss terms of results and their originals."""
        config = self.config
        terms: dict[str, Tensor] = {}
        if self.loss_network is not None:
            layer = config.feature_layer
            with torch.no_grad():
                target = self.loss_network(high_res, [layer])[layer]
            features = self.loss_network(output, [layer])[layer]
            terms["feature"] = config.feature_weight * feature_reconstruction_loss(features, target)
            windows = _windows(output - high_res, 4 * config.scale)
            terms["lattice"] = config.lattice_weight * lattice_loss(windows, config.scale)
        if config.uses_pixels:
            terms["pixel"] = config.pixel_weight * pixel_loss(output, high_res)
        if config.tv_weight:
            terms["total_variation"] = config.tv_weight * total_variation_loss(output)
        return terms | {"total": torch.stack(list(terms.values())).sum()}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> tuple[dict[str, float], Tensor]:
        """Scores validation photos by loss, PSNR and SSIM, one at a time to spare memory."""
        sums: dict[str, float] = {}
        results = []
        for low_res, original in zip(self.low_res, self.originals, strict=True):
            output = network(to_tensor(low_res).to(self.device)).float()
            results.append(output)
            terms = self.terms(output, to_tensor(original).to(self.device))
            psnr, ssim = luma_scores(to_pictures(output)[0], original, self.config.scale)
            scores = {name: value.item() for name, value in terms.items()}
            for name, value in (scores | {"psnr": psnr, "ssim": ssim}).items():
                sums[name] = sums.get(name, 0.0) + value / len(self.originals)
        return sums, torch.cat(results)

    def write_preview(self, results: Tensor, path: Path) -> None:
        """Writes one strip per photo: low resolution, bicubic, result, original."""
        methods = resampling_methods(self.config.scale)
        copies = [[methods[how](x) for x in self.low_res] for how in ("nearest", "bicubic")]
        write_image(
            path, compose_strips([*copies, list(to_pictures(results)), list(self.originals)])
        )

    def add_to_history(self, results: Tensor) -> NDArray[np.uint8]:
        """Appends results to the growing picture and returns it as ``(H, W, 3)`` uint8."""
        return self.history.add(to_pictures(results))


def _windows(images: Tensor, side_px: int) -> Tensor:
    """Cuts ``(N, C, H, W)`` into squares ``(M, C, side_px, side_px)``; what is left over goes.

    Grids change their sign from place to place, and would cancel in a whole patch.
    """
    side_px = min(side_px, *images.shape[2:])
    squares = images.unfold(2, side_px, side_px).unfold(3, side_px, side_px)
    return squares.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
