"""The pieces of a clip that is being made: each is finished once, so that a run can go on.

They lie in a folder beside the result, with a list that says what made them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from impasto.errors import OutputError
from impasto.images.writing import atomic_path
from impasto.video.encoding import CODECS, Encoding, PieceWriter, told_errors
from impasto.video.frames import Floats, Frame, Picture

PIECE_FRAMES: Final = 250
_LIST: Final = "pieces.json"
_MEMORY: Final = "memory.{number}.npz"
_NUMBERED: Final = "[0-9]" * 5
_OURS: Final = (
    _LIST,
    _MEMORY.format(number="*"),
    f"{_NUMBERED}.mp4",
    f"{_NUMBERED}.mov",
    ".impasto-*",
)


@dataclass(frozen=True)
class Piece:
    """A finished piece.

    Attributes:
        name: of its file.
        first_pts: when its first frame is shown.
        durations: of its frames, by their time within the piece.
    """

    name: str
    first_pts: int
    durations: dict[int, int]

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
        averages: as in `Frame`.
    """

    grey: Picture | None
    mixture: Floats | None
    averages: Mapping[str, Mapping[str, Floats]]


class PieceFolder:
    """The folder of one result.

    Attributes:
        path: the folder.
        pieces: those that are finished.
    """

    def __init__(self, result: Path, made_by: Mapping[str, Any]) -> None:
        """Opens the folder, and empties it unless the same settings made what is in it.

        Args:
            result: the file that shall be made.
            made_by: all that the result depends on; JSON-ready.

        Raises:
            OutputError: the folder cannot be made.
        """
        self.path = result.with_name(f"{result.name}.parts")
        self._made_by = json.loads(json.dumps(made_by))
        self.pieces = self._read()
        if not self.pieces:
            self.remove()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error

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
            memory = Memory(last.grey, mixture(), last.averages)
            self._add(Piece(path.name, first.pts, writer.durations), memory)

    def memory(self) -> Memory:
        """Returns what was remembered after the last finished piece."""
        flat = dict(np.load(self.path / _MEMORY.format(number=len(self.pieces) - 1)))
        averages: dict[str, dict[str, Floats]] = {}
        for key, values in flat.items():
            kind, _, name = key.partition("/")
            if name:
                averages.setdefault(kind, {})[name] = values
        return Memory(flat.get("grey"), flat.get("mixture"), averages)

    def remove(self) -> None:
        """Removes what a run leaves in the folder, and then the folder if nothing else is in it."""
        for pattern in _OURS:
            for file in self.path.glob(pattern):
                with contextlib.suppress(OSError):
                    file.unlink()
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _add(self, piece: Piece, memory: Memory) -> None:
        values: dict[str, Any] = {
            f"{kind}/{name}": array
            for kind, averages in memory.averages.items()
            for name, array in averages.items()
        }
        if memory.grey is not None:
            values["grey"] = memory.grey
        if memory.mixture is not None:
            values["mixture"] = memory.mixture
        number = len(self.pieces)
        with told_errors(self.path, "what the next frame needs"):
            np.savez(self.path / _MEMORY.format(number=number), **values)
        self.pieces.append(piece)
        rows = [asdict(piece) for piece in self.pieces]
        text = json.dumps({"made_by": self._made_by, "pieces": rows})
        with atomic_path(self.path / _LIST) as temporary:
            temporary.write_text(text, encoding="utf-8")
        with contextlib.suppress(OSError):
            (self.path / _MEMORY.format(number=number - 1)).unlink()

    def _read(self) -> list[Piece]:
        try:
            listed = json.loads((self.path / _LIST).read_text(encoding="utf-8"))
            if listed["made_by"] != self._made_by:
                return []
            pieces = [
                Piece(
                    row["name"],
                    row["first_pts"],
                    {int(pts): duration for pts, duration in row["durations"].items()},
                )
                for row in listed["pieces"]
            ]
            names = [piece.name for piece in pieces]
            names.append(_MEMORY.format(number=len(pieces) - 1))
            return pieces if all((self.path / name).is_file() for name in names) else []
        except (OSError, ValueError, LookupError, TypeError):
            return []  # nothing that a run could go on with
