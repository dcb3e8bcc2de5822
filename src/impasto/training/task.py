"""What the training loop asks of a task: style transfer and super-resolution answer it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from impasto.data.crops import PhotoSamples
from impasto.networks import Network


class Task(Protocol):
    """Losses, validation and previews of a run.

    Attributes:
        product: what a run makes, in a word for people.
        remedies: flags to lower when the output collapses.
    """

    product: ClassVar[str]
    remedies: ClassVar[str]

    @property
    def samples(self) -> Sequence[PhotoSamples[Any]]:
        """The photos' samples, one sequence for each part of the run."""

    @property
    def warnings(self) -> list[str]:
        """Plain sentences on what may spoil the result."""

    def saved(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps of the task, JSON-ready."""

    def check_resumed(self, values: dict[str, Any]) -> None:
        """Refuses inputs that are not those the run began with.

        Raises:
            ResumeError: the message names the input.
        """

    def learns(self, parameter: str) -> bool:
        """Tells whether a parameter of the network is learned."""

    def begin(self, network: Network) -> None:
        """Puts the weights of the model that a new run begins with, if any, into its network.

        Raises:
            ModelError: that model cannot be used.
        """

    def step(self, network: nn.Module, batch: Any, first: int) -> tuple[dict[str, Tensor], Tensor]:
        """Runs the network on a batch.

        Args:
            network: the network, or a copy.
            batch: of `samples`, on the run's device.
            first: number of the batch's first sample in the run.

        Returns:
            The weighted loss terms, ``"total"`` among them, and the output ``(N, 3, H, W)``.
        """

    def validate(self, network: nn.Module) -> tuple[dict[str, float], Tensor]:
        """Returns mean scores on the validation photos by name, and results ``(N, 3, H, W)``."""

    def write_preview(self, results: Tensor, path: Path) -> None:
        """Writes what `validate` returned as one picture beside its inputs."""

    def add_to_history(self, results: Tensor) -> NDArray[np.uint8]:
        """Appends results to the growing picture and returns it as ``(H, W, 3)`` uint8."""
