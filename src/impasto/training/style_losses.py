"""The losses of a style run: of drafts at several sizes, of refined pictures, of stability.

One size is not enough for a draft: fine hatching alone satisfies a style loss at full size. Each
octave halves result, photo and painting, so that strokes of every size count alike. At full size,
where most of the time would go, only a part of each crop is compared, another one at every step.

A refined picture has the painting's texture at its own size, the edges that the photo shows
there, and, halved, the picture that it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.data.choices import MIDDLE_RATIO, RATIOS
from impasto.data.crops import RefineSample
from impasto.losses import LossNetwork, PerceptualLoss
from impasto.losses.balancing import References, balanced_weights, measure_references
from impasto.losses.functional import feature_reconstruction_loss, gram_matrix, pixel_loss

REFINE_CONTENT_LAYER: Final = "relu2_2"
DEEPEST_LAYERS: Final = ("relu4_1", "relu4_2", "relu4_3")
"""Left out of refining: what they see is larger than what the refine network paints."""

SIDE_PX: Final = 160
WINDOW_PX: Final = 160
CONTENT_WEIGHT: Final = 0.25
STYLE_SCALE: Final = 8.0
FOLLOW_WEIGHT: Final = 400 / 255**2
"""Of the squared difference from the enlarged draft, both halved, on the 0..255 scale."""

LARGEST_SHIFT_PX: Final = 8
NOISE: Final = 4 / 255
"""Standard deviation of the noise of a stability loss, that of an indoor photo."""
MARGIN_PX: Final = 8
"""Border that a stability loss leaves out: there the two see different surroundings."""

Refine = Callable[[Tensor, Tensor], Tensor]
"""Maps photos and enlarged drafts with their border to refined pictures without."""


class StyleLevel(NamedTuple):
    """What results of one size are compared with.

    Attributes:
        targets: ``(sets, C, C)`` Gram matrices of the paintings by layer.
        weights: ``(sets,)`` weights of the style loss by layer.
        content_weight: weight of the content loss.
        references: what the weights were balanced by; None for weights that were given.
        usual: ``(sets,)`` of these, the style loss of untouched photos by layer.
    """

    targets: dict[str, Tensor]
    weights: dict[str, Tensor]
    content_weight: float
    references: References | None = None
    usual: dict[str, Tensor] | None = None


def measured_together(
    loss_network: LossNetwork,
    targets: Sequence[Mapping[str, Tensor]],
    photos: list[Tensor],
    content_layer: str,
) -> list[References]:
    """Measures the references of several levels on the same photos in one pass.

    The levels have targets ``(sets, C, C)`` by layer, the photos ``(3, H, W)`` their common size.
    """
    found = measure_references(loss_network, photos, stacked(targets), content_layer)
    sets = len(next(iter(targets[0].values())))
    return [
        References(
            found.content,
            {layer: values[first : first + sets] for layer, values in found.style.items()},
        )
        for first in range(0, sets * len(targets), sets)
    ]


def balanced_level(
    targets: dict[str, Tensor], references: References, *, content_weight: float = 1.0
) -> StyleLevel:
    """Weighs the losses so that an untouched photo has a content loss and a style loss of 1.

    ``content_weight`` takes the place of the first 1.
    """
    some = next(iter(targets.values()))
    content, given = balanced_weights(references, [1.0] * len(some))
    weights, usual = (
        {layer: torch.tensor(values, device=some.device) for layer, values in by_layer.items()}
        for by_layer in (given, references.style)
    )
    return StyleLevel(targets, weights, content_weight * content, references, usual)


def with_identity(level: StyleLevel) -> StyleLevel:
    """Adds a set of style weight zero, whatever its target."""
    return level._replace(
        targets={layer: F.pad(gram, (0, 0, 0, 0, 0, 1)) for layer, gram in level.targets.items()},
        weights={layer: F.pad(weight, (0, 1)) for layer, weight in level.weights.items()},
        usual=level.usual
        and {layer: F.pad(value, (0, 1), value=1.0) for layer, value in level.usual.items()},
    )


@dataclass
class OctaveLoss:
    """Content and style at one size or several.

    Attributes:
        loss: the perceptual loss.
        levels: one per octave, the full size first.
        window_px: side of what is compared at full size; None is all.
        seed: what the places of the windows follow from, with the number of the batch.
    """

    loss: PerceptualLoss
    levels: list[StyleLevel]
    window_px: int | None
    seed: int

    def __call__(
        self, output: Tensor, images: Tensor, sets: Tensor, scales: Tensor, number: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compares a batch.

        Args:
            output: ``(N, 3, H, W)`` RGB in [0, 1].
            images: ``(N, 3, H, W)`` RGB in [0, 1], the photos.
            sets: ``(N,)`` parameter sets of the batch.
            scales: ``(N,)`` strengths of its styles.
            number: of the batch's first sample; None compares whole pictures.

        Returns:
            Weighted content and style, scalars, and ``(N,)`` how much of each photo is kept.
        """
        content = style = output.new_zeros(())
        kept = output.new_zeros(len(output))
        for octave, level in enumerate(self.levels):
            found = self.loss.compare(
                self._view(output, octave, number),
                self._view(images, octave, number),
                {layer: gram[sets] for layer, gram in level.targets.items()},
                {layer: weight[sets] * scales for layer, weight in level.weights.items()},
                content_weight=level.content_weight,
                references=level.usual
                and {layer: value[sets] for layer, value in level.usual.items()},
            )
            content, style = content + found.content, style + found.style
            kept = kept + found.kept / len(self.levels)
        return content, style, kept

    def _view(self, images: Tensor, octave: int, number: int | None) -> Tensor:
        if octave:
            return halved(images, octave)
        if self.window_px is None or number is None:
            return images
        rng = np.random.default_rng([self.seed, number, 4])
        side = self.window_px
        top, left = (int(rng.integers(0, max(1, size - side + 1))) for size in images.shape[2:])
        return images[:, :, top : top + side, left : left + side]


