"""Painting a large picture strip by strip, exactly as in one piece.

Every stage of the network runs over all strips before the next one begins, so that norms have
the statistics of the whole picture. What a stage leaves rests in temporary files.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError
from impasto.images.rows import Rows, WritableRows, check_space, full_disk_told
from impasto.runtime.budget import Budget, Progress, nothing
from impasto.runtime.cores import usable_cores
from impasto.runtime.map_file import MapFile
from impasto.runtime.model_file import graph_parts
from impasto.runtime.network import LEVELS
from impasto.runtime.session import (
    INPUT_NAME,
    ORT_ERRORS,
    OUTPUT_NAME,
    STYLE_INPUT_NAME,
    GraphSession,
    first_line,
    open_session,
)
from impasto.runtime.stages import Stage, StageMap, StagePlan, stage_model

# Of what the largest stage takes and leaves, so many copies are held at once: measured 2 in one
# piece and 4 in strips, each with a margin.
_COPIES_WHOLE: Final = 3
_COPIES_IN_STRIPS: Final = 8
_FLOAT_BYTES: Final = 4
_STRIP_ROWS: Final = 256

# A strip in so many halos spends an eighth of its time on them; shorter ones are not worth a
# thread each.
_LEAST_HALOS: Final = 16
_TO_THE_END: Final = np.iinfo(np.int64).max

_Feeds: TypeAlias = dict[str, NDArray[Any]]

Keep = Callable[[int, NDArray[np.float32]], None]
"""Takes finished rows, (rows, W, 3) float32, and the number of the first one."""


class StripNetwork:
    """A style network, run in strips; use it from one thread at a time."""

    def __init__(self, data: bytes, plan: StagePlan, *, threads: int | None = None) -> None:
        """Takes a model; its stages are opened when they are run.

        Args:
            data: the model file's content, already judged.
            plan: its stages.
            threads: CPU threads; None takes every core.
        """
        self._plan, self._threads = plan, threads or usable_cores()
        self._tensors = graph_parts(data).tensors

    def strip_rows(self, width: int, memory_bytes: int) -> int:
        """Returns how many rows of the picture fit a budget at once, halo not counted.

        Args:
            width: of the picture, in px.
            memory_bytes: of working memory, `least_bytes` or more.
        """
        rows = memory_bytes // self._row_bytes(width) - 2 * self._plan.halo_px
        return max(1, rows // self._plan.align_px) * self._plan.align_px

    def least_bytes(self, width: int) -> int:
        """Returns what the narrowest strip of a picture takes."""
        return (self._plan.align_px + 2 * self._plan.halo_px) * self._row_bytes(width)

    def _row_bytes(self, width: int) -> int:
        return _stage_bytes(self._plan, 1, width) * _COPIES_IN_STRIPS

    def paint(
        self,
        rgb: Rows,
        style_weights: NDArray[np.float32] | None,
        budget: Budget,
        result: WritableRows,
    ) -> None:
        """Paints a picture.

        Args:
            rgb: (H, W, 3) uint8, at least as large as the network needs.
            style_weights: as for `ModelSession.run`.
            budget: what it may take.
            result: takes (H, W, 3) float32 in [0, 1].

        Raises:
            UsageError: the memory holds no strip; the least that will do is named.
            OutputError: there is not enough temporary space.
        """
        height, width = rgb.shape[:2]
        whole = working_bytes(self._plan, height, width)
        budget.check(rgb, self.least_bytes(width), whole)
        memory = budget.left(rgb)
        least = _LEAST_HALOS * self._plan.halo_px
        at_once = max(1, min(self._threads, self.strip_rows(width, memory) // least))

        def keep(first: int, part: NDArray[np.float32]) -> None:
            result[first : first + len(part)] = np.clip(part, 0.0, 1.0)

        self.run(
            rgb,
            keep,
            style_weights=style_weights,
            strip_rows=self.strip_rows(width, memory // at_once),
            at_once=at_once,
            progress=budget.progress,
        )

    def norms(
        self, rgb: NDArray[np.uint8], style_weights: NDArray[np.float32] | None
    ) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Returns what the norms become with the statistics of a picture, as `run` does."""
        return self.run(
            rgb,
            lambda _first, _rows: None,
            style_weights=style_weights,
            strip_rows=_STRIP_ROWS // self._plan.align_px * self._plan.align_px,
        )

    def run(
        self,
        rgb: Rows,
        keep: Keep,
        *,
        style_weights: NDArray[np.float32] | None,
        strip_rows: int,
        at_once: int = 1,
        progress: Progress = nothing,
    ) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Paints a picture that need not lie in memory.

        Args:
            rgb: (H, W, 3) uint8, at least as large as the network needs; some rows are read
                twice.
            keep: takes rows of the result, in their order.
            style_weights: as for `ModelSession.run`.
            strip_rows: as from `strip_rows`.
            at_once: how many strips are computed at the same time. Threads that have a strip
                each are faster than those that share one, as not all operators can be shared.
            progress: told the share that is done.

        Returns:
            What the norms became with the statistics of the picture: by the name of each one's
            output its scales and shifts, (C, 1, 1).

        Raises:
            OutputError: there is not enough temporary space.
            ModelError: ONNX Runtime refuses a stage, or it fails on the picture.
        """
        height, width = rgb.shape[:2]
        check_space(self._space(height, width), height, width)
        parameters = self._parameters(style_weights)
        stages = self._plan.stages[1:]
        strips = list(_strips(height, width, strip_rows, self._plan.halo_px))
        maps: dict[str, MapFile] = {}
        norms = {}
        with ThreadPoolExecutor(at_once) as pool, ExitStack() as files:
            files.enter_context(full_disk_told())
            for number, stage in enumerate(stages):
                for about in stage.leaves:
                    if about.name != OUTPUT_NAME:
                        file = files.enter_context(tempfile.TemporaryFile())
                        maps[about.name] = MapFile(about, file)
                feeds: _Feeds = {}
                for norm in stage.norms:
                    scale, shift = norms[norm.output] = maps[norm.source].affine(norm, parameters)
                    feeds |= {f"{norm.output}.scale": scale, f"{norm.output}.shift": shift}
                session = self._open(stage, self._threads // at_once)
                work = ((strip, feeds | _strip_feeds(rgb, stage, strip, maps)) for strip in strips)
                results = _in_order(pool, at_once, partial(_run_strip, session, stage), work)
                for count, (strip, found) in enumerate(results, start=1):
                    _store(stage, strip, found, maps, keep)
                    progress((number + count / len(strips)) / len(stages))
                needed = {item.name for later in stages[number + 1 :] for item in later.takes}
                for name in maps.keys() - needed:
                    maps.pop(name).close()
        return norms

    def _open(self, stage: Stage, threads: int) -> GraphSession:
        """Opens a stage, for as long as it runs: a session keeps the memory that it once took."""
        return open_session(stage_model(self._tensors, stage), threads, "cpu")

    def _parameters(
        self, style_weights: NDArray[np.float32] | None
    ) -> dict[str, NDArray[np.float32]]:
        session = self._open(self._plan.stages[0], 1)
        feeds = {}
        if style_weights is not None and session.get_inputs():
            feeds[STYLE_INPUT_NAME] = style_weights
        names = [output.name for output in session.get_outputs()]
        values = session.run(names, feeds)
        return {
            name.removesuffix(".value"): value for name, value in zip(names, values, strict=True)
        }

    def _space(self, height: int, width: int) -> int:
        """Returns how many bytes the maps of a picture take at the same time."""
        stages = self._plan.stages[1:]
        most = 0
        held: dict[str, StageMap] = {}
        for number, stage in enumerate(stages):
            held |= {item.name: item for item in stage.leaves if item.name != OUTPUT_NAME}
            most = max(most, sum(_map_bytes(item, height, width) for item in held.values()))
            needed = {item.name for later in stages[number + 1 :] for item in later.takes}
            held = {name: item for name, item in held.items() if name in needed}
        return most


@dataclass(frozen=True)
class _Strip:
    """Rows of a picture: those that are made, ``first`` to ``stop``, and those that are read.

    The rows that a map has beyond the picture's last one belong to the strip at the end.
    """

    first: int
    stop: int
    start: int
    end: int
    height: int
    width: int


def _strips(height: int, width: int, rows: int, halo_px: int) -> Iterator[_Strip]:
    for first in range(0, height, rows):
        stop = min(height, first + rows)
        end = min(height, stop + halo_px)
        yield _Strip(first, stop, max(0, first - halo_px), end, height, width)


def _strip_feeds(rgb: Rows, stage: Stage, strip: _Strip, maps: dict[str, MapFile]) -> _Feeds:
    """Reads what a stage takes for a strip, and says what of its maps the strip keeps."""
    feeds: _Feeds = {INPUT_NAME: _batch(rgb, strip, seen=not stage.takes)}
    for about in stage.takes:
        source = maps[about.name]
        end = source.rows if strip.end == strip.height else strip.end // about.step_px
        feeds[f"{about.name}.rows"] = source.read(strip.start // about.step_px, end)
    for about in stage.leaves:
        first = (strip.first - strip.start) // about.step_px
        count = (strip.stop - strip.first) // about.step_px
        end = _TO_THE_END if strip.stop == strip.height else first + count
        feeds[f"{about.name}.crop"] = np.array([first, end], np.int64)
    return feeds


def _in_order(
    pool: ThreadPoolExecutor,
    at_once: int,
    run: Callable[[_Strip, _Feeds], _Feeds],
    work: Iterable[tuple[_Strip, _Feeds]],
) -> Iterator[tuple[_Strip, _Feeds]]:
    """Runs several strips at once; yields what each becomes, in their order.

    Files are read and written by the thread that asks, while others compute.
    """
    running: deque[tuple[_Strip, Future[_Feeds]]] = deque()
    for strip, feeds in work:
        done = [_next(running)] if len(running) == at_once else []
        running.append((strip, pool.submit(run, strip, feeds)))
        yield from done
    while running:
        yield _next(running)


def _next(running: deque[tuple[_Strip, Future[_Feeds]]]) -> tuple[_Strip, _Feeds]:
    strip, future = running.popleft()
    return strip, future.result()


def _run_strip(session: GraphSession, stage: Stage, strip: _Strip, feeds: _Feeds) -> _Feeds:
    """Runs a stage on a strip; returns its outputs by name."""
    inputs = {value.name for value in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    try:
        values = session.run(names, {k: v for k, v in feeds.items() if k in inputs})
    except ORT_ERRORS as error:
        raise ModelError(
            f"stage {stage.name} of the model fails on rows {strip.first} to {strip.stop}: "
            f"{first_line(error)}"
        ) from error
    return dict(zip(names, values, strict=True))


def _store(
    stage: Stage, strip: _Strip, found: _Feeds, maps: dict[str, MapFile], keep: Keep
) -> None:
    """Keeps what a stage has made of a strip: rows of its maps, or of the result."""
    for about in stage.leaves:
        part = found[f"{about.name}.kept"]
        if about.name == OUTPUT_NAME:
            keep(strip.first, part[0].transpose(1, 2, 0))
            continue
        maps[about.name].append(part)
        if f"{about.name}.sum" in found:
            maps[about.name].add_sums(found[f"{about.name}.sum"], found[f"{about.name}.squares"])


def _batch(picture: Rows, strip: _Strip, *, seen: bool) -> NDArray[np.float32]:
    """Returns the strip's rows as the first stage takes them; later ones ask for their size."""
    if not seen:
        return np.zeros((1, 3, strip.end - strip.start, strip.width), np.float32)
    rgb = picture[strip.start : strip.end]
    batch = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32)
    batch /= LEVELS
    return batch


def working_bytes(plan: StagePlan, height: int, width: int) -> int:
    """Estimates the working memory of a picture that is painted in one piece.

    Args:
        plan: the network's stages.
        height: of the picture, in px.
        width: likewise.
    """
    return _stage_bytes(plan, height, width) * _COPIES_WHOLE


def _stage_bytes(plan: StagePlan, height: int, width: int) -> int:
    """Returns what the largest stage takes and leaves."""
    values = max(
        3 + sum(item.channels / item.step_px**2 for item in (*stage.takes, *stage.leaves))
        for stage in plan.stages
    )
    return int(height * width * values * _FLOAT_BYTES)


def _map_bytes(about: StageMap, height: int, width: int) -> int:
    rows, columns = (-(-side // about.step_px) + 1 for side in (height, width))
    return about.channels * rows * columns * about.bits // 8
