"""Super-resolution networks: the paper's, and a fast one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.networks.blocks import ConvNormReLU, Network, ResidualBlock, Upsample, padding_mode
from impasto.networks.specs import FastUpscalerSpec, PaperUpscalerSpec, Scale, Skip
from impasto.networks.style_network import MEAN_RGB, scaled_tanh

CUBIC = -0.5
"""The cubic kernel's slope at 1, as Pillow and MATLAB have it; PyTorch's own is -0.75."""


class PaperUpscaler(Network):
    """The super-resolution network of Johnson et al. 2016.

    Departure from the paper: convolutions followed by a norm carry no bias, which the norm
    would cancel.
    """

    spec: PaperUpscalerSpec
    mean: Tensor

    def __init__(self, spec: PaperUpscalerSpec) -> None:
        super().__init__(spec)
        w, norm, padding = spec.width, spec.norm, spec.padding
        stages = round(math.log2(spec.scale))
        self.layers = nn.Sequential(
            ConvNormReLU(3, w, 9, norm=norm, padding=padding),
            *(ResidualBlock(w, norm=norm, padding=padding) for _ in range(spec.residual_blocks)),
            *(
                Upsample(w, w, upsampling=spec.upsampling, norm=norm, padding=padding)
                for _ in range(stages)
            ),
            nn.Conv2d(w, 3, 9, padding=4, padding_mode=padding_mode(padding)),
        )
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Enlarges a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB in [0, 1].

        Returns:
            ``(N, 3, scale H, scale W)`` RGB in [0, 1], or a little beyond for ``tanh_150``.
        """
        return scaled_tanh(self.layers(images * 255.0 - self.mean), self.spec.output, self.mean)


class FastUpscaler(Network):
    """Enlarges pictures with all of its work at the low resolution.

    Without norms, which shift colours and blur a network that need only add detail (Lim et al.
    2017). The enlarged copy of the input is a convolution with fixed weights, so that it is
    added before the sub-pixels are put in place (Shi et al. 2016).
    """

    spec: FastUpscalerSpec
    enlarging: Tensor

    def __init__(self, spec: FastUpscalerSpec) -> None:
        super().__init__(spec)
        width, outputs = spec.width, 3 * spec.scale**2
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.trunk = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in range(2 * spec.residual_blocks)
        )
        self.join = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, outputs, 3, padding=1)
        # Equal sub-pixels leave no grid (Aitken et al. 2017); small ones begin near the copy.
        start = self.tail.weight.data[:: spec.scale**2].repeat_interleave(spec.scale**2, dim=0)
        self.tail.weight.data = 0.1 * start
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        self.register_buffer("enlarging", skip_kernel(spec.scale, spec.skip), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Enlarges a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB in [0, 1].

        Returns:
            ``(N, 3, scale H, scale W)`` RGB, which may leave [0, 1] by a little.
        """
        x = first = F.relu(self.head(images - 0.5))
        for one, two in zip(self.trunk[::2], self.trunk[1::2], strict=True):
            x = x + two(F.relu(one(x)))
        detail = self.tail(F.relu(self.join(x) + first))
        border = self.enlarging.shape[-1] // 2
        edges = F.pad(images, (border, border, border, border), mode="replicate")
        # In bfloat16 the copy alone would be off by a level.
        with torch.autocast(images.device.type, enabled=False):
            copy = F.conv2d(edges, self.enlarging, groups=3)
        return F.pixel_shuffle(detail + copy, self.spec.scale)


def skip_kernel(scale: Scale, skip: Skip) -> Tensor:
    """Returns the convolution that enlarges, ``(3 scale^2, 1, k, k)`` for three groups.

    There is one filter per colour and sub-pixel, in `torch.nn.functional.pixel_shuffle`'s order.
    Pixels are squares whose centres lie at half integers, as in Pillow: sub-pixel ``i`` of
    ``scale`` lies ``(i + 0.5) / scale - 0.5`` from the centre of its pixel.
    """
    if skip == "nearest":
        return torch.ones(3 * scale**2, 1, 1, 1)
    taps = torch.arange(-2, 3).double()
    positions = (torch.arange(scale).double() + 0.5) / scale - 0.5
    weights = _cubic((positions[:, None] - taps).abs())
    planes = torch.einsum("iy,jx->ijyx", weights, weights).flatten(0, 1)
    return planes.repeat(3, 1, 1)[:, None].float()


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel (1981)."""
    a = CUBIC
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
