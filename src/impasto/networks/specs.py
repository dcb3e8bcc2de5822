"""The descriptions from which networks are rebuilt, and the names of those that there are."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Literal,
    Self,
    get_args,
    get_type_hints,
)

from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.networks.blocks import Network
    from impasto.networks.draft_refine import DraftRefineNetwork
    from impasto.networks.style_network import StyleNetwork
    from impasto.networks.upscaler import FastUpscaler, PaperUpscaler

Norm = Literal["batch", "instance"]
Upsampling = Literal["nearest", "bilinear", "subpixel", "transposed"]
Padding = Literal["reflection_start", "reflection", "replicate", "zero"]
OutputScaling = Literal["tanh_0_255", "tanh_150"]
Scale = Literal[4, 8]
Skip = Literal["bicubic", "nearest"]


@dataclass(frozen=True, kw_only=True)
class Spec(ABC):
    """Settings of a network, and all that others ask about it.

    A new network is a subclass of `StyleSpec` or `UpscalerSpec`, the `Network` that it builds, and
    a line in `NETWORKS` or `UPSCALERS`. Whole numbers lie between 1 and 1024.

    Attributes:
        architecture: what files call the network.
        holds_many: whether it mixes parameter sets, which are then a field, and holds many styles.
    """

    architecture: ClassVar[str]
    holds_many: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a field is out of its range; the message names it.
        """
        hints = get_type_hints(type(self))
        for name in (item.name for item in fields(self)):
            value, words = getattr(self, name), get_args(hints[name])
            if words and value not in words:
                allowed = (" and " if name == "scale" else ", ").join(map(str, words))
                raise UsageError(f"{name} is {value!r}; allowed are {allowed}")
            if hints[name] is int and not (isinstance(value, int) and 1 <= value <= 1024):
                raise UsageError(f"{name} is {value!r}; allowed are whole numbers from 1 to 1024")

    @abstractmethod
    def build(self) -> Network:
        """Builds the network, with fresh weights from torch's generator."""

    @property
    @abstractmethod
    def min_size_px(self) -> int:
        """Smallest height and width that the network accepts."""

    @property
    def parameter_sets(self) -> int:
        """Sets of scales and shifts: the styles, and the identity."""
        return 1

    @property
    def halo_px(self) -> int | None:
        """Border that its refine network takes off the input on every side; None without one."""
        return None

    def with_parameter_sets(self, sets: int) -> Self:
        """Returns the spec with as many parameter sets, or as it is where it holds one style."""
        changed: dict[str, Any] = {"parameter_sets": sets}
        return replace(self, **changed) if self.holds_many else self

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON-ready values, with the architecture's name."""
        return {"architecture": self.architecture, **asdict(self)}


class StyleSpec(Spec):
    """Settings of a network that paints."""


@dataclass(frozen=True, kw_only=True)
class NetworkSpec(StyleSpec):
    """Settings of a style network `c9s1-w, d2w, d4w, R4w x blocks, u2w, uw, c9s1-3`.

    The layout is that of Johnson et al. 2016, section 3.1 and supplement; every
    difference between the paper's network and the released one is a field.

    Attributes:
        width: channels of the first layer; the trunk has four times as many. The
            paper uses 32, the released instance-norm models 16.
        residual_blocks: number of residual blocks in the trunk.
        norm: normalisation after every convolution but the last.
        upsampling: how the two last stages double the size: ``nearest`` neighbour or
            ``bilinear`` and a convolution, a ``subpixel`` convolution whose sub-pixels
            start equal, or a learned ``transposed`` convolution.
        padding: ``reflection_start`` mirrors the picture once at the input, leaves the
            residual blocks unpadded and pads the other convolutions with zeros, as the
            paper does; the others pad at every convolution.
        output: ``tanh_0_255`` scales tanh to [0, 255]; ``tanh_150`` is 150 tanh around
            the loss network's mean colour, as in the released code.
    """

    architecture: ClassVar[str] = "johnson"

    width: int = 16
    residual_blocks: int = 5
    norm: Norm = "instance"
    upsampling: Upsampling = "nearest"
    padding: Padding = "reflection"
    output: OutputScaling = "tanh_150"

    @property
    def start_padding_px(self) -> int:
        """Mirrored border at the input: what the unpadded residual blocks eat, 8 px each."""
        return 8 * self.residual_blocks if self.padding == "reflection_start" else 0

    @property
    def min_size_px(self) -> int:
        """Smallest height and width that the network accepts.

        A mirrored border must be smaller than the picture: 40 px at the start of the paper's
        network, 4 px before a 9x9 convolution otherwise. Instance norm needs more than one
        position in the trunk, which has a quarter of the height and width.
        """
        if self.padding == "reflection_start":
            return self.start_padding_px + 1
        return 5 if self.padding == "reflection" or self.norm == "instance" else 1

    def build(self) -> StyleNetwork:
        """Builds a `StyleNetwork`, with fresh weights from torch's generator."""
        from impasto.networks.style_network import StyleNetwork

        return StyleNetwork(self)


