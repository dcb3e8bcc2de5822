"""Building blocks of the image transformation networks.

All of them map ``(N, C_in, H, W)`` float tensors to ``(N, C_out, H', W')``.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from impasto.networks.nearest_conv import NearestConv
from impasto.networks.spec import Norm, Padding, Upsampling

PaddingMode = Literal["zeros", "reflect", "replicate"]

PADDING_MODES: dict[str, PaddingMode] = {"reflection": "reflect", "replicate": "replicate"}


def padding_mode(padding: Padding) -> PaddingMode:
    """Returns PyTorch's name of the padding used outside the residual blocks."""
    return PADDING_MODES.get(padding, "zeros")


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Returns a normalisation layer with a learned scale and shift per channel."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=True)


class ConvNormReLU(nn.Sequential):
    """Convolution, normalisation, ReLU. Odd kernels keep the size (halve it at stride 2)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        norm: Norm,
        padding: Padding,
    ) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                kernel_size // 2,
                bias=False,  # a constant per channel does not survive the norm
                padding_mode=padding_mode(padding),
            ),
            make_norm(norm, out_channels),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with norms around an identity, no ReLU after the addition.

    With ``reflection_start`` the convolutions are unpadded and the identity is
    centre-cropped by 2 (Johnson et al. 2016, supplement); otherwise the size stays.
    """

    def __init__(self, channels: int, *, norm: Norm, padding: Padding) -> None:
        super().__init__()
        self.crop = 2 if padding == "reflection_start" else 0
        border = 0 if self.crop else 1
        mode = padding_mode(padding)
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=border, bias=False, padding_mode=mode),
            make_norm(norm, channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=border, bias=False, padding_mode=mode),
            make_norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``(N, C, H, W)``, or ``(N, C, H - 4, W - 4)`` when unpadded."""
        c = self.crop
        identity = x[:, :, c:-c, c:-c] if c else x
        result: Tensor = identity + self.body(x)
        return result


class Upsample(nn.Module):
    """Doubles height and width, then norm and ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        upsampling: Upsampling,
        norm: Norm,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.conv: nn.Conv2d | nn.ConvTranspose2d | NearestConv
        if upsampling == "transposed":
            self.conv = nn.ConvTranspose2d(
                in_channels, out_channels, 3, 2, 1, output_padding=1, bias=False
            )
        elif upsampling == "nearest":
            # Mirroring the enlarged map by one pixel repeats its edge.
            zeros = padding_mode(padding) == "zeros"
            self.conv = NearestConv(
                in_channels, out_channels, padding="zeros" if zeros else "replicate"
            )
        else:
            sub_pixels = 4 if upsampling == "subpixel" else 1
            self.conv = nn.Conv2d(
                in_channels,
                out_channels * sub_pixels,
                3,
                padding=1,
                bias=False,
                padding_mode=padding_mode(padding),
            )
            # Sub-pixels that start different print a grid that training hardly removes
            # (Aitken et al. 2017).
            weight = self.conv.weight.data
            weight.copy_(weight[::sub_pixels].repeat_interleave(sub_pixels, dim=0))
        self.norm = make_norm(norm, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C_out, 2H, 2W)``."""
        if self.upsampling == "bilinear":
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
        x = self.conv(x)
        if self.upsampling == "subpixel":
            x = F.pixel_shuffle(x, 2)
        return F.relu(self.norm(x))
