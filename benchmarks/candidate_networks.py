"""Networks that were tried beside the draft network, with conditional instance norm alike.

Each is built from a number of parameter sets and called with ``(N, 3, H, W)`` photos in [0, 1] and
``(N, sets)`` weights of those sets.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.networks import DraftRefineSpec
from impasto.networks.conditional_norm import StyleParameters, conditional_instance_norm
from impasto.networks.draft_refine import DraftNetwork
from impasto.networks.nearest_conv import NearestConv


class TrunkNetwork(nn.Module):
    """A stem that halves the size twice, residual blocks at a quarter, and up again.

    Args:
        sets: parameter sets.
        stem: channels, kernel size and stride of each convolution of the stem.
        dilations: of the first convolution of each residual block.
        up: channels of each stage that doubles the size.
        last_kernel: of the last convolution.
    """

    def __init__(
        self,
        sets: int,
        *,
        stem: tuple[tuple[int, int, int], ...],
        dilations: tuple[int, ...],
        up: tuple[int, ...],
        last_kernel: int,
    ) -> None:
        super().__init__()
        norms: list[int] = []

        def convolution(
            c_in: int, c_out: int, size: int, stride: int = 1, dilation: int = 1
        ) -> nn.Conv2d:
            norms.append(c_out)
            border = (size - stride + 1) // 2 * dilation
            return nn.Conv2d(
                c_in, c_out, size, stride, border, dilation, bias=False, padding_mode="reflect"
            )

        stages, channels = [], 3
        for c_out, size, stride in stem:
            stages.append(convolution(channels, c_out, size, stride))
            channels = c_out
        self.stem = nn.ModuleList(stages)
        self.trunk = nn.ModuleList(
            convolution(channels, channels, 3, dilation=d) for one in dilations for d in (one, 1)
        )
        endings = []
        for c_out in up:
            norms.append(c_out)
            endings.append(NearestConv(channels, c_out))
            channels = c_out
        self.up = nn.ModuleList(endings)
        self.last = nn.Conv2d(
            channels, 3, last_kernel, padding=last_kernel // 2, padding_mode="reflect"
        )
        self.style_parameters = StyleParameters(sets, norms)

    def forward(self, images: Tensor, style_weights: Tensor) -> Tensor:
        """Paints ``(N, 3, H, W)`` photos."""
        parameters = self.style_parameters(style_weights)
        height, width = images.shape[-2:]
        x = F.pad(images * 2 - 1, (0, -width % 4, 0, -height % 4), mode="reflect")
        for layer in self.stem:
            x = F.relu(conditional_instance_norm(layer(x), *next(parameters)))
        for first, second in zip(self.trunk[::2], self.trunk[1::2], strict=True):
            y = F.relu(conditional_instance_norm(first(x), *next(parameters)))
            x = x + conditional_instance_norm(second(y), *next(parameters))
        for layer in self.up:
            x = F.relu(conditional_instance_norm(layer(x), *next(parameters)))
        return (torch.sigmoid(self.last(x)) * 1.2 - 0.1)[:, :, :height, :width]


CANDIDATES: dict[str, Callable[[int], nn.Module]] = {
    "1/8 with skip": lambda sets: DraftNetwork(DraftRefineSpec(parameter_sets=sets)),
    "1/4 dilated": lambda sets: TrunkNetwork(
        sets,
        stem=((32, 6, 2), (64, 4, 2)),
        dilations=(1, 2, 4, 2, 1),
        up=(32, 16),
        last_kernel=5,
    ),
    "half-width": lambda sets: TrunkNetwork(
        sets,
        stem=((16, 9, 1), (32, 4, 2), (64, 4, 2)),
        dilations=(1, 1, 1, 1, 1),
        up=(32, 16),
        last_kernel=9,
    ),
    "48 x3": lambda sets: TrunkNetwork(
        sets, stem=((48, 8, 4),), dilations=(1, 1, 1), up=(24, 12), last_kernel=3
    ),
}
"""The candidates of `architectures.py`; the last one is the gallery's of November 2026."""
