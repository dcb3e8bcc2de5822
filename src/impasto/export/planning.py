"""From an exported graph to its stages, tried out before they are written."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from impasto.errors import ModelError
from impasto.export.stages import cut_into_stages
from impasto.runtime.session import INPUT_NAME, OUTPUT_NAME, STYLE_INPUT_NAME
from impasto.runtime.stages import StageMap, StagePlan
from impasto.runtime.strips import StripNetwork

_SIDE_PX: Final = 64
_TRIED_PX: Final = (203, 37)
"""Height and width of the picture that strips are compared on; both odd."""

_EXACT: Final = 2e-5
_LARGEST_DIFFERENCE: Final = 1 / 255
_HALOS: Final = (1, 2, 3, 4, 6, 8, 12, 16)


def plan_stages(model: onnx.ModelProto, min_size_px: int) -> StagePlan | None:
    """Cuts a network into stages and finds what halo and what storage they need.

    Strips are compared with the whole: with maps of 32 bits for the halo, which is enough as
    soon as nothing differs, and of 16 where that stays below one level of 255.

    Args:
        model: an exported style network.
        min_size_px: smallest height and width it takes.

    Returns:
        The plan, or None for a network that cannot be cut: one without instance norm, or one
        that pads beyond a strip.
    """
    stages = cut_into_stages(model)
    if not stages:
        return None
    names = [about.name for stage in stages for about in stage.leaves]
    maps = _measured(model, names, min_size_px)
    if maps is None:
        return None
    align = max(about.step_px for about in maps.values())
    rgb, weights = _sample(model, min_size_px)
    whole = _whole(model, rgb, weights)
    wide = {name: replace(about, bits=32) for name, about in maps.items()}
    for count in _HALOS:
        plan = StagePlan(cut_into_stages(model, wide), align, count * align)
        if _difference(model, plan, rgb, weights, whole) < _EXACT:
            narrow = replace(plan, stages=cut_into_stages(model, maps))
            close = _difference(model, narrow, rgb, weights, whole) < _LARGEST_DIFFERENCE
            return narrow if close else plan
    return None


def _measured(
    model: onnx.ModelProto, names: list[str], min_size_px: int
) -> dict[str, StageMap] | None:
    """Runs the network once to see how large its maps are."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    known = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names
        if name not in known
    )
    side = _SIDE_PX * -(-min_size_px // _SIDE_PX)
    rgb = np.zeros((side, side, 3), np.uint8)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(names, _feeds(rgb, _even_weights(model)))
    if any(value.ndim != 4 or side % value.shape[2] for value in found):
        return None
    return {
        name: StageMap(name, value.shape[1], side // value.shape[2])
        for name, value in zip(names, found, strict=True)
    }


def _sample(
    model: onnx.ModelProto, min_size_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Makes a picture of coarse and fine noise, and a mixture of the styles."""
    rng = np.random.default_rng(0)
    height, width = (max(side, min_size_px) for side in _TRIED_PX)
    coarse = rng.integers(0, 200, (height // 8 + 1, width // 8 + 1, 3))
    fine = rng.integers(0, 56, (height, width, 3))
    rgb = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width] + fine
    return rgb.astype(np.uint8), _even_weights(model)


def _even_weights(model: onnx.ModelProto) -> NDArray[np.float32] | None:
    for value in model.graph.input:
        if value.name == STYLE_INPUT_NAME:
            sets = value.type.tensor_type.shape.dim[0].dim_value
            return np.full(sets, 1 / sets, np.float32)
    return None


def _feeds(
    rgb: NDArray[np.uint8], weights: NDArray[np.float32] | None
) -> dict[str, NDArray[np.float32]]:
    batch = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    return {INPUT_NAME: batch} | ({} if weights is None else {STYLE_INPUT_NAME: weights})


def _whole(
    model: onnx.ModelProto, rgb: NDArray[np.uint8], weights: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run([OUTPUT_NAME], _feeds(rgb, weights))
    picture: NDArray[np.float32] = output[0].transpose(1, 2, 0)
    return picture


def _difference(
    model: onnx.ModelProto,
    plan: StagePlan,
    rgb: NDArray[np.uint8],
    weights: NDArray[np.float32] | None,
    whole: NDArray[np.float32],
) -> float:
    """Returns the largest difference of strips from the whole; infinite where they fail."""
    result = np.full_like(whole, np.nan)

    def keep(first: int, rows: NDArray[np.float32]) -> None:
        result[first : first + len(rows)] = rows

    network = StripNetwork(model.SerializeToString(), plan, threads=1)
    try:
        network.run(rgb, keep, style_weights=weights, strip_rows=2 * plan.align_px)
    except (ModelError, ValueError):  # maps that do not fit one another
        return float("inf")
    difference = float(np.abs(result - whole).max())
    return difference if np.isfinite(difference) else float("inf")
