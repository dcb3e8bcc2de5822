"""Random samples of photos, each a pure function of the seed and its number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler, default_collate

from impasto.data.choices import MIDDLE_RATIO, RATIOS
from impasto.data.sources import PhotoSource, decode_photo
from impasto.errors import DataError

Sample = TypeVar("Sample")

_MOST_IN_ONE_STEP: Final = 2.0
"""How much larger the refine network makes a draft at most, in one step."""


@dataclass(frozen=True)
class Rejected:
    """A photo that cannot be used."""

    name: str
    reason: str


class PhotoSamples(Dataset[tuple[Sample, list[Rejected]]], ABC, Generic[Sample]):
    """An endless, numbered sequence of training samples, each made from one photo.

    Sample ``i`` depends on ``(seed, i)`` alone: every pass over the photos is a fresh
    permutation, and all else comes from a generator of the sample's own. Resuming at any
    sample, with any number of workers, gives the same pictures.

    Args:
        source: the photos.
        seed: 0 or more.
    """

    def __init__(self, source: PhotoSource, *, seed: int) -> None:
        self.source = source
        self.seed = seed
        self._permutation: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def __getitem__(self, number: int) -> tuple[Sample, list[Rejected]]:
        """Draws one sample; returns it and the photos passed over.

        A photo that is unreadable or too small is replaced by the next of its pass.

        Raises:
            DataError: no photo of the source can be used.
        """
        rejected: list[Rejected] = []
        count = len(self.source.names)
        for attempt in range(count):
            index = self._photo_index(number, attempt)
            try:
                rng = np.random.default_rng([self.seed, number])
                return self.draw(self.source.read(index), rng), rejected
            except DataError as error:
                rejected.append(Rejected(self.source.names[index], str(error)))
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

    @abstractmethod
    def draw(self, data: bytes, rng: np.random.Generator) -> Sample:
        """Makes a sample from one encoded photo, all that is random from ``rng``.

        Raises:
            DataError: the photo cannot be used.
        """


class PhotoCrops(PhotoSamples[Tensor]):
    """Random crops: ``(3, crop_px, width)`` float32 RGB in [0, 1], some of them mirrored.

    Args:
        source: the photos.
        crop_px: height of a crop. Photos whose shorter side is below it are not used.
        max_zoom: a crop shows the largest part of its shape that the photo holds, or a part so
            many times smaller, but no part smaller than the crop.
        min_zoom: the least of these times, from 1 up.
        ratio: width of a crop as a share of its height, from 1 up.
        seed: 0 or more.
    """

    def __init__(
        self,
        source: PhotoSource,
        crop_px: int,
        *,
        max_zoom: float,
        min_zoom: float = 1.0,
        ratio: float = 1.0,
        seed: int,
    ) -> None:
        super().__init__(source, seed=seed)
        self.crop_px = crop_px
        self.width_px = round(crop_px * ratio)
        self.min_zoom = min_zoom
        self.max_zoom = max_zoom

    def draw(self, data: bytes, rng: np.random.Generator) -> Tensor:
        """Cuts a crop from one encoded photo, or raises `DataError`."""
        crop_px = self.crop_px
        pixels = decode_photo(data, int(self.width_px * self.max_zoom))
        height, width = pixels.shape[:2]
        short_side = min(height, width)
        if short_side < crop_px:
            raise DataError(f"{width}x{height} px is below the crop size of {crop_px} px")
        largest = min(height / crop_px, width / self.width_px)
        scale = max(min(1.0, largest), largest / rng.uniform(self.min_zoom, self.max_zoom))
        crop = cut(pixels, (crop_px, self.width_px), scale, rng)
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        return to_unit_tensor(crop)


class RefineSample(NamedTuple):
    """A square part of a photo.

    Attributes:
        low: ``(3, side, side)`` at the size of the draft.
        middle: ``(3, m, m)`` at the size between two steps.
        window: ``(3, w, w)`` of the part at its full size, with the refine network's border.
        place: number of the ratio, top and left of the window, steps: 1 or 2.
    """

    low: Tensor
    middle: Tensor
    window: Tensor
    place: Tensor


class RefineCrops(PhotoSamples[RefineSample]):
    """Random parts of photos, each at the size of a draft and at a larger one.

    Args:
        source: the photos.
        side_px: height and width of the draft.
        window_px: of the window at the larger size, its border included; at most 1.2 sides.
        seed: 0 or more.
    """

    def __init__(self, source: PhotoSource, side_px: int, window_px: int, *, seed: int) -> None:
        super().__init__(source, seed=seed)
        self.side_px = side_px
        self.window_px = window_px

    def draw(self, data: bytes, rng: np.random.Generator) -> RefineSample:
        """Cuts a part from one encoded photo, or raises `DataError`."""
        side = self.side_px
        pixels = decode_photo(data, 4 * side)
        short_side = min(pixels.shape[:2])
        possible = [number for number, ratio in enumerate(RATIOS) if ratio * side <= short_side]
        if not possible:
            raise DataError(
                f"{pixels.shape[1]}x{pixels.shape[0]} px is below the {RATIOS[0] * side:.0f} px "
                "that the refine network needs (--refine-share 0 leaves it out)"
            )
        number = int(rng.choice(possible))
        full = round(side * RATIOS[number])
        scale = rng.uniform(1, min(short_side / full, 2))
        part = cut(pixels, (full, full), scale, rng)
        if rng.random() < 0.5:
            part = part[:, ::-1]
        top, left = rng.integers(0, full - self.window_px + 1, 2)
        window = part[top : top + self.window_px, left : left + self.window_px]
        steps = 1 + (RATIOS[number] >= _MOST_IN_ONE_STEP + (rng.random() < 0.5) * 1e-9)
        image = Image.fromarray(part)
        low, middle = (
            to_unit_tensor(np.asarray(image.resize((px, px), Image.Resampling.LANCZOS)))
            for px in (side, round(side * MIDDLE_RATIO))
        )
        place = torch.tensor([number, int(top), int(left), steps])
        return RefineSample(low, middle, to_unit_tensor(window), place)


def cut(
    pixels: NDArray[np.uint8], size: tuple[int, int], scale: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Cuts a part of ``(H, W, 3)`` uint8 at a random place, and resizes it.

    Args:
        pixels: the photo.
        size: height and width of the result, in px.
        scale: how many of the photo's pixels lie side by side in one of the result.
        rng: where the place comes from.
    """
    rows, columns = size
    left = rng.uniform(0, max(0.0, pixels.shape[1] - columns * scale))
    top = rng.uniform(0, max(0.0, pixels.shape[0] - rows * scale))
    right = min(pixels.shape[1], left + columns * scale)
    bottom = min(pixels.shape[0], top + rows * scale)
    return np.asarray(
        Image.fromarray(pixels).resize(
            (columns, rows),
            Image.Resampling.BICUBIC,
            box=(left, top, right, bottom),
            reducing_gap=None,
        )
    )


def to_unit_tensor(rgb: NDArray[np.uint8]) -> Tensor:
    """``(H, W, 3)`` uint8 to ``(3, H, W)`` float32 in [0, 1]."""
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1).float().div(255)


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


def collate(samples: list[tuple[Sample, list[Rejected]]]) -> tuple[Sample, list[Rejected]]:
    """Joins samples, tensor by tensor, to batches, and their lists of photos passed over."""
    batch: Sample = default_collate([sample for sample, _ in samples])
    return batch, [r for _, rejected in samples for r in rejected]
