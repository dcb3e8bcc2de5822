"""The descriptions from which networks are rebuilt; that of Johnson et al. 2016."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args, get_type_hints

from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.networks.network import Network
    from impasto.networks.style_network import StyleNetwork

Norm = Literal["batch", "instance"]
Upsampling = Literal["nearest", "bilinear", "subpixel", "transposed"]
Padding = Literal["reflection_start", "reflection", "replicate", "zero"]
OutputScaling = Literal["tanh_0_255", "tanh_150"]


@dataclass(frozen=True, kw_only=True)
class Spec(ABC):
    """Settings of a network, and all that others ask about it.

    A new network is a subclass of `StyleSpec` or `UpscalerSpec`, the `Network` that it builds, and
    a line in ``registry.py``.

    Attributes:
        architecture: what files call the network.
        holds_many: whether it mixes parameter sets, which are then a field, and holds many styles.
    """

    architecture: ClassVar[str]
    holds_many: ClassVar[bool] = False

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
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"architecture": self.architecture, **values}


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

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a field is out of its range; the message names it.
        """
        check_whole(self, ("width", "residual_blocks"))
        check_words(self, ("norm", "upsampling", "padding", "output"))

    @property
    def start_padding_px(self) -> int:
        """Mirrored border at the input: what the unpadded residual blocks eat, 8 px each."""
        return 8 * self.residual_blocks if self.padding == "reflection_start" else 0

    @property
    def min_size_px(self) -> int:
        """Smallest height and width the network accepts.

        A mirrored border must be smaller than the picture: 40 px at the start for the
        paper's network, 4 px before a 9x9 convolution otherwise. Instance norm needs more
        than one position in the trunk, which has a quarter of the height and width.
        """
        if self.padding == "reflection_start":
            return self.start_padding_px + 1
        return 5 if self.padding == "reflection" or self.norm == "instance" else 1

    def build(self) -> StyleNetwork:
        """Builds a `StyleNetwork`, with fresh weights from torch's generator."""
        from impasto.networks.style_network import StyleNetwork

        return StyleNetwork(self)


def check_whole(spec: object, names: tuple[str, ...]) -> None:
    """Refuses fields of a spec that are no whole numbers from 1 to 1024.

    Raises:
        UsageError: the message names the field.
    """
    for name in names:
        value = getattr(spec, name)
        if not isinstance(value, int) or not 1 <= value <= 1024:
            raise UsageError(f"{name} is {value!r}; allowed are whole numbers from 1 to 1024")


def check_words(spec: object, names: tuple[str, ...]) -> None:
    """Refuses fields of a spec that are none of the words their type allows.

    Raises:
        UsageError: the message names the field.
    """
    hints = get_type_hints(type(spec))
    for name in names:
        allowed = get_args(hints[name])
        if getattr(spec, name) not in allowed:
            raise UsageError(f"{name} is {getattr(spec, name)!r}; allowed are {', '.join(allowed)}")


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
