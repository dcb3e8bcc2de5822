"""Reading, working and writing at the same time, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

# Frames that wait before a stage: enough to even out, few enough to stay small.
_WAITING: Final = 2
_LOOK_EVERY_S: Final = 0.1
# A reader that is inside FFmpeg looks up only with its next frame, and leaves nothing behind.
_READER_GETS_S: Final = 2.0


class _StoppedError(Exception):
    """Another stage has failed, or the run was interrupted."""


class _Channel(Generic[Item]):
    """Hands items from one thread to another, a few at a time."""

    def __init__(self, stop: threading.Event) -> None:
        self._items: queue.Queue[Item | None] = queue.Queue(_WAITING)
        self._stop = stop

    def put(self, item: Item | None) -> None:
        """Waits for room; None ends the items."""
        while not self._stop.is_set():
            try:
                return self._items.put(item, timeout=_LOOK_EVERY_S)
            except queue.Full:
                continue
        raise _StoppedError

    def __iter__(self) -> Iterator[Item]:
        while not self._stop.is_set():
            try:
                item = self._items.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                continue
            if item is None:
                return
            yield item
        raise _StoppedError


def run_stages(
    read: Iterable[Item], work: Callable[[Item], Item], write: Callable[[Iterator[Item]], None]
) -> None:
    """Passes items through three stages that overlap, in their order.

    Args:
        read: gives the items; runs in a thread.
        work: changes one; runs in the caller's thread.
        write: takes all of them; runs in a thread. Where the run fails or is interrupted, its
            iterator raises, so that it can leave what it began.

    Raises:
        BaseException: what a stage raised, the first of them; the writer has ended then, and the
            reader ends with its next item.
    """
    run = _Run[Item]()

    def reading() -> None:
        for item in read:
            run.incoming.put(item)
        run.incoming.put(None)

    stages = {"reader": reading, "writer": lambda: write(iter(run.outgoing))}
    threads = [
        threading.Thread(target=run.guarded, args=(stage,), name=f"impasto {name}", daemon=True)
        for name, stage in stages.items()
    ]
    for thread in threads:
        thread.start()

    def working() -> None:
        for item in run.incoming:
            run.outgoing.put(work(item))
        run.outgoing.put(None)
        # A join without a time-out would keep Ctrl-C waiting.
        while any(thread.is_alive() for thread in threads) and not run.stop.is_set():
            for thread in threads:
                thread.join(_LOOK_EVERY_S)

    run.guarded(working)
    reader, writer = threads
    writer.join()
    reader.join(_READER_GETS_S)
    if run.errors:
        raise run.errors[0]


class _Run(Generic[Item]):
    """What the threads of a run share."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self.incoming: _Channel[Item] = _Channel(self.stop)
        self.outgoing: _Channel[Item] = _Channel(self.stop)

    def guarded(self, stage: Callable[[], None]) -> None:
        """Runs a stage; what it raises is kept, and stops the others."""
        try:
            stage()
        except _StoppedError:
            pass
        except BaseException as error:
            self.errors.append(error)
            self.stop.set()
