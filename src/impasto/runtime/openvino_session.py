"""OpenVINO behind the interface of ONNX Runtime's sessions."""

from __future__ import annotations

import functools
import importlib
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from impasto.errors import ModelError, UsageError
from impasto.runtime.model_file import value_names

# Compiled for one size a network is 1.3 times as fast as ONNX Runtime, for any size it is slower.
# Compiling takes about as long as painting a photo of half a megapixel.
_SIZES_KEPT: Final = 4

_TELEMETRY: Final = "openvino_telemetry"
# Where in OpenVINO's source something went wrong says nothing to users.
_PLACES: Final = re.compile(r"^Exception from .*$|Check '.*?' failed at \S+", re.MULTILINE)


class _Value(NamedTuple):
    """An input or output: its name, and its sides, of which None is any."""

    name: str
    shape: tuple[int | None, ...]


class OpenVinoSession:
    """Runs one graph on the CPU as ONNX Runtime's sessions do, from several threads at once.

    The graph is compiled anew for every size; the latest few stay compiled.
    """

    def __init__(self, data: bytes, threads: int | None) -> None:
        """Opens a session for a judged model on some threads, or None for every core.

        Raises:
            ModelError: OpenVINO refuses the graph.
            UsageError: OpenVINO is installed, but does not start.
        """
        core = _core()
        self._settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Some processors would be given bfloat16, which shows in smooth areas.
            "INFERENCE_PRECISION_HINT": "f32",
            # Each of several processes would pin its threads to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled: dict[tuple[tuple[str, tuple[int, ...]], ...], Any] = {}
        self._lock = threading.Lock()
        inputs, outputs = value_names(data)
        try:
            self._model = core.read_model(data)
            self._inputs = [_value(name, self._model.input(name)) for name in inputs]
            self._outputs = [_value(name, self._model.output(name)) for name in outputs]
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"OpenVINO refuses the model: {_reason(error)}") from error

    def get_inputs(self) -> list[_Value]:
        """Returns the graph's inputs, in its order."""
        return self._inputs

    def get_outputs(self) -> list[_Value]:
        """Returns the graph's outputs, in its order."""
        return self._outputs

    def run(self, names: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Runs the graph on an array for each input; returns one for each output that is named.

        Raises:
            RuntimeError: the graph fails, or there is not enough memory.
        """
        try:
            # A request of one's own for each run: another thread's would be overwritten.
            request = self._for_sizes(feeds).create_infer_request()
            # With a single thread `infer` keeps errors to itself.
            request.start_async(dict(feeds), share_inputs=True)
            request.wait()
        except RuntimeError as error:
            raise RuntimeError(_reason(error)) from error
        return [request.get_tensor(name).data for name in names]

    def _for_sizes(self, feeds: Mapping[str, NDArray[Any]]) -> Any:
        """Returns the graph compiled for what it is given."""
        sizes = tuple(sorted((name, value.shape) for name, value in feeds.items()))
        with self._lock:
            compiled = self._compiled.pop(sizes, None)
            if compiled is None:
                model = self._model.clone()
                model.reshape({name: list(shape) for name, shape in sizes})
                compiled = _core().compile_model(model, "CPU", self._settings)
            self._compiled[sizes] = compiled
            if len(self._compiled) > _SIZES_KEPT:
                del self._compiled[next(iter(self._compiled))]
        return compiled


@functools.cache
def _core() -> Any:
    """Returns OpenVINO itself, which stays until the process ends.

    It gives the thread that starts it a stack for signals, and takes the memory away when it
    stops, in whatever thread that is: the next Ctrl-C then ends the process.

    Raises:
        UsageError: it is installed, but does not start.
    """
    try:
        return _openvino().Core()
    except (ImportError, RuntimeError) as error:
        raise UsageError(f"the device openvino does not start: {_reason(error)}") from error


def _openvino() -> ModuleType:
    """Imports OpenVINO without what it would send to its makers on being imported.

    It goes without its package for that as well as with it, and keeps a stub in its place.
    """
    absent = not {"openvino", _TELEMETRY} & sys.modules.keys()
    if absent:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    finally:
        if absent:
            del sys.modules[_TELEMETRY]


def _value(name: str, port: Any) -> _Value:
    shape = port.partial_shape
    if shape.rank.is_dynamic:
        return _Value(name, ())
    return _Value(name, tuple(None if side.is_dynamic else side.get_length() for side in shape))


def _reason(error: Exception) -> str:
    return " ".join(_PLACES.sub("", str(error)).split()).removeprefix(": ")
