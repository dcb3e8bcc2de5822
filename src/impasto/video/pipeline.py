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

    def fill(self, items: Iterable[Item]) -> None:
        """Puts items in as there is room, and None after the last."""
        for item in items:
            self._put(item)
        self._put(None)

    def _put(self, item: Item | None) -> None:
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
        BaseException: the first error of a stage; the writer has ended then, and the reader
            ends with its next item.
    """
    stop, errors = threading.Event(), list[BaseException]()
    incoming, outgoing = _Channel[Item](stop), _Channel[Item](stop)

    def guarded(stage: Callable[[], None]) -> None:
        """Runs a stage; its error is kept, and stops the others."""
        try:
            stage()
        except _StoppedError:
            pass
        except BaseException as error:
            errors.append(error)
            stop.set()

    def working() -> None:
        outgoing.fill(map(work, incoming))
        # A join without a time-out would keep Ctrl-C waiting.
        while (reader.is_alive() or writer.is_alive()) and not stop.is_set():
            for thread in (reader, writer):
                thread.join(_LOOK_EVERY_S)

    reader, writer = (
        threading.Thread(target=guarded, args=(stage,), name=f"impasto {name}", daemon=True)
        for name, stage in (
            ("reader", lambda: incoming.fill(read)),
            ("writer", lambda: write(iter(outgoing))),
        )
    )
    reader.start()
    writer.start()
    guarded(working)
    writer.join()
    reader.join(_READER_GETS_S)
    if errors:
        raise errors[0]
