"""What is particular to style transfer in a training run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.catalog.own import weights_of
from impasto.data import PhotoCrops, PhotoSource, open_photos
from impasto.data.crops import PhotoSamples, RefineCrops, RefineSample
from impasto.errors import ModelError, ResumeError
from impasto.export import load_weights
from impasto.images.writing import write_image
from impasto.losses import LossNetwork, PerceptualLoss, gram_matrix
from impasto.losses.balancing import References
from impasto.losses.functional import lattice_loss, pixel_loss, total_variation_loss
from impasto.networks import Network
from impasto.networks.blocks import is_style_table
from impasto.runtime.model_file import read_model_file
from impasto.training.config import TrainingConfig, style_name
from impasto.training.pictures import (
    History,
    compose_gallery,
    compose_preview,
    read_painting,
    read_validation_photos,
    to_pictures,
)
from impasto.training.style_losses import (
    DEEPEST_LAYERS,
    REFINE_CONTENT_LAYER,
    SIDE_PX,
    WINDOW_PX,
    OctaveLoss,
    RefineLoss,
    StyleLevel,
    balanced_level,
    halved,
    measured_together,
    stacked,
    temporal_loss,
    with_identity,
)

REFERENCE_CROPS = 64
"""How many crops the references of the loss weights are measured on."""

COMPARED_CROPS = 4
"""Crops that every style of a model paints to find the one nearest to a new painting."""

IDENTITY_WEIGHT = 1e-3
"""Weight of the identity set's pixel loss: ten grey levels count as a third of the content."""

STEERING = 0.02
"""How fast a style's strength is corrected, per picture that is painted in it."""

STEERED_RANGE = (0.05, 20.0)

NOT_STEERED_STEPS = 100
"""At the beginning a network keeps little of a photo, whatever the strength of the style."""


