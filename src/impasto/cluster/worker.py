"""What every worker of a batch does with a picture: read it, change it, write the result."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from impasto.cluster import storage
from impasto.errors import ClusterError, ImageTooLargeError, ImpastoError
from impasto.images.writing import format_of
from impasto.work import Work

MOST_ATTEMPTS: Final = 3
"""How often a picture is begun: one that ends its worker each time would go round for good."""

MakeWork: TypeAlias = Callable[[], Work]
"""Loads a model and returns what is done with every picture; it is sent to workers by pickle."""

Status: TypeAlias = Literal["done", "skipped", "failed"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)


@dataclass(frozen=True)
class Job:
    """One picture to work on: all that travels to a worker.

    Attributes:
        path: path or URL of the photo.
        output: path or URL of the result, whose suffix is the format.
        size_bytes: of the photo's file.
    """

    path: str
    output: str
    size_bytes: int


@dataclass(frozen=True)
class Result:
    """What became of a picture: a row of the manifest.

    Attributes:
        path: path or URL of the photo.
        output: path or URL of the result.
        status: ``"done"``, ``"skipped"`` (the output was there) or ``"failed"``.
        error: the message of what failed, or None.
        attempts: how often it was begun: more than once where a worker died.
        worker: machine and process that worked on it last.
        elapsed_s: wall-clock time of reading, working and writing.
        size_bytes: of the photo's file.
        width: of the result, in px.
        height: of the result, in px.
    """

    path: str
    output: str
    status: Status
    error: str | None = None
    attempts: int = 0
    worker: str | None = None
    elapsed_s: float = 0.0
    size_bytes: int = 0
    width: int | None = None
    height: int | None = None


class Attempts:
    """Counts how often each picture was begun, in an actor that outlives the workers.

    A worker is given several pictures at once where there are many, and its successor all of
    them again: those that have ended by then are told, and not begun anew.
    """

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._ended: dict[str, bytes] = {}

    def begin(self, path: str) -> int | bytes:
        """Returns the number of an attempt, from 1, or the row of a picture that has ended."""
        if path in self._ended:
            return self._ended[path]
        self._begun[path] += 1
        return self._begun[path]

    def end(self, path: str, row: bytes) -> None:
        """Keeps what became of a picture; packed, for there may be millions."""
        self._begun.pop(path, None)
        self._ended[path] = row


class Worker:
    """The actor's side of a batch, which keeps one model warm."""

    def __init__(self, make_work: Any, attempts: Any) -> None:
        """Loads the model, by Ray's reference of a `MakeWork` and handle of an `Attempts`."""
        import ray

        self._get = ray.get
        self._work: Work = ray.get(make_work)()
        self._attempts = attempts
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Turns the fields of a `Job` into those of a `Result`, errors too, which stop nothing."""
        job, start_s = Job(**row), time.perf_counter()
        attempt: int | bytes = self._get(self._attempts.begin.remote(job.path))
        if isinstance(attempt, bytes):
            ended: dict[str, Any] = json.loads(attempt)
            return ended
        width = height = error = None
        try:
            if attempt > MOST_ATTEMPTS:
                raise ClusterError(
                    f"{MOST_ATTEMPTS} workers died of it, perhaps for want of memory: "
                    "try it alone with `impasto stylize`"
                )
            file_format = format_of(job.output)
            photo = self._work.read(storage.read(job.path), name=job.path)
            self._work.check(photo, file_format)
            photo = self._work.change(photo)
            storage.write(job.output, self._work.encode(photo, file_format))
            height, width = photo.rgb.shape[:2]
        except MemoryError:
            error = str(ImageTooLargeError(f"{job.path} does not fit into memory"))
        except ImpastoError as caught:
            error = storage.reason(caught)
        except Exception as caught:  # a fault of ours with one picture stops one picture
            error = f"{type(caught).__name__}: {storage.reason(caught)}"
        result = Result(
            **row,
            status="done" if error is None else "failed",
            error=error,
            attempts=min(attempt, MOST_ATTEMPTS),
            worker=self._name,
            elapsed_s=round(time.perf_counter() - start_s, 4),
            width=width,
            height=height,
        )
        told = asdict(result)
        # Nobody waits for it: an actor hears one worker's calls in their order, so it has heard
        # this one when the next picture begins.
        self._attempts.end.remote(job.path, json.dumps(told).encode())
        return told
