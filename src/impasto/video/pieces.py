"""The pieces of a clip that is being made: each is finished once, so that a run can go on.

They lie in a folder beside the result, with a list that says what made them. What is listed is
on the disk, whatever happens to the machine; what is damaged nevertheless is made anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from impasto.errors import OutputError
from impasto.images.writing import atomic_path
from impasto.video.encoding import CODECS, Encoding, PieceWriter, told_errors
from impasto.video.frames import Floats, Frame, Picture
from impasto.video.lock import FolderLock

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


@dataclass(frozen=True)
class Piece:
    """A finished piece.

    Attributes:
        name: of its file.
        first_pts: when its first frame is shown.
        durations: of its frames, by their time within the piece.
        size: of its file, in bytes.
        memory_size: of the file with what the next frame needs, in bytes.
    """

    name: str
    first_pts: int
    durations: dict[int, int]
    size: int = 0
    memory_size: int = 0

    @property
    def next_pts(self) -> int:
        """The first time after its last frame begins."""
        return self.first_pts + max(self.durations) + 1


@dataclass(frozen=True, eq=False)
class Memory:
    """What a run needs of the frames before to go on as if it had not stopped.

    Attributes:
        grey: as in `Frame`, of the last one.
        mixture: as in `Carrier`.
    """

    grey: Picture | None
    mixture: Floats | None


class PieceFolder:
    """The folder of one result, for one run at a time: a context manager that closes it.

    Attributes:
        path: the folder.
        pieces: those that are finished.
        joined: where the result may be written before it gets its name.
        memory: what was remembered after the last of them; None where there are none.
    """

    def __init__(self, result: Path, made_by: Mapping[str, Any]) -> None:
        """Opens the folder, and empties it unless the same settings made what is in it.

        Args:
            result: the file that shall be made.
            made_by: all that the result depends on; JSON-ready.

        Raises:
            OutputError: the folder cannot be made, or another run is making the result.
        """
        self.path = result.with_name(f"{result.name}.parts")
        self.joined = self.path / f"{_JOINED}{result.suffix}"
        self._made_by = json.loads(json.dumps(made_by))
        self.memory: Memory | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.path)
        except BlockingIOError as error:
            raise OutputError(
                f"another run is making {result}: wait until it ends, or choose another -o"
            ) from error
        except OSError as error:
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
        self._lock.release()
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @property
    def frame_count(self) -> int:
        """How many frames are finished."""
        return sum(len(piece.durations) for piece in self.pieces)

    def write(self, frames: Iterator[Frame], encoding: Encoding, mixture: Any) -> None:
        """Encodes frames into pieces; one that is interrupted is removed.

        Args:
            frames: those that come after the finished pieces.
            encoding: how.
            mixture: a function that returns what `Memory.mixture` shall be.

        Raises:
            OutputError: the disk is full, for example.
        """
        while True:
            frame = next(frames, None)
            if frame is None:
                return
            number = len(self.pieces)
            path = self.path / f"{number:05}.{CODECS[encoding.codec].piece}"
            writer = PieceWriter(path, encoding, frame.pts)
            first = last = frame
            try:
                writer.write(frame)
                for frame in frames:
                    writer.write(frame)
                    last = frame
                    if len(writer.durations) >= PIECE_FRAMES:
                        break
                writer.finish()
            except BaseException:
                writer.abandon()
                raise
            memory = Memory(last.grey, mixture())
            self._add(Piece(path.name, first.pts, writer.durations), memory)

    def clear(self) -> None:
        """Removes what runs leave in the folder."""
        self.pieces = []
        for pattern in _OURS:
            for file in self.path.glob(pattern):
                with contextlib.suppress(OSError):
                    file.unlink()

    def _add(self, piece: Piece, memory: Memory) -> None:
        values: dict[str, Any] = {}
        if memory.grey is not None:
            values["grey"] = memory.grey
        if memory.mixture is not None:
            values["mixture"] = memory.mixture
        number = len(self.pieces)
        file, memory_file = self.path / piece.name, self._memory_file(number)
        with told_errors(self.path, "what the next frame needs"):
            np.savez(memory_file, **values)
            sizes = [sync(path) for path in (file, memory_file)]
        self.pieces.append(replace(piece, size=sizes[0], memory_size=sizes[1]))
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
        """Reads the list as far as its pieces are whole, and what was remembered there."""
        pieces = self._listed()
        whole = 0
        while whole < len(pieces) and _size(self.path / pieces[whole].name) == pieces[whole].size:
            whole += 1
        for count in range(whole, max(0, len(pieces) - _MEMORIES), -1):
            file = self._memory_file(count - 1)
            if _size(file) == pieces[count - 1].memory_size:
                with contextlib.suppress(OSError, ValueError, LookupError, zipfile.BadZipFile):
                    self.memory = _load_memory(file)
                    return pieces[:count]
        return []

    def _listed(self) -> list[Piece]:
        try:
            listed = json.loads((self.path / _LIST).read_text(encoding="utf-8"))
            if listed["made_by"] != self._made_by:
                return []
            return [
                Piece(
                    row["name"],
                    row["first_pts"],
                    {int(pts): duration for pts, duration in row["durations"].items()},
                    row["size"],
                    row["memory_size"],
                )
                for row in listed["pieces"]
            ]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return []  # nothing that a run could go on with


def sync(path: Path) -> int:
    """Waits until a file is on the disk and returns its size in bytes.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _load_memory(path: Path) -> Memory:
    with np.load(path) as arrays:
        return Memory(arrays.get("grey"), arrays.get("mixture"))
