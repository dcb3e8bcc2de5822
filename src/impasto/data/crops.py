"""Random crops of photos, each a pure function of the seed and its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from impasto.data.sources import PhotoSource, decode_photo
from impasto.errors import DataError


@dataclass(frozen=True)
class Rejected:
    """A photo that cannot be used."""

    name: str
    reason: str


class PhotoCrops(Dataset[tuple[Tensor, list[Rejected]]]):
    """An endless, numbered sequence of random crops.

    Sample ``i`` depends on ``(seed, i)`` alone: every pass over the photos is a fresh
    permutation, and scale, position and mirroring come from a generator of the sample's
    own. Resuming at any sample, with any number of workers, gives the same pictures.

    Args:
        source: the photos.
        crop_px: height and width of a crop.
        max_zoom: the photo's shorter side is scaled to at most this many times ``crop_px``,
            never above its own size.
        min_zoom: and to at least this many times, from 1 up.
        seed: 0 or more.
    """

    def __init__(
        self,
        source: PhotoSource,
        crop_px: int,
        *,
        max_zoom: float,
        min_zoom: float = 1.0,
        seed: int,
    ) -> None:
        self.source = source
        self.crop_px = crop_px
        self.min_zoom = min_zoom
        self.max_zoom = max_zoom
        self.seed = seed
        self._permutation: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def __getitem__(self, number: int) -> tuple[Tensor, list[Rejected]]:
        """Draws one crop.

        A photo that is unreadable or too small is replaced by the next of its pass.

        Returns:
            ``(3, crop_px, crop_px)`` float32 RGB in [0, 1], and the photos passed over.

        Raises:
            DataError: no photo of the source can be used.
        """
        rejected: list[Rejected] = []
        count = len(self.source.names)
        for attempt in range(count):
            index = self._photo_index(number, attempt)
            try:
                crop = self._crop(index, np.random.default_rng([self.seed, number]))
            except DataError as error:
                rejected.append(Rejected(self.source.names[index], str(error)))
                continue
            return torch.from_numpy(crop).permute(2, 0, 1).float().div(255), rejected
        first = rejected[0]
        raise DataError(
            f"none of the {count} photos can be used: {first.name}: {first.reason}"
            + (f" (and {count - 1} more)" if count > 1 else "")
        )

    def _photo_index(self, number: int, attempt: int) -> int:
        count = len(self.source.names)
        epoch, position = divmod(number, count)
        if self._permutation[0] != epoch:
            order = np.random.default_rng([self.seed, epoch, 1]).permutation(count)
            self._permutation = (epoch, order)
        return int(self._permutation[1][(position + attempt) % count])

    def _crop(self, index: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        crop_px = self.crop_px
        pixels = decode_photo(self.source.read(index), int(crop_px * self.max_zoom))
        height, width = pixels.shape[:2]
        short_side = min(height, width)
        if short_side < crop_px:
            raise DataError(f"{width}x{height} px is below the crop size of {crop_px} px")
        target = min(short_side, crop_px * rng.uniform(self.min_zoom, self.max_zoom))
        region = crop_px * short_side / target  # crop's side in the photo's own pixels
        left = rng.uniform(0, width - region)
        top = rng.uniform(0, height - region)
        crop = Image.fromarray(pixels).resize(
            (crop_px, crop_px),
            Image.Resampling.BICUBIC,
            box=(left, top, left + region, top + region),
            reducing_gap=None,
        )
        result = np.asarray(crop)
        return np.ascontiguousarray(result[:, ::-1]) if rng.random() < 0.5 else result.copy()


class CropBatches(Sampler[list[int]]):
    """Numbers of the samples of each step's batch, from ``first_step`` to ``last_step``.

    Processes of a distributed run take disjoint numbers.

    Args:
        batch_size: samples per process.
        first_step: number of the first step, from 0.
        last_step: number after the last step.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        batch_size: int,
        first_step: int,
        last_step: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.batch_size = batch_size
        self.first_step = first_step
        self.last_step = last_step
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[list[int]]:
        """Yields one list of sample numbers per step."""
        for step in range(self.first_step, self.last_step):
            start = (step * self.world_size + self.rank) * self.batch_size
            yield list(range(start, start + self.batch_size))

    def __len__(self) -> int:
        """Returns the number of steps."""
        return self.last_step - self.first_step


def collate(
    samples: list[tuple[Tensor, list[Rejected]]],
) -> tuple[Tensor, list[Rejected]]:
    """Joins samples to ``(N, 3, H, W)`` and one list of photos passed over."""
    return torch.stack([crop for crop, _ in samples]), [r for _, rs in samples for r in rs]
