"""Every setting of a super-resolution run, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from impasto.data import Degradation
from impasto.errors import UsageError
from impasto.networks import UPSCALERS, Spec, UpscalerSpec
from impasto.training.run_config import Optimizer, RunConfig, Schedule, setting

UpscalerLoss = Literal["feature", "pixel", "both"]


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


def default_upscaler_folder(scale: int = 4, loss: str = "feature") -> Path:
    """Returns the folder of a run that names none: ``runs/x<scale>-<loss>``."""
    return Path("runs") / f"x{scale}-{loss}"
