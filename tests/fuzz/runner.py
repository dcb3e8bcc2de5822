"""Runs cases in a process of its own, so that hangs, crashes and memory can be told."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

TARGETS = ("pictures", "models", "archives", "commands")
LIMIT_S = 10.0  # of processor time, which a busy machine does not stretch
HANG_S = 40.0  # of waiting
LIMIT_BYTES = 2 << 30
_START_S, _STOP_S = 120.0, 5.0


@dataclass
class Result:
    """What became of one case.

    Attributes:
        number: the case.
        status: ``"accepted"``, ``"refused"`` or ``"failed"``.
        cpu_s: processor time that it took, making the case left out; 0 if it did not end.
        peak_bytes: most memory that the process has held so far, 0 where that is unknown.
        detail: the error of a refusal; the traceback of a failure.
    """

    number: int
    status: str
    cpu_s: float
    peak_bytes: int
    detail: str


@dataclass
class Report:
    """What became of many cases of one target."""

    target: str
    seed: int
    results: list[Result] = field(default_factory=list)

    def count(self, status: str) -> int:
        """Returns the number of cases with this status."""
        return sum(result.status == status for result in self.results)

    @property
    def failures(self) -> list[Result]:
        """The cases that failed."""
        return [result for result in self.results if result.status == "failed"]

    def describe(self, result: Result) -> str:
        """Says how to see a case again, and what became of it."""
        return (
            f"python benchmarks/fuzz.py --target {self.target} --seed {self.seed} "
            f"--case {result.number}: {result.status}\n{result.detail}"
        )


def make_case(target: str, seed: int, number: int) -> Any:
    """Makes a case, the same one in every process."""
    return _module(target).make(Random(f"{target} {seed} {number}"))


def run_cases(
    target: str,
    seed: int,
    numbers: Iterable[int],
    on_failure: Callable[[Report, Result], None] = lambda *_: None,
) -> Report:
    """Runs cases one after the other; a failed one does not stop the rest.

    A case fails if it raises anything but an `impasto.errors.ImpastoError` of one line, breaks
    a promise of its target's ``check``, leaves a temporary file, kills the process, takes more
    than `LIMIT_S`, has not ended after `HANG_S`, holds more than `LIMIT_BYTES`, or if a library
    prints to stderr, which targets with ``MAY_PRINT`` allow.
    """
    report = Report(target, seed)
    worker: _Worker | None = None
    try:
        for number in numbers:
            worker = worker or _Worker(target, seed)
            result = worker.run(number)
            if result.status != "failed" and result.peak_bytes > LIMIT_BYTES:
                result.status = "failed"
                result.detail = f"held {result.peak_bytes / 2**30:.2f} GiB"
            report.results.append(result)
            if result.status == "failed":
                on_failure(report, result)
                worker.stop()  # the next case shall not suffer from this one
                worker = None
    finally:
        if worker:
            worker.stop()
    return report


class _Worker:
    def __init__(self, target: str, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, target, seed), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(_START_S):
            raise RuntimeError("the worker process did not start")
        self._pipe.recv()

    def run(self, number: int) -> Result:
        self._pipe.send(number)
        try:
            if self._pipe.poll(HANG_S):
                result: Result = self._pipe.recv()
                return result
            detail = f"hangs: no end after {HANG_S:.0f} s"
        except EOFError:
            self._process.join()
            detail = f"the process died, exit code {self._process.exitcode}"
        return Result(number, "failed", 0.0, 0, detail)

    def stop(self) -> None:
        self._pipe.close()  # it ends by itself and tidies up, unless it hangs
        self._process.join(_STOP_S)
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, target: str, seed: int) -> None:
    """Runs the cases whose numbers arrive, until there are no more."""
    warnings.simplefilter("ignore")  # Pillow's, about metadata
    _limit_memory()
    module = _module(target)
    with tempfile.TemporaryDirectory() as folder, captured_stderr(Path(folder)) as noise:
        # Imports and seeds shall not count as the first case's time.
        module.make(Random(0))
        if hasattr(module, "prepare"):
            module.prepare()
        pipe.send("ready")
        with contextlib.suppress(EOFError):
            while True:
                number = pipe.recv()
                case = make_case(target, seed, number)
                pipe.send(run_one(module, case, number, noise))


def run_one(module: Any, case: Any, number: int, noise: Callable[[], str]) -> Result:
    """Runs one case in this process and judges it; `run_cases` adds what only others see."""
    from impasto.errors import ImpastoError

    start_s = time.process_time()
    status, detail = "accepted", ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            module.check(case, Path(folder))
            left = [path.name for path in Path(folder).rglob(".impasto-*")]
            assert not left, f"left behind: {left}"
        except ImpastoError as error:
            status, detail = "refused", str(error)
            if not 0 < len(detail) < 2000 or "\n" in detail:
                status, detail = "failed", f"not one short line: {detail[:500]!r}"
        except Exception as error:
            status = "refused" if type(error).__name__ == "RefusedError" else "failed"
            detail = str(error) if status == "refused" else traceback.format_exc()
    cpu_s = time.process_time() - start_s
    printed = noise()
    if printed and status != "failed" and not getattr(module, "MAY_PRINT", False):
        status, detail = "failed", f"a library printed: {printed[:500]!r}"
    if cpu_s > LIMIT_S:
        status, detail = "failed", f"took {cpu_s:.1f} s of processor time; {detail}"
    if status == "failed":
        detail = f"{getattr(case, 'kind', case)}\n{detail}"
    return Result(number, status, cpu_s, _peak_bytes(), detail)


@contextlib.contextmanager
def captured_stderr(folder: Path) -> Iterator[Callable[[], str]]:
    """Gives a function that returns what native libraries have printed since its last call."""
    with (folder / "stderr").open("w+b") as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)

        def take() -> str:
            sys.stderr.flush()
            file.seek(0)
            text = file.read().decode(errors="replace")
            file.seek(0)
            file.truncate()
            return text

        try:
            yield take
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _limit_memory() -> None:
    """Saves the machine from a case without any measure; the limit proper is on what is held."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (5 * LIMIT_BYTES, 5 * LIMIT_BYTES))


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def _module(target: str) -> Any:
    return importlib.import_module(f"fuzz.{target}")
