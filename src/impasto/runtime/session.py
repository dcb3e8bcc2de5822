"""From a model file to a session of ONNX Runtime or of OpenVINO, and pictures through it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from impasto.errors import ImageTooLargeError, MissingExtraError, ModelError, UsageError
from impasto.runtime.metadata import ModelMetadata
from impasto.runtime.model_file import read_model_file

if TYPE_CHECKING:
    from impasto.runtime.openvino_session import OpenVinoSession

INPUT_NAME: Final = "image"
OUTPUT_NAME: Final = "output"
STYLE_INPUT_NAME: Final = "style_weights"
PHOTO_INPUT_NAME: Final = "photo"
DRAFT_INPUT_NAME: Final = "draft"

# ONNX Runtime's exceptions have no common base of their own; its binding adds Python's, which
# are all that OpenVINO's has.
_ERRORS: Final[tuple[type[Exception], ...]] = (
    RuntimeError,
    ValueError,
    *(e for e in vars(ort_errors).values() if isinstance(e, type) and issubclass(e, Exception)),
)
_MEMORY_WORDS: Final = ("alloc", "memory")

CPU: Final = "cpu"
_OPENVINO: Final = "openvino"
_SUFFIX: Final = "ExecutionProvider"
_OTHER_NAMES: Final = {"dml": "directml"}
# Azure's sends pictures to a server, and nothing here talks to the network. OpenVINO is its own
# package here: ONNX Runtime's build of it takes the place of the one with all other devices.
_REFUSED: Final = ("azure", _OPENVINO)
_INSTEAD: Final = "`pip uninstall -y onnxruntime`, then `pip install {}` brings it"
_BROUGHT_BY: Final = {
    "cuda": _INSTEAD.format("onnxruntime-gpu"),
    "directml": _INSTEAD.format("onnxruntime-directml") + " on Windows",
    "coreml": "onnxruntime brings it on macOS, and nowhere else",
}

LEVELS: Final = np.float32(255)
# Rows of a wide picture that stay in a processor's cache while they are rounded.
_ROWS_AT_ONCE: Final = 32

Progress = Callable[[float], None]
"""Takes the share of a picture that is done."""


def nothing(_share: float) -> None:
    """Takes reports that nobody wants."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Returns a function that reports a part's progress as progress of the whole."""
    return lambda share: progress(start + share * (end - start))


def available_devices() -> tuple[str, ...]:
    """Returns the plain names of the devices that this machine can compute pictures on.

    They are ``"cpu"``, and as far as they are there ``"cuda"``, ``"coreml"``, ``"directml"``,
    ``"openvino"`` and whatever else this build of ONNX Runtime has.
    """
    openvino = (_OPENVINO,) if find_spec("openvino") else ()
    return (*_providers(), *openvino)


def _providers() -> dict[str, str]:
    """Returns ONNX Runtime's execution providers by their plain names, the fastest first."""
    names = {p.removesuffix(_SUFFIX).lower(): p for p in ort.get_available_providers()}
    return {_OTHER_NAMES.get(n, n): p for n, p in names.items() if n not in _REFUSED}


def choose_device(device: str = "auto") -> str:
    """Returns the plain name of the device that ``device`` means.

    Args:
        device: a plain name, or ``"auto"``: CUDA where it is there, the CPU elsewhere.

    Raises:
        UsageError: this machine lacks the device; the message lists those it has, and what
            brings this one.
        MissingExtraError: it is OpenVINO, and that is not installed.
    """
    if device == "auto":
        return "cuda" if "cuda" in _providers() else CPU
    if device == CPU:
        return CPU
    known = available_devices()
    if device in known:
        return device
    if device == _OPENVINO:
        raise MissingExtraError(_OPENVINO, "the device openvino")
    others = ", ".join(name for name in (*_BROUGHT_BY, _OPENVINO) if name not in known)
    hint = _BROUGHT_BY.get(device, f"name one of {others} to be told what brings it")
    raise UsageError(
        f"there is no device {device!r} here, there are auto, {', '.join(known)}: {hint}"
    )


