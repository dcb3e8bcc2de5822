"""Draft and refine: a network with a wide view paints small, a local one adds the detail.

The draft network paints the whole picture at its working size, a few hundred pixels, so that
strokes have one size in the picture however large that is. The refine network takes the draft
one step up, enlarged at most twice, together with the photo at that size; the same weights serve
every step. It has no global statistics and no padding, so that tiles are exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.networks.blocks import (
    BilinearConv,
    NearestConv,
    Network,
    StyleParameters,
    conditional_instance_norm,
)
from impasto.networks.specs import DraftRefineSpec

Parameters = Iterator[tuple[Tensor, Tensor]]


class DraftRefineNetwork(Network):
    """A draft and a refine network that share their styles."""

    spec: DraftRefineSpec

    def __init__(self, spec: DraftRefineSpec) -> None:
        super().__init__(spec)
        self.draft = DraftNetwork(spec)
        self.refine = RefineNetwork(spec)

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """Returns the draft and the refine network."""
        return self.draft, self.refine

    def forward(
        self, images: Tensor, style_weights: Tensor, drafts: Tensor | None = None
    ) -> Tensor:
        """Paints drafts, or refines them where there are some.

        Args:
            images: ``(N, 3, H, W)`` photos, as for the network that is meant.
            style_weights: as for `DraftNetwork.forward`.
            drafts: as for `RefineNetwork.forward`.
        """
        if drafts is None:
            painted: Tensor = self.draft(images, style_weights)
            return painted
        refined: Tensor = self.refine(images, drafts, style_weights)
        return refined


class DraftNetwork(nn.Module):
    """Paints a picture whose longer side is the working size.

    The trunk of residual blocks lies at an eighth of the height and width. Around it, at a
    quarter, a connection and two blocks keep the photo's edges, which the trunk would lose.
    Conditional instance norm follows every convolution but the last.
    """

    def __init__(self, spec: DraftRefineSpec) -> None:
        super().__init__()
        half, quarter, width = spec.half_width, spec.quarter_width, spec.width
        norms: list[int] = []

        def convolution(c_in: int, c_out: int, size: int = 3, *, stride: int = 1) -> nn.Conv2d:
            norms.append(c_out)
            border = (size - stride + 1) // 2
            return nn.Conv2d(c_in, c_out, size, stride, border, bias=False, padding_mode="reflect")

        def blocks(channels: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(convolution(channels, channels) for _ in range(2 * count))

        self.stem = nn.ModuleList(
            [convolution(3, half, 6, stride=2), convolution(half, quarter, 4, stride=2)]
        )
        self.down = convolution(quarter, width, 4, stride=2)
        self.trunk = blocks(width, spec.blocks)
        self.up = BilinearConv(width, quarter)
        norms.append(quarter)
        self.after = blocks(quarter, spec.quarter_blocks)
        self.ending = NearestConv(quarter, half)
        norms.append(half)
        self.last = NearestConv(half, 3, kernel_size=5, bias=True)
        self.style_parameters = StyleParameters(spec.parameter_sets, norms)

    def forward(self, images: Tensor, style_weights: Tensor) -> Tensor:
        """Paints a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB in [0, 1], H and W at least ``spec.min_size_px``.
            style_weights: how much of each parameter set: ``(sets,)``, or ``(N, sets)`` for
                one mixture per picture.

        Returns:
            ``(N, 3, H, W)`` RGB, which may leave [0, 1] by up to a tenth.
        """
        parameters = self.style_parameters(style_weights)
        height, width = images.shape[-2:]
        x = F.pad(images * 2 - 1, (0, -width % 8, 0, -height % 8), mode="reflect")
        for layer in self.stem:
            x = F.relu(conditional_instance_norm(layer(x), *next(parameters)))
        fine = x
        x = F.relu(conditional_instance_norm(self.down(x), *next(parameters)))
        x = _blocks(self.trunk, x, parameters)
        x = fine + conditional_instance_norm(self.up(x), *next(parameters))
        x = _blocks(self.after, x, parameters)
        x = F.relu(conditional_instance_norm(self.ending(x), *next(parameters)))
        x = torch.sigmoid(self.last(x)) * 1.2 - 0.1
        return x[:, :, :height, :width]


class RefineNetwork(nn.Module):
    """Adds to an enlarged draft what the larger photo shows, painted.

    Each convolution but the last is scaled and shifted per style and channel, without a norm.
    All of them are unpadded: the input has a border of ``spec.halo_px`` more than the output.
    """

    def __init__(self, spec: DraftRefineSpec) -> None:
        super().__init__()
        width = spec.refine_width
        self.halo_px = spec.halo_px
        self.stem = nn.Conv2d(6, width, 6, 2, bias=False)
        self.trunk = nn.ModuleList(
            nn.Conv2d(width, width, 3, bias=False) for _ in range(2 * spec.refine_blocks)
        )
        self.last = NearestConv(width, 3, kernel_size=5, padding="none", bias=True)
        self.last.weight.data *= 0.1  # begins near the draft
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.style_parameters = StyleParameters(
            spec.parameter_sets, [width] * (1 + 2 * spec.refine_blocks)
        )

    def forward(self, photos: Tensor, drafts: Tensor, style_weights: Tensor) -> Tensor:
        """Refines a batch.

        Args:
            photos: ``(N, 3, H + 2 halo, W + 2 halo)`` RGB in [0, 1], H and W even.
            drafts: the same shape: the draft, or what the step before made of it, enlarged.
            style_weights: as for `DraftNetwork.forward`.

        Returns:
            ``(N, 3, H, W)`` RGB, which may leave [0, 1] by a little.
        """
        parameters = self.style_parameters(style_weights)
        x = F.relu(_modulated(self.stem(torch.cat([photos, drafts], 1) * 2 - 1), *next(parameters)))
        for first, second in zip(self.trunk[::2], self.trunk[1::2], strict=True):
            y = F.relu(_modulated(first(x), *next(parameters)))
            x = x[:, :, 2:-2, 2:-2] + _modulated(second(y), *next(parameters))
        h = self.halo_px
        result: Tensor = drafts[:, :, h:-h, h:-h] + self.last(x)
        return result


def _blocks(layers: nn.ModuleList, x: Tensor, parameters: Parameters) -> Tensor:
    """Residual blocks of two convolutions each, without a ReLU after the addition."""
    for first, second in zip(layers[::2], layers[1::2], strict=True):
        y = F.relu(conditional_instance_norm(first(x), *next(parameters)))
        x = x + conditional_instance_norm(second(y), *next(parameters))
    return x


def _modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.addcmul(shift[..., None, None], x, scale[..., None, None])
