"""Painting the frames of a clip with statistics of instance norm that are smoothed over time.

An instance norm looks at the whole frame, so whatever enters or leaves it changes every pixel a
little: the painting flickers. Here each norm's mean and mean square are moving averages over the
frames so far, kept in the graph itself: it takes the averages of the last frame and gives those of
this one. That costs about what a plain run does, and works with every model that has such norms.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from impasto.errors import ModelError
from impasto.images.resize import mirror_up
from impasto.runtime import wire
from impasto.runtime.budget import Budget
from impasto.runtime.model_file import GraphParts, graph_parts, node_attributes, node_kind
from impasto.runtime.network import LEVELS
from impasto.runtime.session import (
    INPUT_NAME,
    ORT_ERRORS,
    OUTPUT_NAME,
    STYLE_INPUT_NAME,
    first_line,
    open_session,
)
from impasto.runtime.stylizer import StyleModel

Averages: TypeAlias = dict[str, NDArray[np.float32]]
"""By the name of a norm's mean or mean square its moving average, (1, C, 1, 1)."""

_KEPT: Final = "steady.kept"
_NOTHING: Final = np.zeros((1, 1, 1, 1), np.float32)


class SteadyModel(StyleModel):
    """A style model for the frames of one clip, in their order, from one thread.

    A frame that does not fit the working memory is painted in strips, with its own statistics.

    Attributes:
        averages: what it remembers of the frames so far: by what the network paints, the style
            or the identity. To assign what was read before goes on from there.
    """

    def __init__(
        self, path: str | Path, *, kept: float, threads: int | None = None, device: str = "auto"
    ) -> None:
        """Loads a model file.

        Args:
            path: as for `StyleModel`.
            kept: share of the averages that a frame leaves as they are, 0 (each frame has its
                own statistics) to below 1.
            threads: as for `StyleModel`.
            device: as for `StyleModel`.

        Raises:
            ModelError: the file cannot be used.
            UsageError: there is no such device.
        """
        super().__init__(path, threads=threads, device=device)
        graph, names = steady_graph(self._data)
        self._names = names
        self._kept = np.array(kept, np.float32)
        self._steady = open_session(graph, threads, self.device) if names else None
        # One object that the copies of `with_blend` share.
        self._memory: dict[str, Averages] = {}

    @property
    def averages(self) -> dict[str, Averages]:
        """What the model remembers."""
        return dict(self._memory)

    @averages.setter
    def averages(self, averages: Mapping[str, Averages]) -> None:
        self._memory.clear()
        self._memory.update(averages)

    def restart(self) -> None:
        """Forgets the frames so far, as at a scene cut."""
        self._memory.clear()

    def _network(
        self, rgb: NDArray[np.uint8], style_weights: NDArray[np.float32], budget: Budget
    ) -> NDArray[np.float32]:
        if self._steady is None or not self._pieces.fits(rgb.shape, budget):
            return super()._network(rgb, style_weights, budget)
        height, width = rgb.shape[:2]
        identity = self.metadata.strength == "identity" and style_weights[-1] == 1.0
        painted = "identity" if identity else "style"
        enlarged, top, left = mirror_up(rgb, self.metadata.min_size_px)
        batch = np.ascontiguousarray(enlarged.transpose(2, 0, 1)[None], dtype=np.float32)
        batch /= LEVELS
        before = self._memory.get(painted)
        feeds = {INPUT_NAME: batch, **(before or dict.fromkeys(self._names, _NOTHING))}
        feeds[_KEPT] = self._kept if before else np.zeros_like(self._kept)
        if self._session.parameter_sets is not None:
            feeds[STYLE_INPUT_NAME] = style_weights
        try:
            wanted = [OUTPUT_NAME, *(_updated(name) for name in self._names)]
            picture, *averages = self._steady.run(wanted, feeds)
        except ORT_ERRORS as error:
            raise ModelError(
                f"the model fails on a frame of {width}x{height}: {first_line(error)}"
            ) from error
        if not np.isfinite(picture).all():
            raise ModelError(f"the model returned values that are no numbers for {width}x{height}")
        self._memory[painted] = dict(zip(self._names, averages, strict=True))
        result: NDArray[np.float32] = picture[0].transpose(1, 2, 0)
        np.clip(result, 0.0, 1.0, out=result)
        return result[top : top + height, left : left + width]


def steady_graph(data: bytes) -> tuple[bytes, list[str]]:
    """Makes a model whose instance norms take and give moving averages.

    Args:
        data: the content of a model that was judged.

    Returns:
        The model, and the names of its further inputs; none where it has no instance norm. The
        output of each is its name with ``.updated`` behind it.
    """
    parts = graph_parts(data)
    nodes: list[bytes] = []
    names: list[str] = []
    for takes, gives, raw in parts.nodes:
        if node_kind(raw) != "InstanceNormalization":
            nodes.append(raw)
            continue
        added, inputs = _steady_norm(takes, gives[0], node_attributes(raw))
        nodes += added
        names += inputs
    return (_joined(parts, nodes, names) if names else data), names


def _steady_norm(takes: list[str], norm: str, attributes: bytes) -> tuple[list[bytes], list[str]]:
    """Returns the nodes in place of a norm, and the inputs that they take.

    A batch norm does what is left to do; its epsilon is the norm's.
    """
    source, scale, shift = takes
    square = f"{norm}.squared"
    nodes = [wire.node("Mul", [source, source], [square])]
    inputs = []
    for what, values in (("mean", source), ("mean_square", square)):
        name = f"{norm}.{what}"
        own, change, kept = (f"{name}.{part}" for part in ("own", "change", "kept"))
        nodes += [
            wire.node("GlobalAveragePool", [values], [own]),
            wire.node("Sub", [name, own], [change]),
            wire.node("Mul", [change, _KEPT], [kept]),
            wire.node("Add", [own, kept], [_updated(name)]),
        ]
        inputs.append(name)
    mean, mean_square = map(_updated, inputs)
    part = {
        key: f"{norm}.{key}"
        for key in ("squared_mean", "difference", "variance", "shape", "means", "variances")
    }
    nodes += [
        wire.node("Mul", [mean, mean], [part["squared_mean"]]),
        wire.node("Sub", [mean_square, part["squared_mean"]], [part["difference"]]),
        wire.node("Relu", [part["difference"]], [part["variance"]]),  # rounding may go below 0
        wire.node("Shape", [scale], [part["shape"]]),
        wire.node("Reshape", [mean, part["shape"]], [part["means"]]),
        wire.node("Reshape", [part["variance"], part["shape"]], [part["variances"]]),
        wire.node(
            "BatchNormalization",
            [source, scale, shift, part["means"], part["variances"]],
            [norm],
            attributes,
        ),
    ]
    return nodes, inputs


def _joined(parts: GraphParts, nodes: list[bytes], names: list[str]) -> bytes:
    graph = [wire.message(wire.GRAPH_NODE, node) for node in nodes]
    graph += [wire.message(wire.GRAPH_TENSOR, tensor) for tensor in parts.tensors.values()]
    graph += parts.inputs.values()
    graph.append(wire.message(wire.GRAPH_INPUT, wire.value(_KEPT, 0)))
    graph += [wire.message(wire.GRAPH_INPUT, wire.value(name, 4)) for name in names]
    graph.append(parts.rest)
    graph += [wire.message(wire.GRAPH_OUTPUT, wire.value(_updated(name), 4)) for name in names]
    return parts.model + wire.message(wire.MODEL_GRAPH, b"".join(graph))


def _updated(name: str) -> str:
    return f"{name}.updated"
