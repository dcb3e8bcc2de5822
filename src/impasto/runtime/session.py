"""One ONNX Runtime session around one model's bytes."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from impasto.errors import ImageTooLargeError, ModelError

INPUT_NAME: Final = "image"
OUTPUT_NAME: Final = "output"

# ONNX Runtime's exceptions have no common base of their own; its binding adds Python's.
_ORT_ERRORS: Final = (
    RuntimeError,
    ValueError,
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
_MEMORY_WORDS: Final = ("alloc", "memory")


class ModelSession:
    """Runs a model's graph on the CPU; safe to call from several threads at once.

    Attributes:
        device: where the graph runs, ``"cpu"``.
    """

    device: Final = "cpu"

    def __init__(self, data: bytes, *, threads: int | None = None) -> None:
        """Opens a session.

        Args:
            data: the bytes that `read_model_file` judged.
            threads: CPU threads for one picture; None lets ONNX Runtime take every core.

        Raises:
            ModelError: ONNX Runtime refuses the graph, or its inputs are not ours.
        """
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads or 0
        # Memory planned per shape would be kept beside the arena for every size of photo.
        options.enable_mem_pattern = False
        options.log_severity_level = 4  # errors arrive as exceptions; nothing else is printed
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            # The fallback would print and try the same provider again.
            self._session = ort.InferenceSession(
                data, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except _ORT_ERRORS as error:
            raise ModelError(f"ONNX Runtime refuses the model: {_first_line(error)}") from error
        inputs = [value.name for value in self._session.get_inputs()]
        outputs = [value.name for value in self._session.get_outputs()]
        if inputs != [INPUT_NAME] or outputs != [OUTPUT_NAME]:
            raise ModelError(f"the model's graph maps {inputs} to {outputs}, not image to output")

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs the graph.

        Args:
            batch: (N, 3, H, W) float32 RGB in [0, 1].

        Returns:
            (N, 3, H, W) float32 RGB, not yet clipped to [0, 1].

        Raises:
            ImageTooLargeError: there is not enough memory for a picture of this size.
            ModelError: the graph fails or returns another shape or values that are no numbers.
        """
        size = f"{batch.shape[3]}x{batch.shape[2]}"
        try:
            (output,) = self._session.run([OUTPUT_NAME], {INPUT_NAME: batch})
        except _ORT_ERRORS as error:
            reason = _first_line(error)
            if any(word in reason.lower() for word in _MEMORY_WORDS):
                raise ImageTooLargeError(f"not enough memory to paint {size} pixels") from error
            raise ModelError(f"the model fails on a picture of {size}: {reason}") from error
        result: NDArray[np.float32] = np.asarray(output)
        if result.shape != batch.shape or result.dtype != np.float32:
            raise ModelError(f"the model returned {result.dtype} {result.shape} for {batch.shape}")
        if not np.isfinite(result).all():
            raise ModelError(f"the model returned values that are no numbers for {size} pixels")
        return result


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0][:200]
