"""What ``optimize`` and ``invert`` have in common: a run that is shown, kept and resumed."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from impasto.cli.console import clock, print_note, steps_shown
from impasto.cli.options import AT_LEAST_ONE, flag, option, switch
from impasto.cli.plan import PIPE, check_free, check_writable, exists, is_folder, single_target
from impasto.dials import Choice, Number
from impasto.errors import UsageError
from impasto.losses.layers import SMALLEST_SIDE_PX
from impasto.runtime.cores import check_threads

if TYPE_CHECKING:
    from impasto.images.reading import Photo
    from impasto.paper import Level, State

DEVICES: Final = ("auto", "cpu", "cuda", "mps")
SIZE: Final = Number("", kind=int, least=SMALLEST_SIDE_PX)  # the loss network needs that much
STATE_EVERY_S: Final = 120.0

Size: TypeAlias = Annotated[int, option("PX", "Longer side of the result; none is enlarged.")]
Overwrite: TypeAlias = Annotated[bool, switch("--overwrite", "Replace a result that is there.")]
Device: TypeAlias = Annotated[str, option("|".join(DEVICES), "Where to compute.")]


@dataclass(frozen=True)
class Output:
    """What is written."""

    target: Path  # the result
    tensorboard: Path | None = None  # a folder for the objective per iteration, as curves
    save_every: int | None = None  # iterations between pictures beside the result
    state: Path | None = None  # what `--resume` goes on from; None keeps none
    # What the run is begun with, by name; resuming takes the same.
    settings: Mapping[str, Any] = field(default_factory=dict)


def check_numbers(
    *,
    iterations: int,
    size_px: int,
    device: str,
    threads: int | None,
    seed: int = 0,
    save_every: int | None = None,
) -> None:
    """Refuses what lies outside its range."""
    AT_LEAST_ONE.check("--iterations", iterations)
    AT_LEAST_ONE.check("--save-every", save_every)
    SIZE.check("--size", size_px)
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed must be at least 0 and below 2^63, not {seed}")
    check_threads(threads)
    Choice("", choices=DEVICES).check("--device", device)


def check_scale(name: str, value: float | None) -> None:
    """Refuses a strength that is negative or no number."""
    if value is not None and not 0 <= value < math.inf:
        raise UsageError(f"{flag(name)} must be 0 or more, not {value:g}")


def choose_target(
    source: Path, output: Path | None, label: str, also_read: Sequence[Path] = ()
) -> Path:
    """Decides where a photo's result goes: to ``-o``, or to ``PHOTO.<label>.png`` beside it."""
    if PIPE in (str(source), str(output)):
        raise UsageError("the photo and -o are files here, not -")
    if is_folder(source):
        raise UsageError(f"{source} is a folder: give one photo")
    if output is None:
        output = source.with_name(f"{source.stem}.{label}.png")
    return single_target(str(source), str(output), label, also_read)


def check_target(target: Path, state: Path | None, *, replace: bool) -> None:
    """Refuses to replace a result or an unfinished run, or to write where nobody can."""
    if not replace and state is not None and exists(state):
        raise UsageError(
            f"{target} is the result of a run that has not ended: --resume goes on with it, "
            "--overwrite begins again"
        )
    check_free(target, overwrite=replace)
    check_writable(target)


def run(
    levels: Sequence[Level],
    begin: Callable[[], State],
    photo: Photo,
    output: Output,
    *,
    resume: bool = False,
    device: str = "cpu",
) -> None:
    """Optimises, shows how it goes, and writes the result; prints its path.

    Args:
        levels: from small to large.
        begin: makes the state of a new run.
        photo: at the last level's size; its alpha and metadata are kept.
        output: what is written.
        resume: go on from ``output.state``.
        device: where.
    """
    from impasto.images.writing import write_image
    from impasto.paper.descent import coarse_to_fine, load_state, tensorboard_curves
    from impasto.training.interrupts import interruptible
    from impasto.training.pictures import to_pictures

    if resume and output.state is not None:
        state = load_state(output.state, output.settings, device)
    else:
        state = begin()
    with ExitStack() as opened:
        show, _ = opened.enter_context(steps_shown())
        log: Callable[[State], None] | None = None
        if output.tensorboard is not None:
            log = opened.enter_context(tensorboard_curves(output.tensorboard, state.iteration))
        interrupted = opened.enter_context(interruptible())
        work = [level.height * level.width for level in levels for _ in range(level.iterations)]
        watch = Watch(output, work, state.iteration, show, log, interrupted)
        result = coarse_to_fine(levels, state.image, on_iteration=watch, state=state)
    write_image(output.target, dataclasses.replace(photo, rgb=to_pictures(result.image)[0]))
    if output.state is not None:
        output.state.unlink(missing_ok=True)
    typer.echo(str(output.target))


@dataclass
class Watch:
    """What happens after each iteration: it is shown, logged, and kept now and then."""

    output: Output
    work: Sequence[int]  # of each iteration: the number of its pixels
    done: int  # iterations, when the run begins or goes on
    show: Callable[[int, int, str], None]
    log: Callable[[State], None] | None
    interrupted: threading.Event
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)

    def __call__(self, state: State) -> None:
        """Tells of an iteration; raises KeyboardInterrupt where Ctrl-C was pressed meanwhile."""
        now = time.monotonic()
        self.show(state.iteration, len(self.work), self._describe(state, now))
        if self.log is not None:
            self.log(state)
        every = self.output.save_every
        if every is not None and state.iteration % every == 0:
            target = self.output.target
            name = f"{target.stem}.{state.iteration:06}{target.suffix}"
            self._write_best(state, target.with_name(name))
        if self.interrupted.is_set():
            self._save(state)
            self._write_best(state, self.output.target)
            onwards = "; `--resume` goes on from here" if self.output.state else ""
            print_note(f"stopped at iteration {state.iteration} of {len(self.work)}{onwards}")
            raise KeyboardInterrupt
        if now - self.saved >= STATE_EVERY_S:
            self._save(state)
            self.saved = time.monotonic()

    def _describe(self, state: State, now: float) -> str:
        values = state.curve[-1].values._asdict()
        total = values.pop("total")
        terms = " ".join(f"{name} {value:.3g}" for name, value in values.items() if value)
        spent = sum(self.work[self.done : state.iteration])
        left_s = (now - self.started) * sum(self.work[state.iteration :]) / spent
        return (
            f"iteration {state.iteration}/{len(self.work)}, {clock(left_s)} left, "
            f"objective {total:.3g}: {terms}"
        )

    def _save(self, state: State) -> None:
        from impasto.paper import save_state

        if self.output.state is not None:
            save_state(state, self.output.state, self.output.settings)

    def _write_best(self, state: State, path: Path) -> None:
        from impasto.images.writing import write_image
        from impasto.training.pictures import to_pictures

        write_image(path, to_pictures(state.best)[0])
