"""Every setting of each kind of run, in one place: config, command-line help and saved file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from impasto.data.choices import RATIOS, Degradation
from impasto.errors import UsageError
from impasto.losses.layers import SMALLEST_SIDE_PX, STYLE_LAYERS, StyleReduction
from impasto.networks import NETWORKS, UPSCALERS, Spec, StyleSpec, UpscalerSpec
from impasto.networks.specs import MANY_STYLES
from impasto.runtime.metadata import FORBIDDEN_IN_NAMES, LONGEST_NAME, StyleEntry
from impasto.training.run_config import Optimizer, RunConfig, Schedule, numbers, setting

Preset = Literal["paper", "released"]
UpscalerLoss = Literal["feature", "pixel", "both"]

DEFAULT_STYLE_SCALE = 2.0
NETWORK_SETTINGS = {
    "width": "width",
    "residual_blocks": "residual_blocks",
    "norm": "norm",
    "upsampling": "upsampling",
    "padding": "padding",
    "output_scaling": "output",
}
"""Settings that change a field of the network's spec, and that field."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(RunConfig):
    """Settings of a style training run.

    Weights are on the 0..255 scale. The defaults are for a run of minutes on a laptop;
    `preset` gives those of the paper and of the released code.
    """

    command: ClassVar[str] = "train"
    networks: ClassVar[Mapping[str, Spec]] = NETWORKS
    network_settings: ClassVar[Mapping[str, str]] = NETWORK_SETTINGS

    paintings: tuple[Path, ...] = field(metadata={"help": "Paintings to learn.", "cli": False})
    preset: Preset | None = setting(
        None, "Full schedule of the paper or of the released code.", cli=False
    )

    network: StyleSpec = setting(NETWORKS[MANY_STYLES], "The network.", cli=False)
    add_to: Path | None = setting(None, "Model that the run begins with.", cli=False)
    started_from: str = setting("", "The sha256 of that model's plain weights.", cli=False)
    kept_styles: tuple[StyleEntry, ...] = setting(
        (), "Styles of that model that stay as they are, with its convolutions.", cli=False
    )
    identity: bool = setting(
        False, "Also learn to leave photos as they are, which --strength goes towards.", cli=False
    )

    clip_gradients: float | None = setting(
        5.0, "Largest norm of a step's gradients; longer ones are shortened to it.", least=0
    )
    content_layer: str = setting("relu3_3", "Layer of the feature reconstruction loss.")
    style_layers: tuple[str, ...] = setting(
        STYLE_LAYERS, "Layers of the style reconstruction loss, separated by commas."
    )
    content_weight: float = setting(1.0, "Weight of the content term.", least=0)
    style_weight: float | Literal["auto"] = setting(
        "auto",
        "Weight of the style term, or auto: balanced against the content on photos.",
        least=0,
    )
    style_scale: tuple[float, ...] | None = setting(
        None,
        "Strength of the style under --style-weight auto, where --keep begins; several, one per "
        f"painting, by commas ({DEFAULT_STYLE_SCALE:g} when omitted).",
        least=0,
    )
    keep: float | None = setting(
        0.62,
        "How much of the photo each style keeps, as the correlation of features: steers the "
        "strength of the style under --style-weight auto.",
        least=0.05,
        most=0.95,
    )
    octaves: int = setting(
        3,
        "At how many sizes, each half of the one before, the result is compared.",
        least=1,
        most=4,
    )
    window_px: int | None = setting(
        144,
        "Side of the part of a crop that is compared at full size, a new one each step.",
        least=32,
        most=8192,
    )
    style_reduction: StyleReduction = setting(
        "mean", "Squared Gram differences of a layer: sum (paper) or mean (released code)."
    )
    tv_weight: float = setting(0.0, "Weight of the total variation.", least=0)
    lattice_weight: float = setting(
        0.02,
        "Weight of the lattice loss, which removes grids; in units of the auto balance.",
        least=0,
    )
    temporal_weight: float = setting(
        0.0, "Weight of the temporal loss, against flicker in videos; 1e-3 is strong.", least=0
    )
    loss_network: Path | None = setting(None, "Other VGG-16 weights: .safetensors or .pth.")

    style_size_px: int = setting(
        384, "Longer side of the painting beside a draft.", least=32, most=8192
    )
    crop_px: tuple[int, ...] = setting(
        (256,),
        "Height of a training crop; several, for parts of the run, by commas.",
        least=32,
        most=8192,
    )
    crop_shares: tuple[float, ...] | None = setting(
        None,
        "Share of the steps of each crop size, by commas; equal when omitted.",
        least=0,
        most=1,
    )
    crop_ratio: float = setting(
        1.5,
        "Width of a crop as a share of its height: networks that see whole photos while they "
        "train paint whole photos best.",
        least=1,
        most=4,
    )
    min_zoom: float = setting(
        1.0,
        "A crop shows the largest part of a photo that has its shape, or a part this many times "
        "smaller.",
        least=1,
        most=16,
    )
    max_zoom: float = setting(
        1.2, "The most of these times, as far as a photo's pixels go.", least=1, most=16
    )
    refine_share: float = setting(
        0.3,
        "Share of the steps, the last ones, that the refine network is trained in.",
        least=0,
        most=0.9,
    )
    refine_photos: Path | None = setting(
        None, "Larger photos for the refine network; the training photos when omitted."
    )

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a value is out of range, or two contradict each other.
        """
        super().__post_init__()
        self._check_style()
        self._check_crops()
        spec = self.network.with_parameter_sets(self.parameter_sets)
        object.__setattr__(self, "network", spec)

    def _check_style(self) -> None:
        if self.style_weight != "auto" and self.style_scale is not None:
            raise UsageError(
                "--style-scale belongs to --style-weight auto; "
                f"with --style-weight {self.style_weight:g} leave it out"
            )
        if not self.style_layers:
            raise UsageError("--style-layers is empty; name one layer or more")
        if len(set(self.style_layers)) < len(self.style_layers):
            raise UsageError(f"--style-layers is {','.join(self.style_layers)}; name each once")
        if not self.paintings:
            raise UsageError("no painting is given; name one or more")
        names = [style_name(painting) for painting in self.paintings]
        if len(set(names)) < len(names):
            raise UsageError(f"two paintings have one name: {', '.join(names)}; rename one")
        if taken := set(names) & {style.name for style in self.kept_styles}:
            raise UsageError(
                f"the model holds a style {min(taken)!r} already: give the painting's file another "
                "name, or learn without what is there by --from-scratch"
            )
        if self.style_scale is not None and len(self.style_scale) not in (1, len(names)):
            raise UsageError(
                f"--style-scale is {numbers(self.style_scale)}; it needs one number, or one for "
                f"each of {len(names)} paintings"
            )
        if (len(self.paintings) > 1 or self.identity) and not self.network.holds_many:
            raise UsageError(
                f"{len(self.paintings)} paintings{' with identity' * self.identity}: this network "
                f"holds one style; --network {MANY_STYLES} holds many"
            )

    def _check_crops(self) -> None:
        smallest = self.network.min_size_px
        if min(self.crop_px, default=0) < smallest:
            raise UsageError(
                f"--crop-px is {numbers(self.crop_px)}; this network needs at least {smallest}"
            )
        coarsest_px = min(self.crop_px) // 2 ** (self.octaves - 1)
        if coarsest_px < SMALLEST_SIDE_PX:
            raise UsageError(
                f"--crop-px is {numbers(self.crop_px)}, {coarsest_px} px at the smallest of "
                f"--octaves {self.octaves}; the loss network needs {SMALLEST_SIDE_PX}"
            )
        shares = self.crop_shares
        if shares and (len(shares) != len(self.crop_px) or not math.isclose(sum(shares), 1.0)):
            raise UsageError(
                f"--crop-shares is {numbers(shares)}; it needs one share for each of "
                f"--crop-px {numbers(self.crop_px)}, together 1"
            )
        if self.min_zoom > self.max_zoom:
            raise UsageError(
                f"--min-zoom is {self.min_zoom:g} and --max-zoom {self.max_zoom:g}; the first "
                "must not be above the second"
            )

    @property
    def style_sizes_px(self) -> tuple[int, ...]:
        """Longer sides of the painting: of every octave, then of every ratio of refining."""
        octaves = [self.style_size_px / 2**octave for octave in range(self.octaves)]
        ratios = RATIOS if self.refines and self.refine_share else ()
        return tuple(round(size) for size in (*octaves, *(self.style_size_px * r for r in ratios)))

    @property
    def steers(self) -> bool:
        """Whether the strength of each style follows how much of the photos it keeps."""
        return self.style_weight == "auto" and self.keep is not None

    @property
    def refines(self) -> bool:
        """Whether the network has a refine part."""
        return self.network.halo_px is not None

    @property
    def parameter_sets(self) -> int:
        """How many sets of scales and shifts the network has.

        First those of the paintings, then those that are kept of the model the run began with,
        at the end the identity.
        """
        return len(self.paintings) + len(self.kept_styles) + self.identity

    @property
    def trains_trunk(self) -> bool:
        """Whether convolutions and identity are learned too, which kept styles forbid."""
        return not self.kept_styles

    @property
    def trained_sets(self) -> list[int]:
        """The parameter sets that are learned: the paintings', and the identity's."""
        sets = list(range(len(self.paintings)))
        return sets + [self.parameter_sets - 1] * (self.identity and self.trains_trunk)

    @property
    def style_scales(self) -> tuple[float, ...]:
        """Strength of each painting's style."""
        scales = self.style_scale or (DEFAULT_STYLE_SCALE,)
        return scales * len(self.paintings) if len(scales) == 1 else scales

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the steps that each crop size has, and the refine network after them."""
        shares = self.crop_shares or (1 / len(self.crop_px),) * len(self.crop_px)
        if not self.refines or not self.refine_share:
            return shares
        return (*(share * (1 - self.refine_share) for share in shares), self.refine_share)

    @property
    def default_folder(self) -> Path:
        """``runs/<first painting>``."""
        return default_run_folder(self.paintings)

    @property
    def model_name(self) -> str:
        """The first painting's name."""
        return style_name(self.paintings[0])


