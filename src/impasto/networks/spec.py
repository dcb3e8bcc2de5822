"""The description from which a style network of Johnson et al. 2016 is rebuilt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_type_hints

from impasto.errors import UsageError

Norm = Literal["batch", "instance"]
Upsampling = Literal["nearest", "bilinear", "subpixel", "transposed"]
Padding = Literal["reflection_start", "reflection", "replicate", "zero"]
OutputScaling = Literal["tanh_0_255", "tanh_150"]


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
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

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON-ready values, with the architecture's name."""
        return {"architecture": "johnson", **asdict(self)}


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