class ModelSession:
    """Runs a model's graph; safe to call from several threads at once.

    Attributes:
        device: where the graph runs, for example ``"cpu"``.
        parameter_sets: how many sets of scales and shifts the graph mixes; None if it has one
            style and no such input.
    """

    def __init__(
        self,
        data: bytes,
        *,
        threads: int | None = None,
        device: str = "auto",
        scale: int = 1,
        pictures: tuple[str, ...] = (INPUT_NAME,),
        border_px: int = 0,
    ) -> None:
        """Opens a session.

        Args:
            data: the bytes that `read_model_file` judged.
            threads: CPU threads for one picture; None takes every core.
            device: that of `choose_device`; with ``"auto"`` a GPU that does not start gives way
                to the CPU.
            scale: output size divided by input size.
            pictures: names of the inputs that are pictures, in the order of `run`.
            border_px: what the graph takes off its input on every side.

        Raises:
            ModelError: the graph is refused, or its inputs are not ours.
            UsageError: there is no such device, or it does not start.
            MissingExtraError: it is OpenVINO, and that is not installed.
        """
        self.device = choose_device(device)
        try:
            self._session = open_session(data, threads, self.device)
        except (ModelError, UsageError):
            if device != "auto" or self.device == CPU:
                raise
            self.device = CPU
            self._session = open_session(data, threads, CPU)
        self._scale, self._pictures, self._border_px = scale, pictures, border_px
        inputs = [value.name for value in self._session.get_inputs()]
        outputs = [value.name for value in self._session.get_outputs()]
        one_style, many_styles = [*pictures], [*pictures, STYLE_INPUT_NAME]
        if inputs not in (one_style, many_styles) or outputs != [OUTPUT_NAME]:
            wanted = " and ".join(pictures)
            raise ModelError(
                f"the model's graph maps {inputs} to {outputs}, not {wanted} to output"
            )
        self.parameter_sets: int | None = None
        if inputs == many_styles:
            self.parameter_sets = self._session.get_inputs()[-1].shape[0]

    def run(
        self, *batches: NDArray[np.float32], style_weights: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Runs the graph.

        Args:
            batches: (N, 3, H, W) float32 RGB in [0, 1], one for each input that is a picture.
            style_weights: (sets,) float32 for a graph with parameter sets.

        Returns:
            (N, 3, scale H, scale W) float32 RGB without the border, not yet clipped to [0, 1].

        Raises:
            ImageTooLargeError: there is not enough memory for a picture of this size.
            ModelError: the graph fails or returns another shape or values that are no numbers.
        """
        batch = batches[0]
        size = f"{batch.shape[3]}x{batch.shape[2]}"
        try:
            feeds = dict(zip(self._pictures, batches, strict=True))
            if self.parameter_sets is not None and style_weights is not None:
                feeds[STYLE_INPUT_NAME] = style_weights
            (output,) = self._session.run([OUTPUT_NAME], feeds)
        except _ERRORS as error:
            reason = _first_line(error)
            if any(word in reason.lower() for word in _MEMORY_WORDS):
                what = f"paint {size} pixels: make the picture smaller (--max-size)"
                if self._scale > 1:
                    what = f"upscale {size} pixels at once: make the tiles smaller (--tile)"
                raise ImageTooLargeError(f"not enough memory to {what}") from error
            raise ModelError(f"the model fails on a picture of {size}: {reason}") from error
        result: NDArray[np.float32] = np.asarray(output)
        height, width = (side * self._scale - 2 * self._border_px for side in batch.shape[2:])
        if result.shape != (*batch.shape[:2], height, width) or result.dtype != np.float32:
            raise ModelError(f"the model returned {result.dtype} {result.shape} for {batch.shape}")
        if not np.isfinite(result).all():
            raise ModelError(f"the model returned values that are no numbers for {size} pixels")
        return result


def open_session(
    data: bytes, threads: int | None, device: str
) -> ort.InferenceSession | OpenVinoSession:
    """Opens a session for a judged model on one of `available_devices`.

    Raises:
        ModelError: the graph is refused.
        UsageError: the device does not start.
    """
    if device == _OPENVINO:
        from impasto.runtime.openvino_session import OpenVinoSession

        return OpenVinoSession(data, threads)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Memory planned per shape would be kept beside the arena for every size of photo.
    options.enable_mem_pattern = False
    # Threads that spin while they wait are no faster, and keep a core from reading and writing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors arrive as exceptions; nothing else is printed
    options.add_session_config_entry("session.load_model_format", "ONNX")
    ort.set_default_logger_severity(4)  # reports missing libraries and overflows of its own
    known = _providers()
    providers = [known[device]]
    if device != CPU:
        providers.append(known[CPU])
    try:
        # The fallback would print and try the same provider again.
        session = ort.InferenceSession(data, options, providers=providers, enable_fallback=0)
    except _ERRORS as error:
        raise ModelError(f"ONNX Runtime refuses the model: {_first_line(error)}") from error
    # A provider whose libraries are missing is left out without an error.
    if providers[0] not in session.get_providers():
        raise UsageError(f"the device {device} does not start: are its driver and libraries there?")
    return session


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0][:200]


class OpenModel(NamedTuple):
    """A model file that is ready to run: its metadata, its graph's session, and its content."""

    metadata: ModelMetadata
    session: ModelSession
    data: bytes


def open_model(
    path: str | Path, kind: str, *, threads: int | None = None, device: str = "auto"
) -> OpenModel:
    """Opens a model file of a kind, ``"style"`` or ``"upscale"``; settings as `load_model` has.

    Raises:
        ModelError: the file cannot be used, or is of the other kind.
        NewerFormatError: a newer version of Impasto made it.
        UsageError: there is no such device.
    """
    data, metadata = read_model_file(path)
    if metadata.kind != kind:
        instead = ": `impasto stylize` runs it" if kind == "upscale" else ""
        raise ModelError(f"{path}: the model is of kind {metadata.kind}, not {kind}{instead}")
    scale = metadata.scale if kind == "upscale" else 1
    try:
        session = ModelSession(data, threads=threads, device=device, scale=scale)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return OpenModel(metadata, session, data)


def run_on_picture(
    session: ModelSession,
    rgb: NDArray[np.uint8],
    style_weights: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Runs a network on a picture of its smallest size or more, (H, W, 3) uint8.

    Returns:
        (scale H, scale W, 3) float32 in [0, 1].

    Raises:
        ImageTooLargeError: there is not enough memory for a picture of this size.
        ModelError: the model fails on the picture.
    """
    batch = np.divide(rgb.transpose(2, 0, 1)[None], LEVELS, order="C")
    result: NDArray[np.float32] = session.run(batch, style_weights=style_weights)[0]
    np.clip(result, 0.0, 1.0, out=result)
    return result.transpose(1, 2, 0)


def to_levels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounds (H, W, 3) values in [0, 1] to 8-bit levels, in the usual order in memory."""
    levels = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        rounded = values[rows] * LEVELS
        np.rint(rounded, out=rounded)
        # A network leaves one channel behind the other; mixing them is fastest one by one.
        for channel in range(3):
            levels[rows, :, channel] = rounded[..., channel]
    return levels
