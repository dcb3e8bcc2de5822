"""The descriptions from which super-resolution networks are rebuilt."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from impasto.errors import UsageError
from impasto.networks.spec import (
    Norm,
    OutputScaling,
    Padding,
    Spec,
    Upsampling,
    check_whole,
    check_words,
)

if TYPE_CHECKING:
    from impasto.networks.upscaler import FastUpscaler, PaperUpscaler

Scale = Literal[4, 8]
Skip = Literal["bicubic", "nearest"]

SCALES: Final = (4, 8)


@dataclass(frozen=True, kw_only=True)
class UpscalerSpec(Spec):
    """Settings of a network that enlarges.

    Attributes:
        scale: output size divided by input size.
    """

    scale: Scale = 4

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a field is out of its range; the message names it.
        """
        if self.scale not in SCALES:
            allowed = " and ".join(map(str, SCALES))
            raise UsageError(f"scale is {self.scale!r}; allowed are {allowed}")

    @property
    @abstractmethod
    def receptive_radius_px(self) -> int | None:
        """Distance in input pixels beyond which nothing changes an output pixel.

        None for a network that sees the whole picture.
        """


@dataclass(frozen=True, kw_only=True)
class PaperUpscalerSpec(UpscalerSpec):
    """Settings of the paper's network `c9s1-w, Rw x blocks, uw x log2(scale), c9s1-3`.

    Johnson et al. 2016, section 3.1 and supplement: all but the last stages work at the low
    resolution, and nothing of the input goes around them. The paper prints no padding; its
    figures of sizes need one, and zeros are the convolution's own.

    Attributes:
        scale: output size divided by input size.
        width: channels of every layer.
        residual_blocks: number of residual blocks.
        norm: normalisation after every convolution but the last.
        upsampling: as in `NetworkSpec`.
        padding: as in `NetworkSpec`, without ``reflection_start``.
        output: as in `NetworkSpec`.
    """

    architecture: ClassVar[str] = "johnson_upscaler"

    width: int = 64
    residual_blocks: int = 4
    norm: Norm = "batch"
    upsampling: Upsampling = "transposed"
    padding: Padding = "zero"
    output: OutputScaling = "tanh_0_255"

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a field is out of its range; the message names it.
        """
        super().__post_init__()
        check_whole(self, ("width", "residual_blocks"))
        check_words(self, ("norm", "upsampling", "padding", "output"))
        if self.padding == "reflection_start":
            raise UsageError("padding is 'reflection_start'; this network pads every convolution")

    @property
    def min_size_px(self) -> int:
        """Smallest height and width: a mirrored border must be smaller than the picture."""
        return 5 if self.padding == "reflection" else 2

    @property
    def receptive_radius_px(self) -> int | None:
        """Distance in input pixels beyond which nothing changes an output pixel.

        None for instance norm, which sees the whole picture.
        """
        if self.norm == "instance":
            return None
        # A stage that doubles sees one pixel of its input around, and one more by rounding.
        upsampling = sum(2.0 ** (1 - stage) for stage in range(round(math.log2(self.scale))))
        return math.ceil(4 + 2 * self.residual_blocks + upsampling + 4 / self.scale)

    def build(self) -> PaperUpscaler:
        """Builds a `PaperUpscaler`, with fresh weights from torch's generator."""
        from impasto.networks.upscaler import PaperUpscaler

        return PaperUpscaler(self)


@dataclass(frozen=True, kw_only=True)
class FastUpscalerSpec(UpscalerSpec):
    """Settings of a fast super-resolution network.

    A trunk of residual blocks without norms at the low resolution, one sub-pixel convolution
    to the high one, and an enlarged copy of the input to which all of it is added.

    Attributes:
        scale: output size divided by input size.
        width: channels of the trunk.
        residual_blocks: number of residual blocks.
        skip: how the copy of the input is enlarged.
    """

    architecture: ClassVar[str] = "fast_upscaler"

    width: int = 48
    residual_blocks: int = 8
    skip: Skip = "bicubic"

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a field is out of its range; the message names it.
        """
        super().__post_init__()
        check_whole(self, ("width", "residual_blocks"))
        check_words(self, ("skip",))

    @property
    def min_size_px(self) -> int:
        """Smallest height and width."""
        return 1

    @property
    def receptive_radius_px(self) -> int:
        """Distance in input pixels beyond which nothing changes an output pixel."""
        return 3 + 2 * self.residual_blocks

    def build(self) -> FastUpscaler:
        """Builds a `FastUpscaler`, with fresh weights from torch's generator."""
        from impasto.networks.upscaler import FastUpscaler

        return FastUpscaler(self)
