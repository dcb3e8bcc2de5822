"""A lock on a file, which the system takes back from a process that ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_NAME: Final = "lock"


class FolderLock:
    """Keeps a second run out of a folder, by a file in it."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock.

        Args:
            folder: is there.

        Raises:
            BlockingIOError: another run has it.
            OSError: the file cannot be made.
        """
        self._path = folder / _NAME
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._descriptor)
        except (BlockingIOError, PermissionError) as error:
            os.close(self._descriptor)
            raise BlockingIOError from error
        except OSError:
            pass  # some network drives know no locks

    def release(self) -> None:
        """Gives the lock back and removes its file."""
        if sys.platform == "win32":  # which removes no open file
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                self._path.unlink()
        else:
            # The other way round, the file might be the next run's by then.
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