class StyleTask:
    """Loss, validation and previews of the styles of a run.

    A run learns one parameter set per painting, and the identity's, in the order of
    `TrainingConfig.parameter_sets`. Its last part trains the refine network, if there is one.
    The balancing references are measured on some of the training photos. Arguments are those of
    `impasto.training.setup.make_task`.
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
        saved = saved or {}
        self.config = config
        self.device = device
        self._crops = [
            PhotoCrops(
                photos,
                size,
                max_zoom=config.max_zoom,
                min_zoom=config.min_zoom,
                ratio=config.crop_ratio,
                seed=config.seed,
            )
            for size in config.crop_px
        ]
        self.samples: list[PhotoSamples[Any]] = [*self._crops]
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
        self.paintings = [read_painting(path).at(config.style_size_px) for path in config.paintings]
        self.identity = config.identity and config.trains_trunk
        self._references = [References(**v) for v in saved.get("references") or []]
        self.octaves = self._octave_loss()
        self.refining: RefineLoss | None = None
        halo_px = config.network.halo_px
        if halo_px is not None and config.refine_share:
            source = open_photos(config.refine_photos) if config.refine_photos else photos
            parts = RefineCrops(source, SIDE_PX, WINDOW_PX + 2 * halo_px, seed=config.seed)
            self.refining = RefineLoss(self.loss, self._refine_levels(parts), halo_px)
            self.samples.append(parts)
        scales: list[float] = [*config.style_scales]
        if saved and saved["config"]["style_scale"] == config.to_dict()["style_scale"]:
            scales = saved["scales"]  # steered so far, unless others are given
        self.scales = torch.tensor(scales, device=device)
        self.validation = read_validation_photos(validation).to(device)
        self.history = History(config.run_folder / "history.png", resume=bool(saved))

    def _octave_loss(self) -> OctaveLoss:
        config, network = self.config, self.loss.loss_network
        auto = config.style_weight == "auto"
        crops: list[Tensor] = []
        if auto and not self._references:
            crops = [self._crops[0][n][0].to(self.device) for n in range(REFERENCE_CROPS)]
        # At the smallest size shapes may move as the strokes need it.
        content_octaves = max(1, config.octaves - 1)
        levels = []
        sizes_px = config.style_sizes_px[: config.octaves]
        for octave, targets in enumerate(self._targets(sizes_px, config.style_layers)):
            content_weight = config.content_weight / content_octaves * (octave < content_octaves)
            if auto:
                references = self._references[octave : octave + 1] or measured_together(
                    network,
                    [targets],
                    [halved(crop[None], octave)[0] for crop in crops],
                    config.content_layer,
                )
                level = balanced_level(targets, *references, content_weight=content_weight)
            else:
                weights = {
                    layer: torch.full((len(self.paintings),), weight, device=self.device)
                    for layer, weight in self.loss.style_weights.items()
                }
                level = StyleLevel(targets, weights, content_weight)
            levels.append(with_identity(level) if self.identity else level)
        return OctaveLoss(self.loss, levels, config.window_px, config.seed)

    def _refine_levels(self, parts: RefineCrops) -> list[StyleLevel]:
        """Makes what refined pictures are compared with, one level for each ratio."""
        config, network = self.config, self.loss.loss_network
        layers = tuple(name for name in config.style_layers if name not in DEEPEST_LAYERS)
        sizes_px = config.style_sizes_px[config.octaves :]
        targets = self._targets(sizes_px, layers or config.style_layers)
        # Octaves whose weights were given have none.
        references = self._references[config.octaves * (config.style_weight == "auto") :]
        if not references:
            windows = [parts[n][0].window.to(self.device) for n in range(REFERENCE_CROPS)]
            references = measured_together(network, targets, windows, REFINE_CONTENT_LAYER)
        levels = [balanced_level(*pair) for pair in zip(targets, references, strict=True)]
        return [with_identity(level) if self.identity else level for level in levels]

    def _targets(self, sizes_px: Sequence[int], layers: tuple[str, ...]) -> list[dict[str, Tensor]]:
        """Gram matrices of all paintings, for each size ``(paintings, C, C)`` by layer."""
        network = self.loss.loss_network
        found: list[list[dict[str, Tensor]]] = [[] for _ in sizes_px]
        for path in self.config.paintings:
            painting = read_painting(path)  # decoded once, and one at a time in memory
            for grams, size_px in zip(found, sizes_px, strict=True):
                grams.append(painting.at(size_px).grams(network, layers, size_px, self.device))
        return [stacked(grams) for grams in found]

    @property
    def warnings(self) -> list[str]:
        """Plain sentences on what may spoil the styles."""
        return list(dict.fromkeys(w for painting in self.paintings for w in painting.warnings))

    def saved(self) -> dict[str, Any]:
        """Returns references, strengths so far, and hashes of the paintings."""
        levels = [*self.octaves.levels, *(self.refining.levels if self.refining else ())]
        references = [asdict(level.references) for level in levels if level.references]
        return {
            "references": references or None,
            "scales": self.scales.tolist(),
            "paintings_sha256": [painting.sha256 for painting in self.paintings],
        }

    def check_resumed(self, values: dict[str, Any]) -> None:
        """Refuses paintings that are not those the run began with."""
        pairs = zip(self.saved()["paintings_sha256"], values["paintings_sha256"], strict=True)
        for path, (now, before) in zip(self.config.paintings, pairs, strict=True):
            if now != before:
                raise ResumeError(
                    f"{path} is not the painting that the run in {self.config.run_folder} "
                    "began with"
                )

    def learns(self, parameter: str) -> bool:
        """Tells whether a parameter of the network is learned.

        Where styles are kept, the convolutions are frozen. The kept rows of the tables get
        gradients of zero, with which Adam leaves them bit for bit as they are.
        """
        return self.config.trains_trunk or is_style_table(parameter)

    def begin(self, network: Network) -> None:
        """Puts the weights of the model that a new run begins with, if any, into its network.

        Dumoulin et al. 2017, section 3.2: with the convolutions frozen, a new style is learned as
        a set of scales and shifts alone. A painting begins at those of the style of its name, else
        of the style whose results are nearest to it.

        Raises:
            ModelError: the weights are not there, or not those that the settings were made from.
        """
        config = self.config
        if config.add_to is None:
            return
        metadata = read_model_file(config.add_to)[1]
        if metadata.weights_sha256 != config.started_from:
            raise ModelError(f"{config.add_to} is not the model that the run was planned with")
        old = load_weights(weights_of(config.add_to))
        state = old.state_dict()
        names = [style.name for style in metadata.styles]
        wanted = [style_name(painting) for painting in config.paintings]
        nearest = [names.index(name) if name in names else None for name in wanted]
        if None in nearest:
            found = self._nearest_styles(old, len(names))
            pairs = zip(nearest, found, strict=True)
            nearest = [number if known is None else known for known, number in pairs]
        for name, table in state.items():
            if is_style_table(name):
                kept = table[: len(names)] if config.kept_styles else table[:0]
                identity = table[-1:] if config.identity else table[:0]
                state[name] = torch.cat([table[nearest], kept, identity])
        network.load_state_dict(state)

    @torch.no_grad()
    def _nearest_styles(self, network: Network, styles: int) -> list[int]:
        """Finds for each painting the style whose results have the least style loss."""
        network = network.to(self.device)
        crops = [self._crops[0][number][0] for number in range(COMPARED_CROPS)]
        images = torch.stack(crops).to(self.device)
        choices = torch.eye(styles + self.config.identity, device=self.device)
        distances = [self._style_losses(network(images, choice)) for choice in choices[:styles]]
        return [int(style) for style in torch.stack(distances).argmin(dim=0)]

    def _style_losses(self, output: Tensor) -> Tensor:
        """Weighted style terms of a batch against every painting, ``(paintings,)``."""
        features = self.loss.loss_network(output, self.config.style_layers)
        level, count = self.octaves.levels[0], len(self.paintings)
        losses = output.new_zeros(count)
        for layer, target in level.targets.items():
            difference = gram_matrix(features[layer])[:, None] - target[:count]
            by_painting = difference.square().sum(dim=(-2, -1)).mean(dim=0)
            losses += by_painting * level.weights[layer][:count]
        return losses

    def step(self, network: nn.Module, batch: Any, first: int) -> tuple[dict[str, Tensor], Tensor]:
        """Paints a batch of photos, or refines the parts of a `RefineSample`."""
        if not isinstance(batch, Tensor):
            return self._refine(network, RefineSample(*batch), first)
        sets = self.sets_of(range(first, first + len(batch)))
        output = self.paint(network, batch, sets)
        terms, kept = self.terms(output, batch, sets, number=first)
        if self.config.steers and first >= NOT_STEERED_STEPS * len(batch):
            self._steer(sets, kept)
        if self.config.temporal_weight:

            def paint(moved: Tensor) -> Tensor:
                return self.paint(network, moved, sets)

            loss = temporal_loss(paint, batch, output, seed=self.config.seed, number=first)
            terms["temporal"] = self.config.temporal_weight * loss
            terms["total"] = terms["total"] + terms["temporal"]
        return terms, output

    def _steer(self, sets: Tensor, kept: Tensor) -> None:
        """Strengthens the styles that keep more of a photo than they should, weakens others."""
        keep = self.config.keep or 0.0
        for number, share in zip(sets.tolist(), kept.tolist(), strict=True):
            if number < len(self.scales):
                scale = self.scales[number] * math.exp(STEERING * (share - keep))
                self.scales[number] = scale.clamp(*STEERED_RANGE)

    def _refine(
        self, network: nn.Module, sample: RefineSample, first: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        if self.refining is None:
            raise TypeError("this run has no refine part")
        count = len(sample.low)
        sets = self.sets_of(range(first // count, first // count + 1)).expand(count)
        one_hot = self._one_hot(sets, sample.low)
        sets = sets.to(sample.low.device)

        def refine(photos: Tensor, enlarged: Tensor) -> Tensor:
            result: Tensor = network(photos, one_hot, enlarged)
            return result

        with torch.no_grad():
            drafts = self.refining.drafts(sample, network(sample.low, one_hot), refine)
        output = refine(sample.window, drafts)
        terms = self.refining.terms(output, sample, drafts, sets)
        terms |= self._whole_picture_terms(output)
        terms |= self._identity_term(output, self.refining.inner(sample.window), sets)
        terms["total"] = torch.stack(list(terms.values())).sum()
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
        styles = [self._one_hot(sets, images)] if self.config.network.holds_many else []
        output: Tensor = network(images, *styles)
        return output

    def _one_hot(self, sets: Tensor, like: Tensor) -> Tensor:
        return F.one_hot(sets.to(like.device), self.config.parameter_sets).to(like.dtype)

    def terms(
        self, output: Tensor, images: Tensor, sets: Tensor, *, number: int | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Computes the loss of a batch of drafts; arguments as for `OctaveLoss`.

        Returns:
            Weighted terms by name, and ``(N,)`` how much of each photo is kept.
        """
        sets = sets.to(output.device)
        content, style, kept = self.octaves(output, images, sets, self._strengths(sets), number)
        terms = {"content": content, "style": style, **self._whole_picture_terms(output)}
        terms |= self._identity_term(output, images, sets)
        terms["total"] = torch.stack(list(terms.values())).sum()
        return terms, kept

    def _strengths(self, sets: Tensor) -> Tensor:
        """``(N,)`` the strength of each picture's style."""
        if self.config.style_weight != "auto":
            return torch.ones(len(sets), device=sets.device)
        # The identity's level has a style weight of zero.
        return self.scales[sets.clamp(max=len(self.scales) - 1)]

    def _whole_picture_terms(self, output: Tensor) -> dict[str, Tensor]:
        """Total variation and lattice, as far as they are weighed."""
        weighed = {
            "total_variation": (self.config.tv_weight, total_variation_loss),
            "lattice": (self.config.lattice_weight, lattice_loss),
        }
        return {name: w * loss(output) for name, (w, loss) in weighed.items() if w}

    def _identity_term(self, output: Tensor, images: Tensor, sets: Tensor) -> dict[str, Tensor]:
        if not self.identity:
            return {}
        chosen = sets == self.config.parameter_sets - 1
        if not chosen.any():  # the mean of no picture is not a number
            return {"identity": output.new_zeros(())}
        share = chosen.float().mean() * IDENTITY_WEIGHT
        return {"identity": share * pixel_loss(output[chosen], images[chosen])}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> tuple[dict[str, float], Tensor]:
        """Scores validation photos, one at a time to spare memory.

        One painting is scored on all photos, several on one photo each.
        """
        count, paintings = len(self.validation), len(self.paintings)
        pairs = [(i % paintings, i % count) for i in range(count if paintings == 1 else paintings)]
        sums: dict[str, float] = {}
        results = []
        for number, index in pairs:
            photo, chosen = self.validation[index : index + 1], torch.tensor([number])
            output = self.paint(network, photo, chosen).float()
            results.append(output)
            terms, kept = self.terms(output, photo, chosen)
            for name, value in (*terms.items(), ("kept", kept.mean())):
                sums[name] = sums.get(name, 0.0) + value.item() / len(pairs)
        return sums, torch.cat(results)

    def write_preview(self, results: Tensor, path: Path) -> None:
        """Writes paintings, validation photos and results as one picture."""
        paintings = [painting.rgb for painting in self.paintings]
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
