import subprocess
import sys

import numpy as np
import onnxruntime as ort
import pytest

from impasto.errors import MissingExtraError, ModelError, UsageError
from impasto.runtime import session
from impasto.runtime.session import ModelSession, available_devices, choose_device


@pytest.fixture
def providers(monkeypatch):
    """Makes ONNX Runtime claim other execution providers, where OpenVINO is not installed."""
    monkeypatch.setattr(session, "find_spec", lambda name: None)

    def claim(*names):
        full = [f"{name}ExecutionProvider" for name in names]
        monkeypatch.setattr(ort, "get_available_providers", lambda: full)

    return claim


def test_devices_are_the_providers_by_plain_name(providers):
    providers("CUDA", "Dml", "CoreML", "OpenVINO", "Azure", "CPU")
    assert available_devices() == ("cuda", "directml", "coreml", "cpu")
    assert (choose_device(), choose_device("coreml")) == ("cuda", "coreml")
    providers("CoreML", "CPU")
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("device", "hint"),
    [
        ("cuda", "`pip uninstall -y onnxruntime`, then `pip install onnxruntime-gpu` brings it"),
        ("directml", "`pip install onnxruntime-directml` brings it on Windows"),
        ("coreml", "onnxruntime brings it on macOS, and nowhere else"),
        ("azure", "name one of cuda, directml, coreml, openvino to be told what brings it"),
        ("CPU ", "name one of"),
        ("", "name one of"),
    ],
)
def test_a_device_that_is_not_here_is_told_with_what_brings_it(providers, device, hint):
    providers("XNNPACK", "CPU")
    with pytest.raises(UsageError) as caught:
        choose_device(device)
    line = str(caught.value)
    assert line.startswith(f"there is no device {device!r} here, there are auto, xnnpack, cpu: ")
    assert hint in line


def test_openvino_is_an_extra(providers, monkeypatch):
    providers("CPU")
    with pytest.raises(MissingExtraError, match=r'the device openvino needs.*"\.\[openvino\]"'):
        choose_device("openvino")
    monkeypatch.setattr(session, "find_spec", lambda name: name == "openvino")
    assert available_devices() == ("cpu", "openvino")
    assert (choose_device("openvino"), choose_device()) == ("openvino", "cpu")


def test_a_gpu_without_its_libraries_gives_way_to_the_cpu(providers, tiny_model):
    data = tiny_model.read_bytes()
    providers("CUDA", "CPU")  # this build has no CUDA, so that the session leaves it out
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        opened = ModelSession(data)
    assert opened.device == "cpu"
    photo = np.zeros((1, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(opened.run(photo), photo + 1)
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(UsageError, match="the device cuda does not start"),
    ):
        ModelSession(data, device="cuda")


def test_a_gpu_that_refuses_the_model_gives_way_only_to_auto(providers, tiny_model, monkeypatch):
    asked = []
    inference_session = ort.InferenceSession

    def start(data, options, *, providers, **settings):
        asked.append(providers)
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("no such GPU\nand a stack of calls")
        return inference_session(data, options, providers=providers, **settings)

    monkeypatch.setattr(session.ort, "InferenceSession", start)
    providers("CUDA", "CPU")
    assert ModelSession(tiny_model.read_bytes()).device == "cpu"
    assert asked == [["CUDAExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]]
    with pytest.raises(ModelError, match=r"refuses the model: no such GPU$"):
        ModelSession(tiny_model.read_bytes(), device="cuda")


def test_memory_that_runs_out_is_told_as_such(tiny_model, monkeypatch):
    opened = ModelSession(tiny_model.read_bytes())

    class Full:
        def run(self, names, feed):
            raise RuntimeError("Failed to allocate memory for requested buffer")

    monkeypatch.setattr(opened, "_session", Full())
    with pytest.raises(Exception, match=r"not enough memory to paint 9x8 pixels.*--max-size"):
        opened.run(np.zeros((1, 3, 8, 9), np.float32))


@pytest.mark.parametrize(("value", "quiet"), [(None, True), ("0", False)])
def test_nothing_is_kept_for_onnx_runtimes_makers(tiny_model, tmp_path, value, quiet):
    """Its telemetry begins with a number for the device and a queue of events at home."""
    switch = {"ORT_DISABLE_TELEMETRY": value} if value else {}
    done = subprocess.run(
        [sys.executable, "-c", f"import impasto; impasto.load_model({str(tiny_model)!r})"],
        env={"HOME": str(tmp_path), "PATH": ""} | switch,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / ".cache").exists() != quiet
