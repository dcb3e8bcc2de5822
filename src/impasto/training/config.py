"""Every setting of a training run, in one place: config, command-line help and saved file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from impasto.errors import UsageError
from impasto.images.writing import atomic_path
from impasto.losses.layers import STYLE_LAYERS, StyleReduction
from impasto.networks.spec import (
    SHIPPED,
    FastSpec,
    NetworkSpec,
    spec_from_dict,
)
from impasto.runtime.metadata import FORBIDDEN_IN_NAMES, LONGEST_NAME, StyleEntry

Preset = Literal["paper", "released"]
Schedule = Literal["cosine", "constant"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]

DEFAULT_STYLE_SCALE = 3.0
LISTS = ("style_layers", "style_scale", "style_size_px", "crop_px", "crop_shares")
NETWORK_SETTINGS = {
    "width": "width",
    "residual_blocks": "residual_blocks",
    "norm": "norm",
    "upsampling": "upsampling",
    "padding": "padding",
    "output_scaling": "output",
}
"""Settings that change a field of the network's spec, and that field."""


def setting(default: Any, help_text: str, *, cli: bool = True) -> Any:
    """A dataclass field with the help text that the command line shows."""
    return field(default=default, metadata={"help": help_text, "cli": cli})


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of a style training run.

    Weights are on the 0..255 scale. The defaults are for a run of minutes on a laptop;
    `preset` gives those of the paper and of the released code.
    """

    paintings: tuple[Path, ...] = field(metadata={"help": "Paintings to learn.", "cli": False})
    photos: Path | None = setting(
        None, "Folder, .zip or .tar of photos; the example photos when omitted.", cli=False
    )
    output: Path | None = setting(
        None, "Run folder; runs/<first painting> when omitted.", cli=False
    )
    preset: Preset | None = setting(
        None, "Full schedule of the paper or of the released code.", cli=False
    )

    network: NetworkSpec | FastSpec = setting(SHIPPED, "The network.", cli=False)
    add_to: Path | None = setting(None, "Model that the run begins with.", cli=False)
    started_from: str = setting("", "The sha256 of that model's plain weights.", cli=False)
    kept_styles: tuple[StyleEntry, ...] = setting(
        (), "Styles of that model that stay as they are, with its convolutions.", cli=False
    )
    identity: bool = setting(
        False, "Also learn to leave photos as they are, which --strength goes towards.", cli=False
    )

    content_layer: str = setting("relu3_3", "Layer of the feature reconstruction loss.")
    style_layers: tuple[str, ...] = setting(
        STYLE_LAYERS, "Layers of the style reconstruction loss, separated by commas."
    )
    content_weight: float = setting(1.0, "Weight of the content term.")
    style_weight: float | Literal["auto"] = setting(
        "auto", "Weight of the style term, or auto: balanced against the content on photos."
    )
    style_scale: tuple[float, ...] | None = setting(
        None,
        "Strength of the style under --style-weight auto; several, one per painting, by commas "
        f"({DEFAULT_STYLE_SCALE:g} when omitted).",
    )
    style_reduction: StyleReduction = setting(
        "mean", "Squared Gram differences of a layer: sum (paper) or mean (released code)."
    )
    tv_weight: float = setting(0.0, "Weight of the total variation.")
    lattice_weight: float = setting(
        0.02, "Weight of the lattice loss, which removes grids; in units of the auto balance."
    )
    temporal_weight: float = setting(
        0.0, "Weight of the temporal loss, against flicker in videos; 1e-3 is strong."
    )
    loss_network: Path | None = setting(None, "Other VGG-16 weights: .safetensors or .pth.")

    style_size_px: tuple[int, ...] = setting(
        (384,), "Longer sides of the painting while training, separated by commas; one is usual."
    )
    crop_px: tuple[int, ...] = setting(
        (192,), "Height and width of a training crop; several, for parts of the run, by commas."
    )
    crop_shares: tuple[float, ...] | None = setting(
        None, "Share of the steps of each crop size, by commas; equal when omitted."
    )
    min_zoom: float = setting(
        1.0,
        "Photos are scaled to this many crops or more on the shorter side; larger photos, "
        "of which a crop shows less, are smoother.",
    )
    max_zoom: float = setting(2.0, "And to at most this many, never above their own size.")
    batch_size: int = setting(4, "Crops per step and device.")
    learning_rate: float = setting(2e-3, "Adam's learning rate.")
    schedule: Schedule = setting("cosine", "Learning rate over the run.")
    averaging: float = setting(0.995, "Decay of the weight average that is exported; 0 for none.")
    steps: int | None = setting(None, "Length of the run in steps, instead of a time.")
    max_time_s: float | None = setting(None, "Length of the run in seconds.", cli=False)
    seed: int = setting(0, "Seed of weights and crops.")

    validation_photos: Path | None = setting(
        None, "Photos of previews and validation; the example photos when omitted."
    )
    device: DeviceName = setting("auto", "Where to train.")
    devices: int = setting(1, "Number of GPUs.")
    precision: Precision = setting(
        "auto", "Arithmetic of the networks; auto is bfloat16 where that is much faster."
    )
    threads: int | None = setting(None, "CPU threads; all cores when omitted.")
    workers: int | None = setting(
        None, "Loading processes; when omitted none on a CPU, up to 8 with a GPU."
    )
    log_every: int = setting(10, "Steps between points of the curves.")
    preview_every_s: float = setting(60.0, "Seconds between previews and validations.")
    checkpoint_every_s: float = setting(120.0, "Seconds between checkpoints.")

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a value is out of range, or two contradict each other.
        """
        self._check_choices()
        self._check_numbers()
        if self.steps is not None and self.max_time_s is not None:
            raise UsageError("--steps and --max-time are both given; a run has one length")
        if self.style_weight != "auto" and self.style_scale is not None:
            raise UsageError(
                "--style-scale belongs to --style-weight auto; "
                f"with --style-weight {self.style_weight:g} leave it out"
            )
        if not self.style_layers:
            raise UsageError("--style-layers is empty; name one layer or more")
        self._check_lists()
        if isinstance(self.network, FastSpec):
            spec = replace(self.network, parameter_sets=self.parameter_sets)
            object.__setattr__(self, "network", spec)

    def _check_lists(self) -> None:
        if not self.paintings:
            raise UsageError("no painting is given; name one or more")
        names = [painting.stem for painting in self.paintings]
        if len(set(names)) < len(names):
            raise UsageError(f"two paintings have one name: {', '.join(names)}; rename one")
        if taken := {style_name(path) for path in self.paintings} & {
            style.name for style in self.kept_styles
        }:
            raise UsageError(
                f"the model holds a style {min(taken)!r} already: give the painting's file another "
                "name, or learn without what is there by --from-scratch"
            )
        if self.style_scale is not None and len(self.style_scale) not in (1, len(names)):
            raise UsageError(
                f"--style-scale is {numbers(self.style_scale)}; it needs one number, or one for "
                f"each of {len(names)} paintings"
            )
        smallest = self.network.min_size_px
        if min(self.crop_px, default=0) < smallest:
            raise UsageError(
                f"--crop-px is {numbers(self.crop_px)}; this network needs at least {smallest}"
            )
        if len(self.shares) != len(self.crop_px) or not math.isclose(sum(self.shares), 1.0):
            raise UsageError(
                f"--crop-shares is {numbers(self.shares)}; it needs one share for each of "
                f"--crop-px {numbers(self.crop_px)}, together 1"
            )
        if self.min_zoom > self.max_zoom:
            raise UsageError(
                f"--min-zoom is {self.min_zoom:g} and --max-zoom {self.max_zoom:g}; the first "
                "must not be above the second"
            )
        many = len(self.paintings) > 1 or len(self.style_size_px) > 1 or self.identity
        if many and not isinstance(self.network, FastSpec):
            raise UsageError(
                f"{len(self.paintings)} paintings at --style-size-px "
                f"{numbers(self.style_size_px)}{' with identity' * self.identity}: this network "
                "holds one style; --network fast holds many"
            )

    def _check_choices(self) -> None:
        hints = get_type_hints(type(self))
        for name in (
            "preset",
            "style_reduction",
            "schedule",
            "device",
            "precision",
        ):
            literal = Preset if name == "preset" else hints[name]
            value = getattr(self, name)
            if value not in get_args(literal) and not (name == "preset" and value is None):
                raise UsageError(
                    f"{flag(name)} is {value!r}; allowed are {', '.join(get_args(literal))}"
                )

    def _check_numbers(self) -> None:
        hints = get_type_hints(type(self))
        limits: dict[str, tuple[float, float]] = {
            "content_weight": (0, math.inf),
            "style_weight": (0, math.inf),
            "style_scale": (0, math.inf),
            "tv_weight": (0, math.inf),
            "lattice_weight": (0, math.inf),
            "temporal_weight": (0, math.inf),
            "style_size_px": (32, 8192),
            "crop_px": (32, 8192),
            "crop_shares": (0, 1),
            "min_zoom": (1, 16),
            "max_zoom": (1, 16),
            "batch_size": (1, 1024),
            "learning_rate": (1e-9, 1),
            "averaging": (0, 0.999999),
            "steps": (1, 10**9),
            "max_time_s": (1, 10**8),
            "seed": (0, 2**63 - 1),
            "devices": (1, 1024),
            "threads": (1, 1024),
            "workers": (0, 256),
            "log_every": (1, 10**9),
            "preview_every_s": (1, 10**8),
            "checkpoint_every_s": (1, 10**8),
        }
        values = [
            (name, value)
            for name in limits
            for value in listed(getattr(self, name))
            if value is not None and not (name == "style_weight" and value == "auto")
        ]
        for name, value in values:
            low, high = limits[name]
            whole = "float" not in str(hints[name])
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                kind = "a whole number" if whole else "a number"
                raise UsageError(f"{flag(name)} is {value!r}; allowed is {kind}")
            if not low <= value <= high or not math.isfinite(value):
                upper = "" if high == math.inf else f" to {high:g}"
                raise UsageError(
                    f"{flag(name)} is {value:g}; allowed is {low:g}{upper or ' or more'}"
                )

    @property
    def parameter_sets(self) -> int:
        """How many sets of scales and shifts the network has.

        First those of the paintings, all sizes of the first one, all of the second; then those
        that are kept of the model the run began with; at the end the identity.
        """
        styles = len(self.paintings) + len(self.kept_styles)
        return styles * len(self.style_size_px) + self.identity

    @property
    def trains_trunk(self) -> bool:
        """Whether convolutions and identity are learned too, which kept styles forbid."""
        return not self.kept_styles

    @property
    def trained_sets(self) -> list[int]:
        """The parameter sets that are learned: the paintings', and the identity's."""
        sets = list(range(len(self.paintings) * len(self.style_size_px)))
        return sets + [self.parameter_sets - 1] * (self.identity and self.trains_trunk)

    @property
    def style_scales(self) -> tuple[float, ...]:
        """Strength of each painting's style."""
        scales = self.style_scale or (DEFAULT_STYLE_SCALE,)
        return scales * len(self.paintings) if len(scales) == 1 else scales

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the steps that each crop size has."""
        return self.crop_shares or (1 / len(self.crop_px),) * len(self.crop_px)

    @property
    def run_folder(self) -> Path:
        """Where checkpoints, curves, previews and the model go."""
        return self.output or default_run_folder(self.paintings)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-ready values; paths become strings."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["network"] = self.network.to_dict()
        values["paintings"] = [str(path) for path in self.paintings]
        values["kept_styles"] = [asdict(style) for style in self.kept_styles]
        return {
            name: str(value) if isinstance(value, Path) else value for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuilds a config from `to_dict`.

        Raises:
            UsageError: a name that this version does not know.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"settings {', '.join(unknown)} are not known to this version")
        values = dict(values)
        for name in ("photos", "output", "add_to", "loss_network", "validation_photos"):
            if values.get(name) is not None:
                values[name] = Path(values[name])
        for name in LISTS:
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        values["paintings"] = tuple(Path(path) for path in values["paintings"])
        values["kept_styles"] = tuple(StyleEntry(**v) for v in values.get("kept_styles", ()))
        values["network"] = spec_from_dict(values["network"])
        return cls(**values)


def is_style_targets(path: Path) -> bool:
    """Tells whether a path names a file of style targets, which stands for its paintings."""
    return path.suffix == ".safetensors"


def default_run_folder(paintings: Sequence[Path]) -> Path:
    """Returns the folder of a run that names none: ``runs/<first painting>``."""
    return Path("runs") / paintings[0].stem


def style_name(painting: Path) -> str:
    """Returns a style's name: the painting's, with what file names cannot hold replaced."""
    return (
        "".join(
            "_" if c in FORBIDDEN_IN_NAMES or not c.isprintable() else c for c in painting.stem
        ).strip(" .")[:LONGEST_NAME]
        or "style"
    )


def numbers(values: Iterable[float]) -> str:
    """Shows numbers as the command line takes them."""
    return ",".join(f"{value:g}" for value in values)


def listed(value: Any) -> tuple[Any, ...]:
    """Makes one value a list of one."""
    return value if isinstance(value, tuple) else (value,)


def flag(name: str) -> str:
    """Returns the command-line flag of a field."""
    return "--" + name.removesuffix("_s").replace("_", "-")


def save_config(config: TrainingConfig, references: dict[str, Any] | None, path: Path) -> None:
    """Writes config and balancing references as JSON, for people and for `from_dict`."""
    text = json.dumps({"config": config.to_dict(), "references": references}, indent=2)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