def halved(images: Tensor, octave: int) -> Tensor:
    """Means of squares of ``2^octave`` pixels."""
    return F.avg_pool2d(images, 2**octave) if octave else images


def stacked(grams: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Joins Gram matrices, ``(N, C, C)`` each, by layer."""
    return {layer: torch.cat([gram[layer] for gram in grams]) for layer in grams[0]}


@dataclass
class RefineLoss:
    """Compares refined windows with painting, photo and draft.

    Attributes:
        loss: the perceptual loss.
        levels: one for each of `RATIOS`.
        halo_px: border of the refine network.
    """

    loss: PerceptualLoss
    levels: list[StyleLevel]
    halo_px: int

    @torch.no_grad()
    def drafts(self, sample: RefineSample, drafts: Tensor, refine: Refine) -> Tensor:
        """Enlarges drafts to the windows of a batch, by two steps where a sample asks for it.

        Args:
            sample: a batch.
            drafts: ``(N, 3, side, side)`` what the draft network made of ``sample.low``.
            refine: the refine network with the styles of the batch.
        """
        drafts = _as_levels(drafts)
        middle = round(drafts.shape[-1] * MIDDLE_RATIO)
        two = sample.place[:, 3] == 2
        refined = drafts
        if two.any():
            border = [self.halo_px, self.halo_px + middle % 2] * 2
            photo, enlarged = (
                F.pad(images, border, mode="reflect")
                for images in (sample.middle, _enlarged(drafts, middle))
            )
            refined = _as_levels(refine(photo, enlarged)[:, :, :middle, :middle])
        side = sample.window.shape[-1]
        windows = []
        for i, (number, top, left, _) in enumerate(sample.place.tolist()):
            before = (refined if two[i] else drafts)[i : i + 1]
            full = _enlarged(before, round(drafts.shape[-1] * RATIOS[number]))
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
        target = network(photos, (REFINE_CONTENT_LAYER,))[REFINE_CONTENT_LAYER]
        features = network(output, {REFINE_CONTENT_LAYER, *layers})
        content = feature_reconstruction_loss(features[REFINE_CONTENT_LAYER], target)
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


def _enlarged(images: Tensor, side_px: int) -> Tensor:
    """Enlarges square pictures as the runtime does between steps."""
    return F.interpolate(images, size=(side_px, side_px), mode="bilinear", align_corners=False)


def _as_levels(images: Tensor) -> Tensor:
    """Rounds to 8 bits, as pictures are kept between steps."""
    return (images.clamp(0, 1) * 255).round() / 255


def temporal_loss(
    paint: Callable[[Tensor], Tensor], images: Tensor, output: Tensor, *, seed: int, number: int
) -> Tensor:
    """Compares the painting of a moved, noisy photo with the moved painting.

    Not in Johnson et al. 2016, whose networks flicker on video. The synthetic motion is a shift by
    whole pixels, which needs no interpolation that would reward soft results; a shift that is no
    multiple of the network's stride is what its results depend on most.

    Args:
        paint: the network with the styles of the batch.
        images: ``(N, 3, H, W)`` photos, RGB in [0, 1], more than 32 px on each side.
        output: what ``paint`` made of them.
        seed: of the run.
        number: of the batch's first sample; motion and noise are a pure function of both.
    """
    rng = np.random.default_rng([seed, number, 3])
    rows, columns = (int(n) for n in rng.integers(-LARGEST_SHIFT_PX, LARGEST_SHIFT_PX + 1, 2))
    window = (..., _overlap(rows), _overlap(columns))
    noise = torch.from_numpy(rng.standard_normal(images[window].shape, np.float32)) * NOISE
    moved = paint((images[window] + noise.to(images.device)).clamp(0, 1))
    inner = (..., slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    return pixel_loss(moved[inner], output[window][inner])


def _overlap(shift: int) -> slice:
    """The part of a side that is still seen after a shift."""
    return slice(shift, None) if shift >= 0 else slice(None, shift)
