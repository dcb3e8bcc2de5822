"""The pieces of a clip that is being made: each is finished once, so that a run can go on.

They lie in a folder beside the result, with a list that says what made them. What is listed is
on the disk, whatever happens to the machine; what is damaged nevertheless is made anew.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from impasto.errors import OutputError
from impasto.images.writing import atomic_path
from impasto.video.encoding import CODECS, Encoding, PieceWriter, told_errors
from impasto.video.frames import Frame

PIECE_FRAMES: Final = 250
_LIST: Final = "pieces.json"
_MEMORY: Final = "memory.{number}.npz"
_JOINED: Final = "joined"
# Of the last two pieces, so that a damaged last one costs one piece.
_MEMORIES: Final = 2
_NUMBERED: Final = "[0-9]" * 5
_OURS: Final = (
    _LIST,
    _MEMORY.format(number="*"),
    f"{_NUMBERED}.mp4",
    f"{_NUMBERED}.mov",
    f"{_JOINED}.*",
    ".impasto-*",
)


Memory: TypeAlias = dict[str, NDArray[Any]]
"""Needed of the frames before to go on as if the run had not stopped, where it is there.

``grey`` is that of the last `Frame`, ``mixture`` that of the `Carrier`.
"""


@dataclass(frozen=True)
class Piece:
    """A finished piece.

    Attributes:
        name: of its file.
        first_pts: when its first frame is shown.
        durations: of its frames, by their time within the piece.
        size: of its file, in bytes.
        memory_size: of the file with its `Memory`, in bytes.
    """

    name: str
    first_pts: int
    durations: dict[int, int]
    size: int
    memory_size: int

    @property
    def next_pts(self) -> int:
        """The first time after its last frame begins."""
        return self.first_pts + max(self.durations) + 1


class PieceFolder:
    """The folder of one result, for one run at a time: a context manager that closes it.

    Attributes:
        path: the folder.
        pieces: those that are finished.
        joined: where the result may be written before it gets its name.
        memory: after the last piece.
    """

    def __init__(self, result: Path, made_by: Mapping[str, Any]) -> None:
        """Opens the folder of a result, and empties it unless the same settings made its pieces.

        Raises:
            OutputError: the folder cannot be made, or another run is making the result.
        """
        self.path = result.with_name(f"{result.name}.parts")
        self.joined = self.path / f"{_JOINED}{result.suffix}"
        self.memory: Memory = {}
        self._made_by = json.loads(json.dumps(made_by))
        self._lock = FileLock(self.path / "lock", blocking=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            raise OutputError(
                f"another run is making {result}: wait until it ends, or choose another -o"
            ) from error
        except OSError as error:
            # Some network drives know no locks.
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
                raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error
        self.pieces = self._read()
        if not self.pieces:
            self.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Lets other runs in, and removes the folder if nothing is in it to go on from."""
        if not self.pieces:
            self.clear()
        # Before the release, after which the file might be the next run's; Windows removes no
        # open file, and there the lock does it.
        with contextlib.suppress(OSError):
            (self.path / "lock").unlink()
        self._lock.release()
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @property
    def frame_count(self) -> int:
        """How many frames are finished."""
        return sum(len(piece.durations) for piece in self.pieces)

    def write(
        self,
        frames: Iterator[Frame],
        encoding: Encoding,
        mixture: Callable[[], NDArray[Any] | None],
    ) -> None:
        """Encodes the frames after the finished pieces; an interrupted piece is removed.

        Args:
            frames: all of them.
            encoding: how.
            mixture: returns that of `Memory`, or None.
        """
        for frame in frames:
            path = self.path / f"{len(self.pieces):05}.{CODECS[encoding.codec].piece}"
            writer = PieceWriter(path, encoding, frame.pts)
            first = last = frame
            try:
                writer.write(frame)
                for last in itertools.islice(frames, PIECE_FRAMES - 1):
                    writer.write(last)
                writer.finish()
            except BaseException:
                writer.abandon()
                raise
            arrays = {"grey": last.grey, "mixture": mixture()}
            memory = {name: array for name, array in arrays.items() if array is not None}
            self._add(path, first.pts, writer.durations, memory)

    def clear(self) -> None:
        """Removes what runs leave in the folder."""
        self.pieces = []
        for pattern in _OURS:
            for file in self.path.glob(pattern):
                with contextlib.suppress(OSError):
                    file.unlink()

    def _add(self, path: Path, first_pts: int, durations: dict[int, int], memory: Memory) -> None:
        number = len(self.pieces)
        memory_file = self._memory_file(number)
        with told_errors(self.path, "what the next frame needs"):
            np.savez(memory_file, **memory)  # type: ignore[arg-type]  # its stubs
            sizes = [sync(file) for file in (path, memory_file)]
        self.pieces.append(Piece(path.name, first_pts, durations, *sizes))
        rows = [asdict(piece) for piece in self.pieces]
        text = json.dumps({"made_by": self._made_by, "pieces": rows})
        with atomic_path(self.path / _LIST) as temporary:
            temporary.write_text(text, encoding="utf-8")
            sync(temporary)
        with contextlib.suppress(OSError):
            self._memory_file(number - _MEMORIES).unlink()

    def _memory_file(self, number: int) -> Path:
        return self.path / _MEMORY.format(number=number)

    def _read(self) -> list[Piece]:
        """Reads the list as far as its pieces are whole, and the memory there."""
        pieces = self._listed()
        whole = 0
        while whole < len(pieces) and _size(self.path / pieces[whole].name) == pieces[whole].size:
            whole += 1
        for count in range(whole, max(0, len(pieces) - _MEMORIES), -1):
            file = self._memory_file(count - 1)
            if _size(file) == pieces[count - 1].memory_size:
                with (
                    contextlib.suppress(OSError, ValueError, LookupError, zipfile.BadZipFile),
                    np.load(file) as arrays,
                ):
                    self.memory = dict(arrays)
                    return pieces[:count]
        return []

    def _listed(self) -> list[Piece]:
        try:
            listed = json.loads((self.path / _LIST).read_text(encoding="utf-8"))
            if listed["made_by"] != self._made_by:
                return []
            pieces = []
            for row in listed["pieces"]:
                durations = {int(pts): duration for pts, duration in row["durations"].items()}
                pieces.append(Piece(**{**row, "durations": durations}))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return []  # nothing that a run could go on with
        return pieces


def sync(path: Path) -> int:
    """Waits until a file is on the disk and returns its size in bytes."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
