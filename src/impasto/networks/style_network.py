"""The image transformation network of Johnson et al. 2016 and its released variant."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.networks.blocks import ConvNormReLU, Network, ResidualBlock, Upsample, padding_mode
from impasto.networks.specs import NetworkSpec, OutputScaling

MEAN_RGB = (123.68, 116.779, 103.939)
"""Mean colour of ImageNet on the 0..255 scale, subtracted from the input."""


class StyleNetwork(Network):
    """Turns photos into paintings.

    Departures from the paper: convolutions followed by a norm carry no bias (the norm
    would cancel it), and sizes that are no multiple of 4 are cropped at the end, so that
    any input size comes back unchanged.
    """

    spec: NetworkSpec
    mean: Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        w, norm, padding = spec.width, spec.norm, spec.padding
        self.layers = nn.Sequential(
            ConvNormReLU(3, w, 9, norm=norm, padding=padding),
            ConvNormReLU(w, 2 * w, 3, stride=2, norm=norm, padding=padding),
            ConvNormReLU(2 * w, 4 * w, 3, stride=2, norm=norm, padding=padding),
            *(
                ResidualBlock(4 * w, norm=norm, padding=padding)
                for _ in range(spec.residual_blocks)
            ),
            Upsample(4 * w, 2 * w, upsampling=spec.upsampling, norm=norm, padding=padding),
            Upsample(2 * w, w, upsampling=spec.upsampling, norm=norm, padding=padding),
            nn.Conv2d(w, 3, 9, padding=4, padding_mode=padding_mode(padding)),
        )
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Stylises a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB in [0, 1], H and W at least ``spec.min_size_px``.

        Returns:
            ``(N, 3, H, W)`` RGB, in [0, 1] for ``tanh_0_255``; ``tanh_150`` may leave
            that range by a little and is clipped where pixels are written.
        """
        height, width = images.shape[-2:]
        x = images * 255.0 - self.mean
        if border := self.spec.start_padding_px:
            x = F.pad(x, (border, border, border, border), mode="reflect")
        x = scaled_tanh(self.layers(x), self.spec.output, self.mean)
        return x[:, :, :height, :width]


def scaled_tanh(x: Tensor, output: OutputScaling, mean: Tensor) -> Tensor:
    """Turns a last convolution's ``(N, 3, H, W)`` into RGB in [0, 1], or a little beyond.

    ``output`` is that of a `NetworkSpec`, ``mean`` the ``(1, 3, 1, 1)`` mean colour, 0..255.
    """
    # tanh(x) = 2 sigmoid(2 x) - 1, and runtimes are faster at this side of it.
    x = torch.sigmoid(2.0 * x)
    if output == "tanh_0_255":
        return x
    return x * (300.0 / 255.0) + (mean - 150.0) / 255.0
