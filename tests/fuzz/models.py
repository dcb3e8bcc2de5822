"""Damaged model files: the bytes, the protobuf messages, the metadata."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from fuzz.mutation import EDGES, mutate
from impasto.runtime.metadata import METADATA_KEY, ModelMetadata, StyleEntry, Tiling

KINDS = ("style", "upscale")

_PICTURE = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


@dataclass(frozen=True)
class ModelCase:
    """A model file to load and run.

    Attributes:
        kind: what was done to it.
        data: the file.
        of: the kind of model that it was made from.
    """

    kind: str
    data: bytes
    of: str = "style"


def make(rng: Random) -> ModelCase:
    """Damages a small model in a random way."""
    of = rng.choice(KINDS)
    way = rng.choice(("bytes", "message", "message", "metadata", "metadata", "text"))
    if way == "bytes":
        kind, data = mutate(rng, intact(of), intact(of))
        return ModelCase(kind, data, of)
    if way == "message":
        fields = _parse(intact(of))
        for _ in range(rng.choice((1, 1, 2, 4))):
            _change_field(rng, fields)
        return ModelCase("message", _serialise(fields), of)
    text = _metadata(of).to_json()
    text = _changed_json(rng, text) if way == "metadata" else _odd_text(rng, text)
    return ModelCase(way, _model(of, text.encode("utf-8", "surrogatepass")), of)


def check(case: ModelCase, folder: Path) -> None:
    """Loads the model and paints or enlarges a small picture.

    Raises:
        ImpastoError: the model is refused.
        AssertionError: a picture of another size came out.
    """
    from impasto.runtime.stylizer import StyleModel
    from impasto.runtime.upscaler import UpscaleModel

    path = folder / "model.onnx"
    path.write_bytes(case.data)
    height, width = _PICTURE.shape[:2]
    if case.of == "style":
        result = StyleModel(path, threads=1).paint(_PICTURE)
    else:
        model = UpscaleModel(path, threads=1)
        result = model.upscale(_PICTURE)
        height, width = model.scale * height, model.scale * width
    assert result.shape == (height, width, 3)
    assert result.dtype == np.uint8


@functools.cache
def intact(of: str = "style") -> bytes:
    """Returns a small model of ours.

    Args:
        of: ``"style"``: a convolution, a norm, upsampling by two and back; or ``"upscale"``: a
            convolution to the sub-pixels of four times the size.
    """
    return _model(of, _metadata(of).to_json().encode())


def _metadata(of: str) -> ModelMetadata:
    stated = ModelMetadata(
        styles=(StyleEntry("tiny", "Tiny", "ab" * 32),),
        min_size_px=8,
        network={"kind": "none", "widths": [3, 4]},
        weights_sha256="cd" * 32,
        recipe={"steps": 1, "learning_rate": 1e-3, "layers": ["relu1_1"]},
    )
    if of == "style":
        return stated
    return dataclasses.replace(stated, styles=(), kind="upscale", scale=4, tiling=Tiling(True, 1))


def _model(of: str, metadata: bytes) -> bytes:
    fields = _parse(_graph(of))
    fields.append((14, _LENGTH, [(1, _LENGTH, METADATA_KEY.encode()), (2, _LENGTH, metadata)]))
    return _serialise(fields)


@functools.cache
def _graph(of: str) -> bytes:
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0)
    arrays = {
        "w1": weights.standard_normal((4 if of == "style" else 48, 3, 3, 3)),
        "w2": weights.standard_normal((3, 4, 3, 3)),
        "ones": np.ones(4),
        "zeros": np.zeros(4),
    }
    tensors = [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()]
    tensors.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("InstanceNormalization", ["a", "ones", "zeros"], ["b"], epsilon=1e-5),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Resize", ["c", "", "scales"], ["d"], mode="nearest"),
        helper.make_node("Conv", ["d", "w2"], ["e"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["e"], ["output"]),
    ]
    if of == "upscale":
        nodes = [
            helper.make_node("Conv", ["image", "w1"], ["a"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["a"], ["output"], blocksize=4, mode="CRD"),
        ]
    inputs = [helper.make_tensor_value_info("image", 1, ["N", 3, "H", "W"])]
    sides = ["H", "W"] if of == "style" else ["H4", "W4"]
    outputs = [helper.make_tensor_value_info("output", 1, ["N", 3, *sides])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


# Protobuf's wire format. A message is a list of (number, wire type, value), where the value is
# an int, bytes, or the list of a message inside.
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
Field = tuple[int, int, "int | bytes | list[Field]"]


def _parse(data: bytes) -> list[Field]:
    fields: list[Field] = []
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        number, wire = tag >> 3, tag & 7
        value: int | bytes | list[Field]
        if wire == _VARINT:
            value, position = _read_varint(data, position)
        elif wire in _WIDTHS:
            value, position = data[position:][: _WIDTHS[wire]], position + _WIDTHS[wire]
        elif wire == _LENGTH and number > 0:
            length, position = _read_varint(data, position)
            value, position = data[position:][:length], position + length
            if position > len(data):
                raise ValueError("no message")
            value = _inner(value)
        else:
            raise ValueError("no message")
        fields.append((number, wire, value))
    return fields


def _inner(value: bytes) -> bytes | list[Field]:
    """Takes bytes that look like a message for one, unless they read as text."""
    if len(value) < 2 or (value.isascii() and value.decode().isprintable()):
        return value
    try:
        fields = _parse(value)
    except (ValueError, IndexError):
        return value
    return fields if _serialise(fields) == value else value


def _serialise(fields: list[Field]) -> bytes:
    out = bytearray()
    for number, wire, value in fields:
        content = _serialise(value) if isinstance(value, list) else value
        out += _varint(number << 3 | wire)
        if isinstance(content, int):
            out += _varint(content)
        else:
            out += (_varint(len(content)) if wire == _LENGTH else b"") + content
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _change_field(rng: Random, fields: list[Field]) -> None:
    """Changes one field somewhere below a message; lengths above it stay right."""
    while True:
        at = rng.randrange(len(fields))
        number, wire, value = fields[at]
        if not (isinstance(value, list) and value and rng.random() < 0.85):
            break
        fields = value
    action = rng.choice(("drop", "repeat", "move", "number", "value", "value", "value", "nest"))
    if action == "drop" and len(fields) > 1:
        del fields[at]
    elif action == "repeat":
        fields[at:at] = [fields[at]] * rng.choice((1, 2, 300))
    elif action == "move":
        fields.insert(rng.randrange(len(fields)), fields.pop(at))
    elif action == "number":
        fields[at] = (rng.choice((1, 2, 5, 7, 11, 13, 14, 20, 25, 2**29 - 1, 2**40)), wire, value)
    elif action == "nest":
        for _ in range(rng.choice((1, 50, 5000))):
            value = _varint(number << 3 | _LENGTH) + _varint(len(_flat(value))) + _flat(value)
        fields[at] = (number, _LENGTH, value)
    elif isinstance(value, int):
        fields[at] = (number, wire, rng.choice((*EDGES, value + 1, 2**63 - 1, 2**64 - 1)))
    else:
        fields[at] = (number, wire, mutate(rng, _flat(value))[1])


def _flat(value: int | bytes | list[Field]) -> bytes:
    if isinstance(value, list):
        return _serialise(value)
    return _varint(value) if isinstance(value, int) else value


def _changed_json(rng: Random, text: str) -> str:
    """Replaces or removes values of the metadata, at any depth."""
    values = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        place = values
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(place[key], (dict, list)) and rng.random() < 0.7:
                place = place[key]
                continue
            if rng.random() < 0.2:
                del place[key]
            else:
                place[key] = _odd_value(rng, place[key])
            break
    return json.dumps(values, ensure_ascii=rng.random() < 0.5)


def _odd_value(rng: Random, value: object) -> object:
    odd: list[object] = [None, True, False, 0, -1, 1, 2, 5, 7.5, 10**6, 10**9, 2**63, 10**30]
    odd += [float("nan"), float("inf"), "", "x", [], {}, [value], {"a": value}, str(value)]
    odd += ["../../x", "a/b", "CON", "a\nb", "\u202e\u0000", "\ud800", "style", "upscale", " x "]
    odd += ["长" * 80, "x" * 100_000, [[0.0, 1.0]] * 3, "\U0001f3a8"]
    return rng.choice(odd)


def _odd_text(rng: Random, text: str) -> str:
    repeats = rng.choice((10, 200_000))
    return rng.choice(
        (
            "",
            "null",
            "[" * repeats,
            '{"a":' * repeats,
            '{"format_version": 1' + "0" * repeats + "}",
            '{"format_version": 1e' + "9" * rng.choice((1, 30)) + "}",
            '{"format_version": 2, "kind": "style"}',
            text[: rng.randrange(len(text))],
            text.replace('"', "'"),
            text.replace("1", "-1"),
            text + text,
            text + "\0",
            "\ufeff" + text,
            mutate(rng, text.encode())[1].decode("utf-8", "replace"),
        )
    )
