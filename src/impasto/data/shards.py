"""Photos in WebDataset shards: ``.tar`` files on disks or object stores, read from end to end."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import IO, Final, Generic, NamedTuple, cast

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from impasto.data.crops import PhotoSamples, Rejected, Sample
from impasto.data.sources import SUFFIXES, is_photo
from impasto.errors import DataError, ImpastoError, MissingExtraError

HEAD_PHOTOS: Final = 64
"""Photos at the beginning of the shards that are kept for whatever needs photos by number."""

BUFFER_PHOTOS: Final = 1000
BUFFER_BYTES: Final = 128 * 1024 * 1024
"""What every loading process holds at most, encoded, to shuffle it."""

REJECTED_IN_A_ROW: Final = 100
"""So many unusable photos or shards in a row end a run: there will hardly be others."""

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)")
_PURPOSE: Final = "training on a pattern of shards"


class StreamedPhoto(NamedTuple):
    """An encoded photo; its name is that of its shard and its own."""

    name: str
    data: bytes


@dataclass
class ShardSource:
    """Shards that are streamed. The photos that have numbers are the first ones.

    Those serve to balance the losses, to time a step and to validate; the steps themselves read
    ``shards`` through `PhotoStream`.
    """

    shards: list[str]
    names: list[str]
    photos: list[bytes]

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes of one of the first photos."""
        return self.photos[index]

    def __getstate__(self) -> dict[str, object]:
        """Leaves the photos behind when a worker is started, which streams its own."""
        return self.__dict__ | {"names": [], "photos": []}


def shard_pattern(path: str | Path) -> str | None:
    """Returns the pattern of shards that a path is: a ``.tar`` with braces, or a URL of one.

    None is any other path, and a file that exists under that name. Of the slashes after a URL's
    scheme a `Path` keeps one; they are put back.
    """
    text = path if isinstance(path, str) else path.as_posix()
    if not text.lower().endswith(".tar"):
        return None
    if url := _URL.fullmatch(text):
        scheme, place = url.groups()
        return f"{scheme}:{'///' if scheme == 'file' else '//'}{place}"
    return text if "{" in text and not Path(path).exists() else None


def open_shards(pattern: str) -> ShardSource:
    """Finds the shards of a pattern and reads their first photos.

    Args:
        pattern: ``photos/{000..099}.tar``, ``s3://bucket/{a,b}.tar``, or of any other store that
            fsspec knows.

    Raises:
        DataError: the first or the last shard cannot be read, or the first holds no photo.
        MissingExtraError: the extra ``cluster`` is not installed.
    """
    try:
        import webdataset.tariterators  # noqa: F401
        from braceexpand import braceexpand
    except ModuleNotFoundError as error:
        raise MissingExtraError("cluster", _PURPOSE) from error
    try:
        shards = list(dict.fromkeys(braceexpand(pattern, escape=False)))
    except ValueError as error:
        raise DataError(f"the braces of {pattern} do not match") from error
    first: list[StreamedPhoto] = []

    def leave_out(shard: str, reason: str) -> None:
        if not first:
            raise DataError(f"the shard {shard} of photos cannot be used: {reason}")

    # Asking for all takes minutes with many on a store; too long a range shows at its end.
    try:
        with _one_line(), _opened(shards[-1]):
            pass
    except DataError as error:
        leave_out(shards[-1], str(error))
    first.extend(islice(stream_photos(shards, leave_out), HEAD_PHOTOS))
    return ShardSource(shards, [photo.name for photo in first], [photo.data for photo in first])


def stream_photos(
    shards: Iterable[str], leave_out: Callable[[str, str], None]
) -> Iterator[StreamedPhoto]:
    """Yields the photos of shards as they come; other files in them are passed over.

    ``leave_out`` is called with every shard that cannot be read to its end or holds no photo, and
    with the reason.
    """
    for shard in shards:
        try:
            with _one_line():
                yield from _photos_of(shard)
        except DataError as error:
            leave_out(shard, str(error))


def _photos_of(shard: str) -> Iterator[StreamedPhoto]:
    from webdataset.tariterators import tar_file_iterator

    found = False
    with _opened(shard) as file:
        for member in tar_file_iterator(file, select_files=is_photo):
            found = True
            yield StreamedPhoto(f"{shard}/{member['fname']}", member["data"])
    if not found:
        raise DataError(f"there is no photo in it; {', '.join(SUFFIXES)} files are read")


def _opened(shard: str) -> IO[bytes]:
    from fsspec.core import url_to_fs

    try:
        store, path = url_to_fs(shard)
    except ImportError as error:
        if shard.startswith("s3"):
            raise MissingExtraError("cluster", _PURPOSE) from error
        raise  # fsspec says what to install
    return cast("IO[bytes]", store.open(path, "rb"))


@contextmanager
def _one_line() -> Iterator[None]:
    """Turns whatever a store raises into a `DataError` of one line, the reason alone."""
    try:
        yield
    except ImpastoError:
        raise
    except FileNotFoundError as error:
        raise DataError("it is not there") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError("it is no .tar, or it is damaged") from error
    except Exception as error:  # each store has errors of its own
        words = str(error).strip().partition("\n")[0]
        raise DataError(f"{type(error).__name__}: {words}") from error


class PhotoStream(IterableDataset[tuple[Sample, list[Rejected]]], Generic[Sample]):
    """An endless stream of training samples from shards, at least one for each rank.

    Every pass takes the shards in a fresh order. They are dealt in turn to the loading processes
    of all ranks, so that one of them reads a photo of a pass; each shuffles what it reads within
    a buffer. The stream is a function of the seed, ``first_step`` and the number of processes:
    a run that is resumed begins a pass of its own.
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
        """Returns a reader's shards of a pass; dealing goes on where the last pass ended."""
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
