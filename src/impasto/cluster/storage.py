"""Pictures in folders: of this machine's disks, and of object stores through fsspec.

A place is an absolute path, or a URL such as ``s3://bucket/photos``. What is written has its
name only when it is whole: on disks a temporary file is renamed, and an object store shows an
object only once all of it is there.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import secrets
from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final, NamedTuple

from fsspec.core import url_to_fs
from fsspec.implementations.cached import CachingFileSystem

from impasto.errors import DataError, ImageReadError, OutputError, UsageError
from impasto.images.folders import PICTURE_SUFFIXES, iterate_pictures, real_path
from impasto.images.writing import atomic_path

_SEPARATOR: Final = "://"
_DISK: Final = "file"  # as fsspec calls it
_LOCAL: Final = ("file://", "local://")  # fsspec's names of this machine's disks

# fsspec's names of the stores whose objects appear whole; elsewhere, as on SFTP, whoever looks
# sees a file grow.
_OBJECT_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci"})


class Entry(NamedTuple):
    """A picture by its path below a folder, with ``/`` on every system."""

    name: str
    size_bytes: int


def is_url(place: str) -> bool:
    """Tells whether a place is reached through fsspec."""
    return _SEPARATOR in place


def resolve(given: str) -> str:
    """Returns the place that a user means, or raises a `UsageError`."""
    for scheme in _LOCAL:
        given = given.removeprefix(scheme)
    if not is_url(given):
        if not given:
            raise UsageError("a folder's name is empty: was a variable meant that is not set?")
        return os.path.abspath(given)  # noqa: PTH100 (pathlib's leaves ".." in)
    if not given.partition(_SEPARATOR)[2].strip("/"):
        raise UsageError(f"{given} names no folder: it takes a form such as s3://bucket/photos")
    return given.rstrip("/")


def join(folder: str, name: str) -> str:
    """Returns the place of a name below a folder.

    Raises:
        DataError: the name leads out of the folder.
    """
    path = PurePosixPath(name) if is_url(folder) else PurePath(name)
    # A store's object may have a name that begins with a slash.
    if ".." in path.parts or (path.anchor and not is_url(folder)):
        raise DataError(f"{name} does not lie below {folder}: give it another name")
    return f"{folder}/{name}" if is_url(folder) else str(Path(folder, name))


def relative(name: str) -> PurePath:
    """Returns the path of a result, below any folder, for the name of a photo.

    A store's object may have a name that leads elsewhere on a disk: ``/home/a.jpg``, and on
    Windows ``C:/a.jpg``.
    """
    path = PurePath(name)
    return PurePath(*(part for part in path.parts if part not in {path.anchor, ".."}))


def identity(place: str) -> tuple[str, str, str]:
    """Returns what all names of one place share: a kind of store, its host, and a path.

    ``s3a://`` is ``s3://``, a link is what it leads to, and a cache what lies behind it. Accounts
    are not told apart.

    Raises:
        UsageError: no store has such URLs.
    """
    path, kind, host = place, _DISK, ""
    if is_url(place):
        filesystem, path = _filesystem(place)
        if isinstance(filesystem, CachingFileSystem):
            filesystem = filesystem.fs
        kind = _protocols(filesystem)[0]
        host = str(filesystem.storage_options.get("host", ""))
    if kind == _DISK:
        return kind, "", str(real_path(Path(path)))
    # In an object store, "a//b" and "a/../b" are names like all others.
    return kind, host, path.rstrip("/") if kind in _OBJECT_STORES else posixpath.normpath(path)


def same(first: str, second: str) -> bool:
    """Tells whether two places are one; errors are those of `identity`."""
    return identity(first) == identity(second)


def list_pictures(folder: str, *, skip: str) -> list[Entry]:
    """Finds the pictures below a folder, sorted, but those below the folder of the results.

    They are those of `impasto.images.folders.iterate_pictures`.

    Raises:
        DataError: the folder cannot be read.
        UsageError: no store has such URLs.
    """
    *store, skipped = identity(skip)
    if is_url(folder):
        *own_store, root = identity(folder)
        below = None
        if store == own_store and skipped.startswith(f"{root}/"):
            below = f"{skipped.removeprefix(f'{root}/')}/"
        return sorted(
            Entry(name, size)
            for name, size in _find(folder).items()
            if _is_picture(name) and not (below and name.startswith(below))
        )
    if not os.path.isdir(folder):  # noqa: PTH112 (pathlib's raises for a name that is too long)
        raise DataError(f"{folder} is no folder: give the folder that the photos are in")
    found = iterate_pictures(folder, skip=Path(skipped) if store[0] == _DISK else None)
    return sorted(Entry(path.relative_to(folder).as_posix(), _size(path)) for path in found)


def existing(folder: str, names: Iterable[str]) -> set[str]:
    """Returns those of some names that are there; errors are those of `list_pictures`."""
    if is_url(folder):
        return _find(folder).keys() & set(names)
    return {name for name in names if os.path.exists(join(folder, name))}  # noqa: PTH110


def read(place: str) -> bytes:
    """Returns a picture's file, or raises an `ImageReadError`."""
    try:
        if is_url(place):
            filesystem, path = _filesystem(place)
            data: bytes = filesystem.cat_file(path)
            return data
        return Path(place).read_bytes()
    except FileNotFoundError as error:
        raise ImageReadError(f"no such file: {place}") from error
    except Exception as error:  # a store's client has errors of its own
        raise ImageReadError(f"cannot read {place}: {reason(error)}") from error


