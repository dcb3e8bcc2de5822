import numpy as np
import onnxruntime as ort
import pytest

from impasto.errors import ModelError, UsageError
from impasto.runtime import session
from impasto.runtime.session import ModelSession, available_devices, choose_device


@pytest.fixture
def providers(monkeypatch):
    """Makes ONNX Runtime claim other execution providers."""

    def claim(*names):
        full = [f"{name}ExecutionProvider" for name in names]
        monkeypatch.setattr(ort, "get_available_providers", lambda: full)

    return claim


def test_devices_are_the_providers_by_plain_name(providers):
    providers("CUDA", "Dml", "CoreML", "Azure", "CPU")
    assert available_devices() == {
        "cuda": "CUDAExecutionProvider",
        "directml": "DmlExecutionProvider",
        "coreml": "CoreMLExecutionProvider",
        "cpu": "CPUExecutionProvider",
    }
    assert (choose_device(), choose_device("coreml")) == ("cuda", "coreml")
    providers("CoreML", "CPU")
    assert choose_device("auto") == "cpu"
    for device in ("cuda", "azure", "CPU ", ""):
        with pytest.raises(UsageError, match=f"no device '{device}' here, there are auto, coreml"):
            choose_device(device)


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
