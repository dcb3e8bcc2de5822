"""The fast style network: most of its work on a small map."""

from __future__ import annotations

from itertools import pairwise, starmap

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.networks.blocks import padding_mode
from impasto.networks.conditional_norm import StyleParameters, conditional_instance_norm
from impasto.networks.nearest_conv import NearestConv
from impasto.networks.spec import FastSpec
from impasto.networks.style_network import MEAN_RGB, scaled_tanh


class FastNetwork(nn.Module):
    """Turns photos into paintings of any mixture of its parameter sets.

    A strided stem goes down to a quarter or an eighth of the size; there lies the trunk of
    residual blocks; then up again by nearest neighbour and convolution, rewritten to run on
    the smaller map. Conditional instance norm follows every convolution but the last.
    """

    mean: Tensor

    def __init__(self, spec: FastSpec) -> None:
        super().__init__()
        self.spec = spec
        width, half = spec.width, spec.half_width
        norms: list[int] = []

        def convolution(c_in: int, c_out: int, size: int, stride: int = 1) -> nn.Conv2d:
            norms.append(c_out)
            mode = padding_mode(spec.padding)
            border = (size - stride + 1) // 2
            return nn.Conv2d(c_in, c_out, size, stride, border, bias=False, padding_mode=mode)

        quarter = width if spec.stride == 4 else 2 * half
        if spec.stem == "one":
            stem = [convolution(3, quarter, 8, 4)]
        else:
            stem = [convolution(3, half, 4, 2), convolution(half, quarter, 4, 2)]
        if spec.stride == 8:
            stem.append(convolution(quarter, width, 4, 2))
        self.stem = nn.ModuleList(stem)
        self.trunk = nn.ModuleList(
            convolution(width, width, 3) for _ in range(2 * spec.residual_blocks)
        )
        widths = [width] if spec.stride == 4 else [width, quarter]
        if spec.ending != "direct":
            widths.append(half)
        if spec.ending == "full":
            widths.append(half // 2)
        norms += widths[1:]
        self.up = nn.ModuleList(starmap(NearestConv, pairwise(widths)))
        self.last: nn.Module
        if spec.ending == "direct":
            self.last = NearestConv(quarter, 3, scale=4, kernel_size=9, bias=True)
        elif spec.ending == "half":
            self.last = NearestConv(half, 3, kernel_size=spec.last_kernel, bias=True)
        elif spec.ending == "full":
            self.last = nn.Conv2d(half // 2, 3, 3, padding=1, padding_mode="replicate")
        else:
            self.last = _subpixel(half)
        self.style_parameters = StyleParameters(spec.parameter_sets, norms)
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor, style_weights: Tensor | None = None) -> Tensor:
        """Stylises a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB in [0, 1], H and W at least ``spec.min_size_px``.
            style_weights: how much of each parameter set: ``(sets,)``, or ``(N, sets)`` for
                one mixture per picture; None takes the first set alone.

        Returns:
            ``(N, 3, H, W)`` RGB, which may leave [0, 1] by a little.
        """
        if style_weights is None:
            style_weights = F.one_hot(
                torch.zeros((), dtype=torch.long, device=images.device), self.spec.parameter_sets
            ).to(images.dtype)
        parameters = self.style_parameters(style_weights)
        height, width = images.shape[-2:]
        stride = self.spec.stride
        x = F.pad(images, (0, -width % stride, 0, -height % stride), mode="reflect")
        for layer in self.stem:
            x = F.relu(conditional_instance_norm(layer(x), *next(parameters)))
        for first, second in zip(self.trunk[::2], self.trunk[1::2], strict=True):
            y = F.relu(conditional_instance_norm(first(x), *next(parameters)))
            x = x + conditional_instance_norm(second(y), *next(parameters))
        for layer in self.up:
            x = F.relu(conditional_instance_norm(layer(x), *next(parameters)))
        x = scaled_tanh(self.last(x), "tanh_150", self.mean)
        return x[:, :, :height, :width]


def _subpixel(channels: int) -> nn.Module:
    """A subpixel convolution to RGB whose sub-pixels start equal (Aitken et al. 2017)."""
    conv = nn.Conv2d(channels, 12, 3, padding=1, padding_mode="replicate")
    for parameter in conv.parameters():
        parameter.data = parameter.data[::4].repeat_interleave(4, dim=0)
    return nn.Sequential(conv, nn.PixelShuffle(2))
