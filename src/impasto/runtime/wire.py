"""Writing parts of an ONNX model by protobuf's wire format, without the ``onnx`` package.

Only what the changes here need: messages of strings, numbers and bytes. Field numbers:
``onnx/onnx.proto`` of ONNX 1.23 (they never change).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_VARINT, _BYTES = 0, 2
_FLOAT: Final = 1

MODEL_GRAPH, MODEL_METADATA_PROPS = 7, 14
GRAPH_NODE, GRAPH_TENSOR, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12


def varint(value: int) -> bytes:
    """Encodes a number of 0 or more."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def message(number: int, content: bytes) -> bytes:
    """Encodes a field that holds bytes, text or another message."""
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: bytes = b""
) -> bytes:
    """Encodes a node of a graph; attributes come as they stand in another node's message."""
    parts = [message(1, name.encode()) for name in inputs]
    parts += [message(2, name.encode()) for name in outputs]
    return b"".join([*parts, message(4, kind.encode()), attributes])


def value(name: str, rank: int) -> bytes:
    """Encodes what a graph's input or output is: float32 of any sides."""
    shape = b"".join(message(1, b"") for _ in range(rank))
    tensor = varint(1 << 3 | _VARINT) + varint(_FLOAT) + message(2, shape)
    return message(1, name.encode()) + message(2, message(1, tensor))


def tensor(name: str, values: NDArray[np.float32]) -> bytes:
    """Encodes a tensor of float32."""
    dims = b"".join(varint(1 << 3 | _VARINT) + varint(side) for side in values.shape)
    kind = varint(2 << 3 | _VARINT) + varint(_FLOAT)
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return dims + kind + message(8, name.encode()) + message(9, raw)


def properties(entries: Mapping[str, str]) -> bytes:
    """Encodes entries beside a model's graph, as fields of the model."""
    return b"".join(
        message(MODEL_METADATA_PROPS, message(1, key.encode()) + message(2, value.encode()))
        for key, value in entries.items()
    )
