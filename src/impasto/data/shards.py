"""Photos in WebDataset shards: ``.tar`` files on disks or object stores, read from end to end."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast

from impasto.data.sources import SUFFIXES, is_photo
from impasto.errors import DataError, ImpastoError, MissingExtraError

HEAD_PHOTOS: Final = 64
"""Photos at the beginning of the shards that are kept for whatever needs photos by number."""

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)")
_PURPOSE: Final = "training on a pattern of shards"


@dataclass(frozen=True)
class StreamedPhoto:
    """An encoded photo; its name is that of its shard and its own."""

    name: str
    data: bytes


@dataclass
class ShardSource:
    """Shards that are streamed. The photos that have numbers are the first ones.

    Those serve to balance the losses, to time a step and to validate; the steps themselves read
    ``shards`` through `impasto.data.stream.PhotoStream`.
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

    Of the slashes after a URL's scheme a `Path` keeps one; they are put back.

    Returns:
        The pattern, or None for any other path and for a file that exists under that name.
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
    names: list[str] = []
    photos: list[bytes] = []

    def leave_out(shard: str, reason: str) -> None:
        if not photos:
            raise DataError(f"the shard {shard} of photos cannot be used: {reason}")

    # Asking for all takes minutes with many on a store; too long a range shows at its end.
    try:
        with _one_line(), _opened(shards[-1]):
            pass
    except DataError as error:
        leave_out(shards[-1], str(error))
    for photo in islice(stream_photos(shards, leave_out), HEAD_PHOTOS):
        names.append(photo.name)
        photos.append(photo.data)
    return ShardSource(shards, names, photos)


def stream_photos(
    shards: Iterable[str], leave_out: Callable[[str, str], None]
) -> Iterator[StreamedPhoto]:
    """Yields the photos of shards as they come; other files in them are passed over.

    Args:
        shards: paths or URLs.
        leave_out: called with every shard that cannot be read to its end or holds no photo, and
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
    """Turns whatever a store raises into one line.

    Raises:
        DataError: the message gives the reason alone.
    """
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
