"""The stages of a network, as a model file states them: its graph, cut before each norm.

They lie in the file beside its metadata, key ``STAGES_KEY``, as JSON: `impasto.export.stages`
writes them. A stage's graph holds no weights; they are put in from the model's own graph here,
by the wire format alone, so that neither is the ``onnx`` package needed nor a weight held twice.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from impasto.errors import ModelError
from impasto.runtime import wire
from impasto.runtime.model_file import read_entry, uses

STAGES_KEY: Final = "impasto.stages.2"
"""Its number is the layout's: a file with stages of another one is painted in one piece."""

PARAMETERS: Final = "parameters"
"""The stage that gives the scales and shifts of all norms."""

_LARGEST_HALO_PX: Final = 4096
_MOST_STAGES: Final = 256


@dataclass(frozen=True)
class StageMap:
    """A map that a stage leaves to later ones.

    Attributes:
        name: of the value in the graph.
        channels: how many.
        step_px: height and width of the picture that a place of the map stands for.
        bits: of a value as it is kept, 16 or 32.
    """

    name: str
    channels: int = 1
    step_px: int = 1
    bits: int = 16


@dataclass(frozen=True)
class StagedNorm:
    """A norm that a stage applies, with statistics of the whole map.

    Attributes:
        output: name of what it gives.
        source: name of the map that it normalises.
        scale: name of its scale among the outputs of the stage `PARAMETERS`.
        shift: likewise of its shift.
        epsilon: added to the variance.
    """

    output: str
    source: str
    scale: str
    shift: str
    epsilon: float


@dataclass(frozen=True)
class Stage:
    """One part of a network.

    Attributes:
        name: its number, or `PARAMETERS`.
        graph: its ONNX model without weights, base64.
        takes: maps of earlier stages, rows of which it is given.
        norms: those that it applies.
        leaves: maps that it makes; the last stage's is the picture.
    """

    name: str
    graph: str
    takes: tuple[StageMap, ...]
    norms: tuple[StagedNorm, ...]
    leaves: tuple[StageMap, ...]


@dataclass(frozen=True)
class StagePlan:
    """All stages of a network.

    Attributes:
        stages: the first is `PARAMETERS`.
        align_px: strips begin at multiples of this.
        halo_px: rows of the picture that a stage needs beyond a strip, a multiple of ``align_px``.
    """

    stages: tuple[Stage, ...]
    align_px: int
    halo_px: int

    def to_json(self) -> str:
        """Returns the plan as JSON text."""
        return json.dumps(asdict(self))


def read_stages(data: bytes) -> StagePlan | None:
    """Reads the stages of a model that `read_model_file` judged.

    Args:
        data: the file's content.

    Returns:
        The plan, or None where the file states none.

    Raises:
        ModelError: what it states is damaged.
    """
    text = read_entry(data, STAGES_KEY)
    if text is None:
        return None
    try:
        values = json.loads(text)
        plan = StagePlan(
            tuple(_stage(stage) for stage in values["stages"]),
            _whole(values["align_px"]),
            _whole(values["halo_px"]),
        )
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"the model's stages are damaged ({error})") from error
    if not 2 <= len(plan.stages) <= _MOST_STAGES or plan.stages[0].name != PARAMETERS:
        raise ModelError("the model's stages are damaged: the first must be the parameters")
    if plan.halo_px > _LARGEST_HALO_PX or plan.halo_px % plan.align_px:
        raise ModelError(f"the model's stages are damaged: halo_px is {plan.halo_px}")
    return plan


def stage_model(tensors: Mapping[str, bytes], stage: Stage) -> bytes:
    """Puts the weights into a stage's graph.

    Args:
        tensors: the weights of the model's own graph by name, as of `graph_parts`.
        stage: one of its stages.

    Returns:
        An ONNX model.

    Raises:
        ModelError: the stage's graph is damaged.
    """
    try:
        graph = base64.b64decode(stage.graph, validate=True)
    except binascii.Error as error:
        raise ModelError(f"stage {stage.name} of the model is damaged") from error
    used = uses(graph)
    weights = [
        wire.message(wire.GRAPH_TENSOR, tensor) for name, tensor in tensors.items() if name in used
    ]
    # Of a message that comes twice, protobuf joins the parts.
    return graph + wire.message(wire.MODEL_GRAPH, b"".join(weights))


def _stage(values: dict[str, Any]) -> Stage:
    return Stage(
        _text(values["name"]),
        _text(values["graph"]),
        tuple(_map(item) for item in values["takes"]),
        tuple(
            StagedNorm(
                _text(item["output"]),
                _text(item["source"]),
                _text(item["scale"]),
                _text(item["shift"]),
                _positive(item["epsilon"]),
            )
            for item in values["norms"]
        ),
        tuple(_map(item) for item in values["leaves"]),
    )


def _map(values: dict[str, Any]) -> StageMap:
    if values["bits"] not in (16, 32):
        raise ValueError(f"{values['bits']!r:.40} is neither 16 nor 32")
    return StageMap(
        _text(values["name"]),
        _whole(values["channels"]),
        _whole(values["step_px"]),
        values["bits"],
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65_536:
        raise ValueError(f"{value!r:.40} is no whole number from 1 to 65536")
    return value


def _positive(value: object) -> float:
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{value!r:.40} is no positive number")
    return float(value)
