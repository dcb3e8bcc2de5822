"""Every setting of a training run, in one place: config, command-line help and saved file."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from impasto.errors import UsageError
from impasto.images.writing import atomic_path
from impasto.losses.layers import STYLE_LAYERS, StyleReduction
from impasto.networks.spec import (
    PAPER,
    RELEASED,
    SHIPPED,
    NetworkSpec,
    Norm,
    OutputScaling,
    Padding,
    Upsampling,
)

Preset = Literal["paper", "released"]
Schedule = Literal["cosine", "constant"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]

DEFAULT_STYLE_SCALE = 3.0


def setting(default: Any, help_text: str, *, cli: bool = True) -> Any:
    """A dataclass field with the help text that the command line shows."""
    return field(default=default, metadata={"help": help_text, "cli": cli})


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of a style training run.

    Weights are on the 0..255 scale. The defaults are for a run of minutes on a laptop;
    `preset` gives those of the paper and of the released code.
    """

    painting: Path = field(metadata={"help": "The painting to learn.", "cli": False})
    photos: Path | None = setting(
        None, "Folder, .zip or .tar of photos; the example photos when omitted.", cli=False
    )
    output: Path | None = setting(None, "Run folder; runs/<painting> when omitted.", cli=False)
    preset: Preset | None = setting(
        None, "Full schedule of the paper or of the released code.", cli=False
    )

    width: int = setting(SHIPPED.width, "Channels of the network's first layer.")
    residual_blocks: int = setting(SHIPPED.residual_blocks, "Number of residual blocks.")
    norm: Norm = setting(SHIPPED.norm, "Normalisation.")
    upsampling: Upsampling = setting(SHIPPED.upsampling, "Upsampling.")
    padding: Padding = setting(SHIPPED.padding, "Padding.")
    output_scaling: OutputScaling = setting(SHIPPED.output, "Scaling of the output.")

    content_layer: str = setting("relu3_3", "Layer of the feature reconstruction loss.")
    style_layers: tuple[str, ...] = setting(
        STYLE_LAYERS, "Layers of the style reconstruction loss, separated by commas."
    )
    content_weight: float = setting(1.0, "Weight of the content term.")
    style_weight: float | Literal["auto"] = setting(
        "auto", "Weight of the style term, or auto: balanced against the content on photos."
    )
    style_scale: float | None = setting(
        None,
        f"Strength of the style under --style-weight auto ({DEFAULT_STYLE_SCALE:g} when omitted).",
    )
    style_reduction: StyleReduction = setting(
        "mean", "Squared Gram differences of a layer: sum (paper) or mean (released code)."
    )
    tv_weight: float = setting(0.0, "Weight of the total variation.")
    lattice_weight: float = setting(
        0.02, "Weight of the lattice loss, which removes grids; in units of the auto balance."
    )
    loss_network: Path | None = setting(None, "Other VGG-16 weights: .safetensors or .pth.")

    style_size_px: int = setting(384, "Longer side of the painting while training.")
    crop_px: int = setting(192, "Height and width of a training crop.")
    max_zoom: float = setting(2.0, "Photos are scaled to 1 to this many crops on the short side.")
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
        smallest = self.network.min_size_px
        if self.crop_px < smallest:
            raise UsageError(f"--crop-px is {self.crop_px}; this network needs at least {smallest}")

    def _check_choices(self) -> None:
        hints = get_type_hints(type(self))
        for name in (
            "preset",
            "norm",
            "upsampling",
            "padding",
            "output_scaling",
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
            "width": (1, 1024),
            "residual_blocks": (1, 1024),
            "content_weight": (0, math.inf),
            "style_weight": (0, math.inf),
            "style_scale": (0, math.inf),
            "tv_weight": (0, math.inf),
            "lattice_weight": (0, math.inf),
            "style_size_px": (32, 8192),
            "crop_px": (32, 8192),
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
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is None or (name == "style_weight" and value == "auto"):
                continue
            whole = float not in (hints[name], *get_args(hints[name]))
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                kind = "a whole number" if whole else "a number"
                raise UsageError(f"{flag(name)} is {value!r}; allowed is {kind}")
            if not low <= value <= high or not math.isfinite(value):
                upper = "" if high == math.inf else f" to {high:g}"
                raise UsageError(
                    f"{flag(name)} is {value:g}; allowed is {low:g}{upper or ' or more'}"
                )

    @property
    def network(self) -> NetworkSpec:
        """The network these settings describe."""
        return NetworkSpec(
            width=self.width,
            residual_blocks=self.residual_blocks,
            norm=self.norm,
            upsampling=self.upsampling,
            padding=self.padding,
            output=self.output_scaling,
        )

    @property
    def run_folder(self) -> Path:
        """Where checkpoints, curves, previews and the model go."""
        return self.output or default_run_folder(self.painting)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-ready values; paths become strings."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
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
        for name in ("painting", "photos", "output", "loss_network", "validation_photos"):
            if values.get(name) is not None:
                values[name] = Path(values[name])
        if "style_layers" in values:
            values["style_layers"] = tuple(values["style_layers"])
        return cls(**values)


def default_run_folder(painting: Path) -> Path:
    """Returns the folder of a run that names none: ``runs/<painting>``."""
    return Path("runs") / painting.stem


def flag(name: str) -> str:
    """Returns the command-line flag of a field."""
    return "--" + name.removesuffix("_s").replace("_", "-")


def preset_settings(preset: Preset) -> dict[str, Any]:
    """Returns the settings a preset changes.

    ``paper``: Johnson et al. 2016: 40,000 steps of batch 4 at 256 px, Adam 1e-3. The paper
    prints no style weight and no size of the style image: 3e-4 on the sum of squared Gram
    differences starts from the released code's balance on photos; 256 px is our choice.
    ``released``: the models of jcjohnson/fast-neural-style: style weight 5 on the mean of
    squared Gram differences, style image at 384 px. Its total variation strength of 1e-6 is
    summed over a batch of 4, hence 4e-6 on our mean. Both resize photos to the crop.
    """
    common: dict[str, Any] = {
        "crop_px": 256,
        "max_zoom": 1.0,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "averaging": 0.0,
        "lattice_weight": 0.0,
        "steps": 40_000,
    }
    spec = PAPER if preset == "paper" else RELEASED
    network = {
        "width": spec.width,
        "residual_blocks": spec.residual_blocks,
        "norm": spec.norm,
        "upsampling": spec.upsampling,
        "padding": spec.padding,
        "output_scaling": spec.output,
    }
    if preset == "paper":
        losses = {
            "style_weight": 3e-4,
            "style_reduction": "sum",
            "tv_weight": 1e-6,
            "style_size_px": 256,
        }
    else:
        losses = {"style_weight": 5.0, "style_reduction": "mean", "tv_weight": 4e-6}
    return common | network | losses | {"preset": preset}


def make_config(
    painting: Path, *, recipe: dict[str, Any] | None = None, **given: Any
) -> TrainingConfig:
    """Builds a config: defaults, then the preset, then the recipe, then what was given.

    Args:
        painting: the painting's path.
        recipe: settings that `read_recipe` returned.
        **given: fields of `TrainingConfig`; None counts as not given.

    Raises:
        UsageError: a value is out of range, or two contradict each other.
    """
    chosen = dict(recipe or {})
    chosen |= {name: value for name, value in given.items() if value is not None}
    if given.get("max_time_s") is not None and given.get("steps") is None:
        chosen.pop("steps", None)
    settings = preset_settings(chosen["preset"]) if "preset" in chosen else {}
    if "max_time_s" in chosen and "steps" not in chosen:
        settings.pop("steps", None)
    if chosen.get("style_weight") == "auto" or "style_scale" in chosen:
        settings.pop("style_weight", None)
    return TrainingConfig(painting=painting, **(settings | chosen))


def read_recipe(path: Path) -> dict[str, Any]:
    """Reads a recipe: a TOML file whose ``[settings]`` are fields of `TrainingConfig`.

    Raises:
        UsageError: the file cannot be read, or names a setting there is not.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("settings")
    except (OSError, ValueError) as error:
        raise UsageError(f"the recipe {path} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"the recipe {path} has no [settings]")
    known = {item.name for item in fields(TrainingConfig)} - {"painting", "photos", "output"}
    if unknown := sorted(set(settings) - known):
        raise UsageError(f"the recipe {path} has unknown settings: {', '.join(unknown)}")
    if "style_layers" in settings:
        if not isinstance(settings["style_layers"], list):
            raise UsageError(f"the recipe {path} must list style_layers: ['relu1_2', ...]")
        settings["style_layers"] = tuple(settings["style_layers"])
    return settings


def save_config(config: TrainingConfig, references: dict[str, float] | None, path: Path) -> None:
    """Writes config and balancing references as JSON, for people and for `from_dict`."""
    text = json.dumps({"config": config.to_dict(), "references": references}, indent=2)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