@dataclass(frozen=True, kw_only=True)
class DraftRefineSpec(StyleSpec):
    """Settings of a network that paints a small draft and refines it octave by octave.

    Attributes:
        half_width: channels of the draft network at half the height and width of the draft.
        quarter_width: channels at a quarter.
        width: channels of the trunk, at an eighth.
        blocks: residual blocks of the trunk.
        quarter_blocks: residual blocks at a quarter, after the trunk.
        refine_width: channels of the refine network, at half the height and width.
        refine_blocks: residual blocks of the refine network.
        parameter_sets: sets of scales and shifts: the styles, and the identity.
    """

    architecture: ClassVar[str] = "draft_refine"
    holds_many: ClassVar[bool] = True

    half_width: int = 32
    quarter_width: int = 64
    width: int = 128
    blocks: int = 3
    quarter_blocks: int = 2
    refine_width: int = 24
    refine_blocks: int = 1
    parameter_sets: int = 1

    @property
    def min_size_px(self) -> int:
        """Smallest height and width of a draft: mirrored borders must be smaller than the map."""
        return 16

    @property
    def halo_px(self) -> int:
        """Border that the refine network takes off its input on every side."""
        return 4 + 4 * self.refine_blocks

    def build(self) -> DraftRefineNetwork:
        """Builds a `DraftRefineNetwork`, with fresh weights from torch's generator."""
        from impasto.networks.draft_refine import DraftRefineNetwork

        return DraftRefineNetwork(self)


@dataclass(frozen=True, kw_only=True)
class UpscalerSpec(Spec):
    """Settings of a network that enlarges.

    Attributes:
        scale: output size divided by input size.
    """

    scale: Scale = 4

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


PAPER = NetworkSpec(
    width=32,
    norm="batch",
    upsampling="transposed",
    padding="reflection_start",
    output="tanh_0_255",
)
"""The network of the paper."""

RELEASED = NetworkSpec(upsampling="transposed", padding="reflection_start")
"""The half-width instance-norm network of jcjohnson/fast-neural-style."""

SHIPPED = NetworkSpec()
"""The released network with border-safe padding and upsampling that leaves no grid."""

NETWORKS: Final[dict[str, StyleSpec]] = {
    "paper": PAPER,
    "released": RELEASED,
    "shipped": SHIPPED,
    "draft_refine": DraftRefineSpec(),
}
"""The networks by name, as ``impasto train --network`` takes them."""

UPSCALERS: Final[dict[str, UpscalerSpec]] = {
    "fast": FastUpscalerSpec(),
    "paper": PaperUpscalerSpec(),
}
"""The super-resolution networks by name, as ``impasto train-upscaler --network`` takes them."""

MANY_STYLES: Final = next(name for name, spec in NETWORKS.items() if spec.holds_many)
"""The network to name for many styles."""

ARCHITECTURES: Final[dict[str, type[Spec]]] = {
    spec.architecture: type(spec) for spec in (*NETWORKS.values(), *UPSCALERS.values())
}


def spec_from_dict(values: dict[str, Any]) -> Spec:
    """Rebuilds a spec from its ``to_dict``.

    Raises:
        UsageError: the architecture, a name or a value is not known to this version.
    """
    values = dict(values)
    architecture = values.pop("architecture", "johnson")
    if architecture not in ARCHITECTURES:
        raise UsageError(f"network architecture {architecture!r} is not known to this version")
    chosen = ARCHITECTURES[architecture]
    unknown = sorted(set(values) - {field.name for field in fields(chosen)})
    if unknown:
        raise UsageError(f"network settings {', '.join(unknown)} are not known to this version")
    return chosen(**values)
