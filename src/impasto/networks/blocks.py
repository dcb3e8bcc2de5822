"""What networks are made of: their base, convolutions, blocks and norms.

The modules map ``(N, C_in, H, W)`` float tensors to ``(N, C_out, H', W')``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.networks.specs import Norm, Padding, Spec, Upsampling

PaddingMode = Literal["zeros", "reflect", "replicate"]

PADDING_MODES: dict[str, PaddingMode] = {"reflection": "reflect", "replicate": "replicate"}

SCALE: Final = 2
"""How much larger a `NearestConv` makes maps."""

EPSILON: Final = 1e-5
"""What a variance is raised by, as in PyTorch's and ONNX's instance norm."""


class Network(nn.Module):
    """A network that is rebuilt from its spec.

    ``forward`` takes ``(N, 3, H, W)`` RGB in [0, 1], and the weights of the parameter sets where
    ``spec.holds_many``. Its last convolution must see even sides, what is too much being cut off
    after it: export computes four pixels of it at once.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec

    def parts(self) -> tuple[nn.Module, nn.Module | None]:
        """Returns what sees a picture as a whole, and the refine network if ``spec.halo_px``."""
        return self, None


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


class NearestConv(nn.Module):
    """A convolution of a map that was enlarged by nearest neighbour, without enlarging it.

    The kernel's taps that fall on copies of the same pixel are summed; what is left is a
    small convolution with four times the outputs, interleaved. Exact, and with a 3x3 kernel it
    takes 2.25 times fewer multiplications. One kernel for all sub-pixels is what keeps flat
    areas flat: they differ at edges only.

    A ``kernel_size`` of 3 sees 2x2 pixels of the small map, 5 sees 3x3. Of the enlarged map's
    paddings, ``replicate`` repeats its edge, as mirroring by 1 does; ``none``, with the larger
    kernel only, makes the result smaller by two enlarged pixels a side.
    """

    sums: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Literal[3, 5] = 3,
        padding: Literal["replicate", "zeros", "none"] = "replicate",
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.padding = padding
        # Starting half a pixel earlier, the smaller kernel never sees three of them.
        self.shift = 1 if kernel_size == 3 else 0
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as PyTorch's convolutions
        if self.bias is not None:
            bound = 1 / math.sqrt(in_channels * kernel_size**2)
            nn.init.uniform_(self.bias, -bound, bound)
        self.register_buffer("sums", _tap_sums(kernel_size, self.shift), persistent=False)

    def small_kernel(self) -> Tensor:
        """Returns the ``(4 C_out, C_in, n, n)`` kernel, ordered for `pixel_shuffle`."""
        kernel = torch.einsum("aik,bjl,ockl->oabcij", self.sums, self.sums, self.weight)
        return kernel.flatten(0, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C_out, 2H, 2W)``, smaller unpadded."""
        if self.padding != "none":
            mode = "constant" if self.padding == "zeros" else "replicate"
            x = F.pad(x, (1, 1, 1, 1), mode=mode)
        bias = None if self.bias is None else self.bias.repeat_interleave(SCALE**2)
        x = F.conv2d(x, self.small_kernel(), bias)
        x = F.pixel_shuffle(x, SCALE)
        if crop := self.shift:
            x = x[:, :, crop:-crop, crop:-crop]
        return x


class BilinearConv(NearestConv):
    """Mixes channels, ``(N, C_in, H, W)`` to ``(N, C_out, 2H, 2W)``, and enlarges smoothly.

    The map is averaged over 2x2 pixels, then enlarged bilinearly: the kernel is (1, 3, 4, 4, 3, 1)
    along each axis. What alternates from pixel to pixel is lost, which a network would otherwise
    print into flat areas, as dots of the small map's pixels.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.weight = nn.Parameter(self.weight.detach().sum(dim=(2, 3)))

    def small_kernel(self) -> Tensor:
        """Returns the ``(4 C_out, C_in, 2, 2)`` kernel, ordered for `pixel_shuffle`."""
        shares = self.sums @ self.sums.new_tensor([0.25, 0.5, 0.25])
        return torch.einsum("ai,bj,oc->oabcij", shares, shares, self.weight).flatten(0, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges a map."""
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2, stride=1)
        return F.pixel_shuffle(F.conv2d(x, self.small_kernel()), SCALE)


def _tap_sums(size: int, shift: int) -> Tensor:
    """Returns ``(2, n, size)``: which taps of a kernel's row fall on which small pixel."""
    first = (-shift - size // 2) // SCALE
    last = (SCALE - 1 - shift + size // 2) // SCALE
    sums = torch.zeros(SCALE, last - first + 1, size)
    for phase in range(SCALE):
        for tap in range(size):
            pixel = (phase - shift + tap - size // 2) // SCALE
            sums[phase, pixel - first, tap] = 1
    return sums


class StyleParameters(nn.Module):
    """The scales and shifts of all norms of a network, one row per parameter set.

    ``channels`` are those of each norm, in the order of use.
    """

    def __init__(self, sets: int, channels: Iterable[int]) -> None:
        super().__init__()
        self.sizes = [size for count in channels for size in (count, count)]
        row = [torch.full((n,), float(i % 2 == 0)) for i, n in enumerate(self.sizes)]
        self.table = nn.Parameter(torch.cat(row).repeat(sets, 1))

    def forward(self, style_weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Mixes parameter sets; yields scale and shift of each norm, ``(C,)`` or ``(N, C)``.

        ``style_weights`` are ``(sets,)`` for one mixture for the whole batch, or ``(N, sets)`` for
        one per picture.
        """
        parts = torch.split(style_weights @ self.table, self.sizes, dim=-1)
        return zip(parts[::2], parts[1::2], strict=True)


def is_style_table(parameter: str) -> bool:
    """Tells by its name whether a parameter of a network is the table of `StyleParameters`."""
    return parameter.endswith("style_parameters.table")


def conditional_instance_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalises ``(N, C, H, W)``, then scales and shifts by ``(C,)`` or ``(N, C)``."""
    if scale.ndim == 1:
        return F.instance_norm(x, weight=scale, bias=shift)
    # On a CPU twenty times as fast as torch.var_mean.
    exact = torch.promote_types(x.dtype, torch.float32)
    mean = x.mean(dim=(2, 3), dtype=exact)
    squares = torch.linalg.vector_norm(x, dim=(2, 3), dtype=exact).square() / x[0, 0].numel()
    variance = (squares - mean.square()).clamp_min(0)
    scale = scale * torch.rsqrt(variance + EPSILON)
    return torch.addcmul((shift - mean * scale)[..., None, None], x, scale[..., None, None])
