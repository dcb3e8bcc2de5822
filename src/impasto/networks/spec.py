"""The descriptions from which style networks are rebuilt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_type_hints

from impasto.errors import UsageError

Stem = Literal["one", "two"]
Ending = Literal["direct", "half", "full", "subpixel"]
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

    @property
    def receptive_radius_px(self) -> int:
        """Distance beyond which an input pixel cannot change an output pixel.

        Holds for batch norm, whose statistics are constants at run time; instance norm
        sees the whole picture. Rounded up to a multiple of 4, the trunk's stride.
        """
        ends = 2 * 4
        strided = 1 + 2
        trunk = self.residual_blocks * 2 * 4
        upsampling = 4 + 2
        return -(-(ends + strided + trunk + upsampling) // 4) * 4

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON-ready values, with the architecture's name."""
        return {"architecture": "johnson", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class FastSpec:
    """Settings of a fast network; all convolutions but the last have conditional norms.

    Attributes:
        width: channels of the trunk.
        stride: 4 for a trunk at a quarter of the height and width, 8 for an eighth.
        half_width: channels at half the height and width; twice as many at a quarter where
            the trunk is at an eighth.
        residual_blocks: number of residual blocks in the trunk.
        stem: ``one`` 8x8 convolution of stride 4, or ``two`` 4x4 of stride 2.
        ending: how the picture is made: ``direct`` from a quarter by nearest neighbour x4 and
            a 9x9 convolution, from ``half`` the size by nearest neighbour x2 and a
            convolution, from the ``full`` size by a convolution, or from half the size by
            ``subpixel`` convolution.
        last_kernel: kernel size of the last convolution of ``half``, 3 or 5.
        padding: of the convolutions up to the trunk's end.
        parameter_sets: number of sets of scales and shifts.
    """

    width: int = 48
    stride: Literal[4, 8] = 4
    half_width: int = 24
    residual_blocks: int = 5
    stem: Stem = "one"
    ending: Ending = "half"
    last_kernel: int = 3
    padding: Literal["reflection", "zero"] = "reflection"
    parameter_sets: int = 1

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a field is out of its range; the message names it.
        """
        check_whole(self, ("width", "half_width", "residual_blocks", "parameter_sets"))
        check_words(self, ("stem", "ending", "padding"))
        if self.stride not in (4, 8):
            raise UsageError(f"stride is {self.stride!r}; allowed are 4 and 8")
        if self.last_kernel not in (3, 5):
            raise UsageError(f"last_kernel is {self.last_kernel!r}; allowed are 3 and 5")

    @property
    def min_size_px(self) -> int:
        """Smallest height and width: the stem's mirrored border and two trunk positions."""
        return 2 * self.stride

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON-ready values, with the architecture's name."""
        return {"architecture": "fast", **asdict(self)}


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

FAST = FastSpec(residual_blocks=3)
"""Many styles in one network, several times as fast as the released one."""
