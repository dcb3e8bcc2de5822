"""Reading a model file safely, without the ``onnx`` package.

An ONNX file is a protobuf message. The few fields that matter here, our metadata and whether
any tensor points to data outside the file, are found by a walk over the wire format, so that
a file is judged before ONNX Runtime opens it and the bytes that were judged are the bytes
that run. Field numbers: ``onnx/onnx.proto`` of ONNX 1.23 (they never change).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from impasto.errors import ModelError
from impasto.runtime.metadata import METADATA_KEY, ModelMetadata

MAX_MODEL_BYTES: Final = 256 * 1024 * 1024

# Which fields of each message hold messages, so that every tensor is reached.
_CHILDREN: Final[dict[str, dict[int, str]]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_MODEL_METADATA_PROPS: Final = 14
_MODEL_GRAPH: Final = 7
_GRAPH_INPUT, _GRAPH_OUTPUT = 11, 12
_VALUE_NAME: Final = 1
_TENSOR_EXTERNAL_DATA: Final = 13
_TENSOR_DATA_LOCATION: Final = 14
_MAX_FIELD_NUMBER: Final = 2**29 - 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    """A field of a message: where its content lies, and its value where that is a number."""

    number: int
    start: int
    end: int
    value: int | None


def read_model_file(path: str | Path) -> tuple[bytes, ModelMetadata]:
    """Reads and judges a model file that Impasto exported.

    Returns:
        The file's bytes, to be given to ONNX Runtime, and its metadata.

    Raises:
        NewerFormatError: a newer version of Impasto made the file.
        ModelError: the file is missing, too large, not ours, damaged or keeps tensors in
            other files.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MODEL_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(f"no such model file: {path}") from error
    except OSError as error:
        raise ModelError(f"cannot read model file {path}: {error.strerror or error}") from error
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(f"{path}: larger than {MAX_MODEL_BYTES >> 20} MiB, which no model here is")
    try:
        return data, read_model_bytes(data)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def read_model_bytes(data: bytes) -> ModelMetadata:
    """Judges the content of a model file; errors do not name a file.

    Raises:
        NewerFormatError: a newer version of Impasto made the file.
        ModelError: the content is not ours, damaged or refers to other files.
    """
    check_graph(data)
    text = read_entry(data, METADATA_KEY)
    if text is None:
        raise ModelError(
            "not a model made by impasto (no metadata of ours in it): "
            "`impasto train` and `impasto export` make them"
        )
    return ModelMetadata.from_json(text)


def check_graph(data: bytes) -> None:
    """Visits every message of a model.

    Raises:
        ModelError: the content is damaged or refers to other files.
    """
    # A list instead of recursion: nesting depth is chosen by whoever made the file.
    pending = [("Model", 0, len(data))]
    while pending:
        message, start, end = pending.pop()
        children = _CHILDREN[message]
        for item in _fields(data, start, end):
            if message == "Tensor" and (
                item.number == _TENSOR_EXTERNAL_DATA
                or (item.number == _TENSOR_DATA_LOCATION and item.value != 0)
            ):
                raise ModelError("keeps tensors in other files (external data), which is refused")
            child = children.get(item.number)
            if child is not None:
                if item.value is not None:
                    raise _malformed()
                pending.append((child, item.start, item.end))


def read_entry(data: bytes, key: str) -> str | None:
    """Returns the text of an entry of a model's ``metadata_props``, or None if it is not there.

    Raises:
        ModelError: the entries are damaged.
    """
    entries = {}
    for prop in _parts(data, 0, len(data), _MODEL_METADATA_PROPS):
        texts = {1: "", 2: ""}
        for item in _fields(data, prop.start, prop.end):
            if item.number in texts:
                try:
                    texts[item.number] = data[item.start : item.end].decode("utf-8")
                except UnicodeDecodeError as error:
                    raise _malformed() from error
        entries[texts[1]] = texts[2]
    return entries.get(key)


def value_names(data: bytes) -> tuple[list[str], list[str]]:
    """Returns the names of the inputs and outputs of a graph that was judged, in its order."""
    (graph,) = _parts(data, 0, len(data), _MODEL_GRAPH)
    inputs, outputs = (
        [
            data[name.start : name.end].decode("utf-8", "replace")
            for value in _parts(data, graph.start, graph.end, number)
            for name in _parts(data, value.start, value.end, _VALUE_NAME)
        ]
        for number in (_GRAPH_INPUT, _GRAPH_OUTPUT)
    )
    return inputs, outputs


def _parts(data: bytes, start: int, end: int, number: int) -> Iterator[_Field]:
    return (item for item in _fields(data, start, end) if item.number == number)


def _malformed() -> ModelError:
    return ModelError("not an ONNX model, or a damaged one")


def _fields(data: bytes, position: int, end: int) -> Iterator[_Field]:
    """Yields the fields of the message at ``data[position:end]``."""
    while position < end:
        tag, position = _varint(data, position, end)
        number, wire = tag >> 3, tag & 7
        value: int | None = None
        if wire == _VARINT:
            start = position
            value, position = _varint(data, position, end)
        elif wire == _BYTES:
            length, start = _varint(data, position, end)
            position = start + length
        elif wire in (_FIXED64, _FIXED32):
            start = position
            position += 8 if wire == _FIXED64 else 4
            value = 0
        else:
            raise _malformed()
        if position > end or not 1 <= number <= _MAX_FIELD_NUMBER:
            raise _malformed()
        yield _Field(number, start, position, value)


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise _malformed()
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _malformed()
