"""The workers that paint, and the line before them, which has an end."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from impasto.server.problems import ProblemError

_Result = TypeVar("_Result")

_LOOK_EVERY_S: Final = 0.5
_LONGEST_RETRY_S: Final = 60


class AbandonedError(Exception):
    """Raised in a worker whose result nobody waits for any more."""


class Task:
    """One request's work, as its worker sees it.

    Attributes:
        times_s: of the stages, by their names, in their order.
    """

    def __init__(self) -> None:
        self.times_s: dict[str, float] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Says that nobody waits any more."""
        self._stopped.set()

    def check(self, _share: float = 0.0) -> None:
        """Raises an `AbandonedError` where nobody waits; fit to be told of progress."""
        if self._stopped.is_set():
            raise AbandonedError

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures a stage, or raises an `AbandonedError` where nobody waits for it."""
        self.check()
        start = time.perf_counter()
        yield
        self.times_s[name] = time.perf_counter() - start


class WorkerPool:
    """Threads that work on pictures.

    ONNX Runtime, Pillow and NumPy let go of Python's lock, so threads use all cores and share
    one copy of every model.
    """

    def __init__(self, workers: int, queue: int) -> None:
        """Makes room for so many pictures at once, and requests that wait beside those."""
        self.workers, self.places, self.taken = workers, workers + queue, 0
        self._executor = ThreadPoolExecutor(workers, "impasto-worker")
        self._last_s = 1.0

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Takes a place for one request, from before its body is read to its answer.

        Raises:
            ProblemError: all places are taken.
        """
        if self.taken >= self.places:
            wait_s = math.ceil(self.taken * self._last_s / self.workers)
            raise ProblemError(
                503,
                "busy",
                f"all {self.places} places are taken: try again in a moment",
                {"Retry-After": str(min(max(1, wait_s), _LONGEST_RETRY_S))},
            )
        self.taken += 1
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def submit(self, work: Callable[[Task], _Result], task: Task) -> Future[_Result]:
        """Has a worker call a function with a task, after the work that waits already."""
        queued = time.perf_counter()

        def run() -> _Result:
            task.check()
            start = time.perf_counter()
            task.times_s["queue"] = start - queued
            result = work(task)
            self._last_s = time.perf_counter() - start
            return result

        return self._executor.submit(run)

    def close(self) -> None:
        """Lets the workers finish what they have begun, and drops the rest."""
        self._executor.shutdown(cancel_futures=True)


class Place:
    """One request's place in a pool."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool, self._loop = pool, asyncio.get_running_loop()
        self._job: Future[Any] | None = None

    async def run(
        self,
        work: Callable[[Task], _Result],
        task: Task,
        is_gone: Callable[[], Awaitable[bool]],
    ) -> _Result:
        """Waits for a worker and for its result.

        Raises:
            AbandonedError: the sender has left, as ``is_gone`` tells.
        """
        self._job = job = self._pool.submit(work, task)
        waiting = asyncio.wrap_future(job)
        try:
            while not (await asyncio.wait({waiting}, timeout=_LOOK_EVERY_S))[0]:
                if await is_gone():
                    raise AbandonedError
            return waiting.result()
        finally:
            # Of work that a worker has begun, only tiles to come can be left out.
            if not job.cancel():
                task.stop()
            waiting.cancel()

    def leave(self) -> None:
        """Gives the place back, once no worker is busy for it."""
        if self._job is None or self._job.done():
            self._give_back()
            return

        def later(_job: Future[Any]) -> None:
            self._loop.call_soon_threadsafe(self._give_back)

        self._job.add_done_callback(later)

    def _give_back(self) -> None:
        self._pool.taken -= 1
