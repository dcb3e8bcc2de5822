"""What people see: errors and notes on stderr, results on stdout, a progress bar."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import typer

LINE_EVERY_S: Final = 30.0
"""How often a long run prints a line where no bar can be drawn."""


def print_error(message: str) -> None:
    """Prints ``impasto: message`` as one line on stderr, red where that shows as colour."""
    typer.secho(f"impasto: {one_line(message)}", err=True, fg="red" if _colour() else None)


def named(path: object, message: object) -> str:
    """Returns a message that names the file that it is about."""
    text = str(message)
    return text if str(path) in text else f"{path}: {text}"


def print_note(message: str) -> None:
    """Prints one plain line on stderr."""
    typer.echo(one_line(message), err=True)


def print_result(line: str) -> None:
    """Prints one line on stdout."""
    typer.echo(line)


@contextlib.contextmanager
def own_stderr() -> Iterator[None]:
    """Keeps stderr to ourselves; what native libraries print goes nowhere meanwhile.

    libtiff, for one, tells of damage by lines of its own beside our one line.
    """
    before = sys.stderr
    with contextlib.ExitStack() as opened:
        try:
            kept = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        opened.callback(os.close, kept)
        # Where stderr has been replaced by what is no file, our lines go there anyway.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            own = os.dup(before.fileno())
            sys.stderr = os.fdopen(own, "w", 1, before.encoding, before.errors)
            opened.enter_context(sys.stderr)
        nowhere = opened.enter_context(Path(os.devnull).open("wb"))
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr = before
            os.dup2(kept, 2)


def one_line(text: str) -> str:
    """Replaces line breaks and control characters, which a file name may hold, by ``?``."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or "\ud800" <= character <= "\udfff" else "?"
        for character in text
    )


class Screen(NamedTuple):
    """What a long run says while it goes on."""

    advance: Callable[[], None]  # after each step
    result: Callable[[str], None]  # prints a line on stdout
    note: Callable[[str], None]  # prints a line on stderr
    share: Callable[[float], None]  # told the share of a step that is done


@contextlib.contextmanager
def progress_bar(total: int, *, shown: bool, doing: str = "painting") -> Iterator[Screen]:
    """Shows a bar of so many steps on stderr, if that is a terminal; results go to stdout."""
    if not (shown and sys.stderr.isatty()):
        yield Screen(lambda: None, print_result, print_note, lambda _share: None)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    # Redirection would send results to stderr, so lines for a terminal go through the console
    # and lines for a pipe go straight to stdout.
    with Progress(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn() if total > 1 else TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task(doing, total=total)
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            progress.update(task, completed=done)

        def above(line: str) -> None:
            console.out(one_line(line), highlight=False)

        yield Screen(
            advance=advance,
            result=above if sys.stdout.isatty() else print_result,
            note=above,
            share=lambda share: progress.update(task, completed=done + share),
        )


@contextlib.contextmanager
def steps_shown() -> Iterator[tuple[Callable[[int, int, str], None], Callable[[str], None]]]:
    """Shows a run of many steps: a bar on a terminal, a line every half minute elsewhere.

    Yields what takes the steps done, their number and a line on them, and what prints a note.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        last = time.monotonic()

        def line(done: int, total: int, text: str) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY_S or done == total:
                last = time.monotonic()
                print_note(text)

        yield line, print_note
        return
    with Progress(
        BarColumn(), TextColumn("{task.description}"), console=console, transient=True
    ) as progress:
        task = progress.add_task("getting ready", total=None)

        def bar(done: int, total: int, text: str) -> None:
            progress.update(task, completed=done, total=total, description=text)

        yield bar, lambda text: console.out(text, highlight=False)


def pace(unit: str, about: str = "") -> Callable[[int, int | None], str]:
    """Makes what says how far a run is, how fast it goes and how long it will take.

    It takes the number done, and that of all where it is known; ``about`` stands before that one.
    """
    first: tuple[int, float] | None = None

    def text(done: int, total: int | None) -> str:
        nonlocal first
        now_s = time.monotonic()
        first = first or (done, now_s)  # a rate needs two steps, and the first one is slow
        words = f"{done} of {about}{total} {unit}" if total else f"{done} {unit}"
        if done > first[0]:
            rate = (done - first[0]) / max(now_s - first[1], 1e-6)
            words += f", {rate:.2f} {unit}/s"
            if total:
                words += f", {clock(max(0, total - done) / rate)} left"
        return words

    return text


def clock(seconds: float) -> str:
    """Writes a time as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
