"""Training samples of photos that come one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final, Generic

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from impasto.data.crops import PhotoSamples, Rejected, Sample
from impasto.data.shards import StreamedPhoto, stream_photos
from impasto.errors import DataError

BUFFER_PHOTOS: Final = 1000
BUFFER_BYTES: Final = 128 * 1024 * 1024
"""What every loading process holds at most, encoded, to shuffle it."""

REJECTED_IN_A_ROW: Final = 100
"""So many unusable photos or shards in a row end a run: there will hardly be others."""


class PhotoStream(IterableDataset[tuple[Sample, list[Rejected]]], Generic[Sample]):
    """An endless stream of training samples from shards.

    Every pass takes the shards in a fresh order. They are dealt in turn to the loading processes
    of all ranks, so that one of them reads a photo of a pass; each shuffles what it reads within
    a buffer. The stream is a function of the seed, ``first_step`` and the number of processes:
    a run that is resumed begins a pass of its own.

    Args:
        samples: makes a sample of a photo.
        shards: paths or URLs, at least one for each rank.
        first_step: number of the step that the stream begins with.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        samples: PhotoSamples[Sample],
        shards: list[str],
        *,
        first_step: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.samples = samples
        self.shards = shards
        self.first_step = first_step
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[tuple[Sample, list[Rejected]]]:
        """Yields samples, each with the photos and shards that were passed over before it.

        Raises:
            DataError: a hundred in a row cannot be used.
        """
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        reader, readers = self.rank * workers + number, self.world_size * workers
        rejected: list[Rejected] = []

        def leave_out(name: str, reason: str) -> None:
            rejected.append(Rejected(name, reason))
            if len(rejected) == REJECTED_IN_A_ROW:
                raise DataError(
                    f"{len(rejected)} photos or shards in a row cannot be used, the last of them "
                    f"{name}: {reason}"
                )

        for turn in count():
            rng = np.random.default_rng([self.samples.seed, self.first_step, turn, reader, 6])
            shards = self._dealt(turn, reader, readers)
            for photo in shuffled(stream_photos(shards, leave_out), rng):
                try:
                    sample = self.samples.draw(photo.data, rng)
                except DataError as error:
                    leave_out(photo.name, str(error))
                else:
                    yield sample, rejected.copy()
                    rejected.clear()

    def _dealt(self, turn: int, reader: int, readers: int) -> list[str]:
        """Returns the shards of a pass that a reader has; dealing goes on where the last ended."""
        shards = len(self.shards)
        order = np.random.default_rng([self.samples.seed, self.first_step, turn, 5])
        first = (reader - turn * shards) % readers
        return [self.shards[i] for i in order.permutation(shards)[first::readers]]


def shuffled(photos: Iterable[StreamedPhoto], rng: np.random.Generator) -> Iterator[StreamedPhoto]:
    """Yields every photo once, in an order that is random within a buffer."""
    held: list[StreamedPhoto] = []
    held_bytes = 0
    for photo in photos:
        held.append(photo)
        held_bytes += len(photo.data)
        while len(held) > BUFFER_PHOTOS or held_bytes > BUFFER_BYTES:
            place = int(rng.integers(len(held)))
            held[place], held[-1] = held[-1], held[place]
            chosen = held.pop()
            held_bytes -= len(chosen.data)
            yield chosen
    for place in rng.permutation(len(held)):
        yield held[place]
