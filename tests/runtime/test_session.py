import subprocess
import sys

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper

from impasto.errors import MissingExtraError, ModelError, UsageError
from impasto.runtime import session
from impasto.runtime.session import (
    LEVELS,
    ModelSession,
    available_devices,
    choose_device,
    run_on_picture,
    to_levels,
)


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


@pytest.fixture
def all_levels():
    """A picture of more rows than are rounded at once, with every level in every channel."""
    return np.arange(70 * 256 * 3, dtype=np.uint32).reshape(70, 256, 3).astype(np.uint8)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["rows", "channels"])
def test_levels_come_back_whatever_the_order_in_memory(all_levels, order):
    values = np.ascontiguousarray((all_levels / LEVELS).astype(np.float32).transpose(order))
    values = values.transpose(np.argsort(order))
    before = values.copy()
    for shift in (-0.49, 0.0, 0.49):
        levels = to_levels(np.clip(values + np.float32(shift / 255), 0, 1))
        np.testing.assert_array_equal(levels, all_levels)
        assert (levels.dtype, levels.flags.c_contiguous) == (np.uint8, True)
    to_levels(values)
    np.testing.assert_array_equal(values, before)


def test_the_network_gets_levels_as_shares_and_its_result_is_clipped(
    save_model, tmp_path, all_levels
):
    class Asked(ModelSession):
        def run(self, batch, **settings):
            self.batch = batch.copy()
            return super().run(batch, **settings)

    double = helper.make_node("Add", ["image", "image"], ["output"])
    session = Asked(save_model(tmp_path / "double.onnx", nodes=[double]).read_bytes(), threads=1)
    result = run_on_picture(session, all_levels[:, ::-1])  # a view, as pictures may be
    shares = all_levels[:, ::-1] / LEVELS
    assert session.batch.dtype == np.float32
    np.testing.assert_array_equal(session.batch[0].transpose(1, 2, 0), shares)
    np.testing.assert_array_equal(result, np.minimum(2 * shares, 1))
