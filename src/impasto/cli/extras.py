"""Optional packages: a missing one becomes the line that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from impasto.errors import MissingExtraError


@contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Turns a missing package inside the block into an error that names the extra.

    Raises:
        MissingExtraError: a package outside Impasto cannot be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("impasto"):
            raise
        raise MissingExtraError(extra, purpose) from error
