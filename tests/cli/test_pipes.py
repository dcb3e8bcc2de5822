import errno
import io
import sys
from pathlib import Path

import pytest

from impasto.cli.options import Voice
from impasto.cli.plan import Job, Plan
from impasto.cli.running import check_plan, read_stdin, write_stdout
from impasto.dials import Writing
from impasto.errors import ImageReadError, OutputError, UsageError


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Broken(io.RawIOBase):
    """A stream on which every call fails in the same way."""

    def __init__(self, error):
        self.buffer = self
        self.error = error

    def read(self, count):
        raise self.error

    def write(self, data):
        raise self.error


def check(source, target):
    """Looks at stdin where the source is None, at stdout where the target is."""
    check_plan(Plan([Job(source, target)], single=True), Writing(), Voice(), "upscale")


def test_bytes_pass_unchanged(capfdbinary, monkeypatch):
    data = bytes(range(256)) * 300 + b"\r\n"
    write_stdout(data)
    assert capfdbinary.readouterr() == (data, b"")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    check(None, Path("missing.png"))
    assert read_stdin() == data


@pytest.mark.parametrize("stream", [None, Terminal()])
def test_terminals_and_closed_streams_are_refused(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(UsageError, match=r"stdin, where none is: `impasto upscale - < photo\.jpg`"):
        check(None, Path("missing.png"))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        with pytest.raises(UsageError, match="give -o FILE"):
            check(Path("missing.png"), None)


def test_streams_that_fail(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Broken(OSError(errno.EISDIR, "Is a directory")))
    with pytest.raises(ImageReadError, match="cannot read stdin: Is a directory"):
        read_stdin()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Broken(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OutputError, match="cannot write to stdout: No space left"):
            write_stdout(b"picture")
        patch.setattr(sys, "stdout", Broken(BrokenPipeError()))
        with pytest.raises(BrokenPipeError):
            write_stdout(b"picture")
