"""The loss of the refine network.

A refined picture has the painting's texture at its own size, the edges that the photo shows
there, and, halved, the picture that it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.data.choices import MIDDLE_RATIO, RATIOS
from impasto.data.crops import RefineSample
from impasto.losses import PerceptualLoss
from impasto.losses.functional import feature_reconstruction_loss, gram_matrix, pixel_loss
from impasto.training.octaves import StyleLevel

CONTENT_LAYER: Final = "relu2_2"
DEEPEST_LAYERS: Final = ("relu4_1", "relu4_2", "relu4_3")
"""Left out: what they see is larger than what the refine network paints."""

SIDE_PX: Final = 160
WINDOW_PX: Final = 160
CONTENT_WEIGHT: Final = 0.25
STYLE_SCALE: Final = 8.0
FOLLOW_WEIGHT: Final = 400 / 255**2
"""Of the squared difference from the enlarged draft, both halved, on the 0..255 scale."""

Refine = Callable[[Tensor, Tensor], Tensor]
"""Maps photos and enlarged drafts with their border to refined pictures without."""


class RefineLoss:
    """Compares refined windows with painting, photo and draft.

    Args:
        loss: the perceptual loss.
        levels: one for each of `RATIOS`.
        halo_px: border of the refine network.
    """

    def __init__(self, loss: PerceptualLoss, levels: Sequence[StyleLevel], halo_px: int) -> None:
        self.loss = loss
        self.levels = list(levels)
        self.halo_px = halo_px

    @torch.no_grad()
    def drafts(self, sample: RefineSample, drafts: Tensor, refine: Refine) -> Tensor:
        """Enlarges drafts to the windows of a batch, by two steps where a sample asks for it.

        Args:
            sample: a batch.
            drafts: ``(N, 3, side, side)`` what the draft network made of ``sample.low``.
            refine: the refine network with the styles of the batch.

        Returns:
            ``(N, 3, w, w)``.
        """
        drafts = as_levels(drafts)
        middle = round(drafts.shape[-1] * MIDDLE_RATIO)
        two = sample.place[:, 3] == 2
        refined = drafts
        if two.any():
            border = [self.halo_px, self.halo_px + middle % 2] * 2
            photo, enlarged = (
                F.pad(images, border, mode="reflect")
                for images in (sample.middle, enlarge(drafts, middle))
            )
            refined = as_levels(refine(photo, enlarged)[:, :, :middle, :middle])
        side = sample.window.shape[-1]
        windows = []
        for i, (number, top, left, _) in enumerate(sample.place.tolist()):
            before = (refined if two[i] else drafts)[i : i + 1]
            full = enlarge(before, round(drafts.shape[-1] * RATIOS[number]))
            windows.append(full[:, :, top : top + side, left : left + side])
        return torch.cat(windows)

    def terms(
        self, output: Tensor, sample: RefineSample, drafts: Tensor, sets: Tensor
    ) -> dict[str, Tensor]:
        """Computes the weighted terms of refined windows ``(N, 3, h, w)`` of one style.

        A window need not hold all of a painting's textures: the Gram matrices are compared as a
        mean over the batch.
        """
        photos, drafts = self.inner(sample.window), self.inner(drafts)
        levels = [self.levels[number] for number in sample.place[:, 0].tolist()]
        network, layers = self.loss.loss_network, levels[0].targets.keys()
        target = network(photos, (CONTENT_LAYER,))[CONTENT_LAYER]
        features = network(output, {CONTENT_LAYER, *layers})
        content = feature_reconstruction_loss(features[CONTENT_LAYER], target)
        style = output.new_zeros(())
        for layer in layers:
            chosen = list(zip(levels, sets.tolist(), strict=True))
            targets = torch.stack([level.targets[layer][number] for level, number in chosen])
            weights = torch.stack([level.weights[layer][number] for level, number in chosen])
            difference = (gram_matrix(features[layer]) - targets) * weights.sqrt()[:, None, None]
            style = style + difference.mean(dim=0).square().sum()
        follow = pixel_loss(F.avg_pool2d(output, 2), F.avg_pool2d(drafts, 2))
        return {
            "content": CONTENT_WEIGHT * levels[0].content_weight * content,
            "style": STYLE_SCALE * style,
            "follow": FOLLOW_WEIGHT * follow,
        }

    def inner(self, images: Tensor) -> Tensor:
        """Takes off the border."""
        h = self.halo_px
        return images[:, :, h:-h, h:-h]


def enlarge(images: Tensor, side_px: int) -> Tensor:
    """Enlarges square pictures as the runtime does between steps."""
    return F.interpolate(images, size=(side_px, side_px), mode="bilinear", align_corners=False)


def as_levels(images: Tensor) -> Tensor:
    """Rounds to 8 bits, as pictures are kept between steps."""
    return (images.clamp(0, 1) * 255).round() / 255