@dataclass(frozen=True, kw_only=True)
class UpscalerConfig(RunConfig):
    """Settings of a super-resolution run.

    Losses are on the 0..255 scale. The defaults are for a run of an hour on a laptop.
    """

    command: ClassVar[str] = "train-upscaler"
    networks: ClassVar[Mapping[str, Spec]] = UPSCALERS
    network_settings: ClassVar[Mapping[str, str]] = {
        name: name for name in ("width", "residual_blocks", "skip")
    }

    scale: Literal[4, 8] = setting(4, "How many times larger pictures become.")
    loss: UpscalerLoss = setting(
        "feature",
        "What is compared with the original: maps of the loss network, which gives sharp "
        "pictures; pixels, which gives faithful ones; or both.",
    )
    network: UpscalerSpec = setting(UPSCALERS["fast"], "The network.", cli=False)
    start_from: Path | None = setting(
        None,
        "Model to begin with, its plain weights beside it; layers that do not fit, such as the "
        "last convolution of another scale, start from fresh weights.",
    )
    started_from: str = setting("", "The sha256 of that model's plain weights.", cli=False)

    feature_layer: str = setting("relu2_2", "Layer of the feature reconstruction loss.")
    feature_weight: float = setting(
        1.0, "Weight of the feature term, of --loss feature and both.", least=0
    )
    pixel_weight: float = setting(
        1.0, "Weight of the pixel term, of --loss pixel and both.", least=0
    )
    lattice_weight: float = setting(
        3000.0,
        "Weight of a grid in the error, which feature losses leave; of --loss feature and both.",
        least=0,
    )
    tv_weight: float = setting(0.0, "Weight of the total variation.", least=0)
    loss_network: Path | None = setting(None, "Other VGG-16 weights: .safetensors or .pth.")

    degradation: Degradation = setting(
        "mixed",
        "How low-resolution pictures are made: bicubic; paper, after a blur; mixed, after none "
        "or some; photo, with blur, noise and JPEG.",
    )
    patch_px: int = setting(96, "Height and width of a high-resolution patch.", least=32, most=2048)

    batch_size: int = setting(16, "Samples per step and device.", least=1, most=1024)
    optimizer: Optimizer = setting("adam", "How gradients become steps.")
    learning_rate: float = setting(1e-3, "The optimizer's learning rate.", least=1e-9, most=1)
    schedule: Schedule = setting(
        "cosine",
        "Learning rate over the run: cosine falls all along, wsd over its last fifth, "
        "constant never.",
    )
    averaging: float = setting(
        0.999, "Decay of the weight average that is exported; 0 for none.", least=0, most=0.999999
    )

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a value is out of range, or two contradict each other.
        """
        super().__post_init__()
        object.__setattr__(self, "network", replace(self.network, scale=self.scale))
        if self.patch_px % self.scale:
            raise UsageError(
                f"--patch-px is {self.patch_px}; it must be a multiple of --scale {self.scale}"
            )
        weights = self.uses_features * self.feature_weight, self.uses_pixels * self.pixel_weight
        if not any(weights):
            raise UsageError(f"--loss {self.loss} with a weight of 0 leaves nothing to learn")

    @property
    def uses_features(self) -> bool:
        """Whether the loss has a feature term."""
        return self.loss != "pixel"

    @property
    def uses_pixels(self) -> bool:
        """Whether the loss has a pixel term."""
        return self.loss != "feature"

    @property
    def default_folder(self) -> Path:
        """``runs/x<scale>-<loss>``."""
        return default_upscaler_folder(self.scale, self.loss)

    @property
    def model_name(self) -> str:
        """``x<scale>-<loss>``."""
        return self.default_folder.name


def is_style_targets(path: Path) -> bool:
    """Tells whether a path names a file of style targets, which stands for its paintings."""
    return path.suffix == ".safetensors"


def default_run_folder(paintings: Sequence[Path]) -> Path:
    """Returns the folder of a run that names none: ``runs/<first painting>``."""
    return Path("runs") / _base_name(paintings[0])


def default_upscaler_folder(scale: int = 4, loss: str = "feature") -> Path:
    """Returns the folder of a run that names none: ``runs/x<scale>-<loss>``."""
    return Path("runs") / f"x{scale}-{loss}"


def style_name(painting: Path) -> str:
    """Returns a style's name: the painting's, with what file names cannot hold replaced."""
    printable = "".join(
        "_" if c in FORBIDDEN_IN_NAMES or not c.isprintable() else c for c in _base_name(painting)
    )
    return printable.strip(" .")[:LONGEST_NAME].strip(" .") or "style"


def _base_name(painting: Path) -> str:
    # The names of style targets have no suffix.
    return painting.name if is_style_targets(painting.parent) else painting.stem
