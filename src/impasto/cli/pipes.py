"""Pictures through stdin and stdout."""

from __future__ import annotations

import sys
from typing import BinaryIO, Final

from impasto.errors import ImageReadError, ImageTooLargeError, OutputError, UsageError

MAX_STDIN_BYTES: Final = 1 << 30  # 1 GiB: a file is read in parts, a pipe must fit into memory


def check_stdin(command: str) -> None:
    """Refuses a stdin that no picture can come from.

    Args:
        command: the command that would take it.

    Raises:
        UsageError: it is a terminal or closed.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            f"- takes the picture from stdin, where none is: `impasto {command} - < photo.jpg`"
        )


def check_stdout() -> None:
    """Refuses a stdout that cannot take a picture.

    Raises:
        UsageError: it is a terminal or closed.
    """
    if sys.stdout is None or sys.stdout.isatty():
        raise UsageError(
            "the picture would go to stdout, which is a terminal or closed: give -o FILE, or "
            "redirect it with > FILE"
        )


def read_stdin() -> bytes:
    """Reads one picture's file from stdin.

    Raises:
        ImageReadError: it cannot be read.
        ImageTooLargeError: it is longer than `MAX_STDIN_BYTES`.
    """
    try:
        data = _binary(sys.stdin).read(MAX_STDIN_BYTES + 1)
    except OSError as error:
        raise ImageReadError(f"cannot read stdin: {error.strerror or error}") from error
    if len(data) > MAX_STDIN_BYTES:
        raise ImageTooLargeError(
            f"stdin holds more than {MAX_STDIN_BYTES >> 20} MiB: give the picture as a file"
        )
    return data


def write_stdout(data: bytes) -> None:
    """Writes one picture's file to stdout.

    Raises:
        OutputError: it cannot be written.
        BrokenPipeError: the reader has gone.
    """
    try:
        stream = _binary(sys.stdout)
        stream.write(data)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error


def _binary(stream: object) -> BinaryIO:
    buffer: BinaryIO = stream.buffer  # type: ignore[attr-defined]
    return buffer