def write(place: str, data: bytes) -> None:
    """Writes a file whole, in folders that are made, or raises an `OutputError`."""
    if not is_url(place):
        with atomic_path(place) as temporary:
            temporary.write_bytes(data)
        return
    try:
        filesystem, path = _filesystem(place)
        if _OBJECT_STORES.intersection(_protocols(filesystem)):
            filesystem.pipe_file(path, data)
        else:
            _write_then_rename(filesystem, PurePosixPath(path), data)
    except Exception as error:
        raise OutputError(f"cannot write {place}: {reason(error)}") from error


def check_writable(folder: str) -> None:
    """Writes a file and removes it, before the work, or raises an `OutputError`."""
    try:
        place = join(folder, f".impasto-{secrets.token_hex(6)}")
        write(place, b"")
    except OutputError as error:
        raise OutputError(
            f"cannot write in {folder}: {reason(error.__cause__ or error)}"
        ) from error
    with contextlib.suppress(Exception):  # there are stores where one may write and not remove
        if is_url(place):
            filesystem, path = _filesystem(place)
            filesystem.rm_file(path)
        else:
            Path(place).unlink()


def reason(error: BaseException) -> str:
    """Returns what an error says, in one line, or else its kind."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split()) or type(error).__name__


def _find(folder: str) -> dict[str, int]:
    """Returns the names and sizes, in bytes, of all files below a folder that is a URL."""
    filesystem, root = _filesystem(folder)
    try:
        filesystem.invalidate_cache()  # of listings, which another process may have made old
        found = filesystem.find(root, detail=True)
    except FileNotFoundError:
        return {}
    except Exception as error:
        raise DataError(f"cannot list {folder}: {reason(error)}") from error
    start = len(root.rstrip("/")) + 1
    return {path[start:]: info.get("size") or 0 for path, info in found.items()}


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix.lower() in PICTURE_SUFFIXES


def _filesystem(place: str) -> tuple[Any, str]:
    """Returns fsspec's file system for a URL, which keeps one for all, and the path in it."""
    try:
        filesystem, path = url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise UsageError(f"cannot use {place}: {reason(error)}") from error
    return filesystem, path


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _write_then_rename(filesystem: Any, path: PurePosixPath, data: bytes) -> None:
    temporary = str(path.with_name(f".impasto-{secrets.token_hex(6)}{path.suffix}"))
    filesystem.makedirs(str(path.parent), exist_ok=True)
    try:
        filesystem.pipe_file(temporary, data)
        filesystem.mv(temporary, str(path))
    except BaseException:
        with contextlib.suppress(Exception):
            filesystem.rm_file(temporary)
        raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link that leads nowhere; reading it says so
        return 0
