"""Every setting of a super-resolution run, in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from impasto.data import Degradation
from impasto.errors import UsageError
from impasto.networks import UPSCALERS, UpscalerSpec
from impasto.training.run_config import (
    Optimizer,
    RunConfig,
    Schedule,
    chosen_settings,
    setting,
    with_spec,
)
from impasto.training.start import checked_weights

UpscalerLoss = Literal["feature", "pixel", "both"]

NETWORK_SETTINGS = {name: name for name in ("width", "residual_blocks", "skip")}
"""Settings that change a field of the network's spec, and that field."""


@dataclass(frozen=True, kw_only=True)
class UpscalerConfig(RunConfig):
    """Settings of a super-resolution run.

    Losses are on the 0..255 scale. The defaults are for a run of an hour on a laptop.
    """

    scale: Literal[4, 8] = setting(4, "How many times larger pictures become.")
    loss: UpscalerLoss = setting(
        "feature",
        "What is compared with the original: maps of the loss network, which gives sharp "
        "pictures; pixels, which gives faithful ones; or both.",
    )
    network: UpscalerSpec = setting(UPSCALERS["fast"], "The network.", cli=False)
    start_from: Path | None = setting(
        None,
        "Model to begin with, its plain weights beside it; what does not fit its network, as "
        "the last convolution of another scale, begins anew.",
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

    batch_size: int = setting(16, "Samples per step and device.")
    optimizer: Optimizer = setting("adam", "How gradients become steps.")
    learning_rate: float = setting(1e-3, "The optimizer's learning rate.")
    schedule: Schedule = setting(
        "cosine",
        "Learning rate over the run: cosine falls all along, wsd over its last fifth, "
        "constant never.",
    )
    averaging: float = setting(0.999, "Decay of the weight average that is exported; 0 for none.")

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
        return default_upscaler_folder(self.scale, self.loss).name


def default_upscaler_folder(scale: int = 4, loss: str = "feature") -> Path:
    """Returns the folder of a run that names none: ``runs/x<scale>-<loss>``."""
    return Path("runs") / f"x{scale}-{loss}"


def paper_settings() -> dict[str, Any]:
    """Returns the settings of Johnson et al. 2016, section 4.2.

    200,000 steps of batch 4 on patches of 288 px, Adam 1e-3, feature loss at relu2_2, and the
    paper's network and degradation.
    """
    return {
        "network": "paper",
        "loss": "feature",
        "lattice_weight": 0.0,
        "degradation": "paper",
        "patch_px": 288,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "averaging": 0.0,
        "steps": 200_000,
    }


def make_upscaler_config(
    *, recipe: dict[str, Any] | None = None, preset: str | None = None, **given: Any
) -> UpscalerConfig:
    """Builds a config: defaults, then the preset, then the recipe, then what was given.

    Args:
        recipe: settings that `read_recipe` returned.
        preset: ``"paper"`` for the paper's schedule.
        **given: fields of `UpscalerConfig`, or of the network's spec; ``network`` may be a
            name: fast, paper. None counts as not given.

    Raises:
        UsageError: a value is out of range, or two contradict each other.
        ModelError: the model to begin with cannot be used.
    """
    if preset not in (None, "paper"):
        raise UsageError(f"--preset is {preset!r}; allowed is paper")
    chosen = chosen_settings(recipe or {}, given)
    settings = paper_settings() if preset else {}
    if "max_time_s" in chosen and "steps" not in chosen:
        settings.pop("steps", None)
    settings = with_spec(settings | chosen, UPSCALERS["fast"], UPSCALERS, NETWORK_SETTINGS)
    config = UpscalerConfig(**settings)
    if config.start_from is None:
        return config
    return replace(config, started_from=checked_weights(config.start_from))
