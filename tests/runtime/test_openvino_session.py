import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import helper
from tiny_models import SPECS, exported, older_gallery

from impasto.catalog import list_styles
from impasto.errors import ImageTooLargeError, ModelError
from impasto.runtime.loading import load_model, load_upscaler
from impasto.runtime.openvino_session import OpenVinoSession
from impasto.runtime.session import ModelSession, run_on_picture

# Heights and widths, one after the other in the same session.
SIZES = [(64, 64), (101, 67), (45, 130), (101, 67)]


def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


def opened(path, device):
    return ModelSession(path.read_bytes(), threads=1, device=device)


@pytest.mark.parametrize(
    "path", {style.path: None for style in list_styles()}, ids=lambda path: path.stem
)
def test_shipped_models_give_what_onnx_runtime_gives(path):
    sessions = [opened(path, device) for device in ("cpu", "openvino")]
    assert [session.device for session in sessions] == ["cpu", "openvino"]
    sets = sessions[0].parameter_sets
    assert sets == sessions[1].parameter_sets
    weights = None if sets is None else np.full(sets, 1 / sets, np.float32)
    for picture in pictures():
        expected, found = (run_on_picture(session, picture, weights) for session in sessions)
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.fixture(scope="module", params=["gallery", "johnson"])
def network(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    return older_gallery(path) if request.param == "gallery" else exported(SPECS["johnson"], path)


def test_every_kind_of_network_gives_what_onnx_runtime_gives(network):
    cpu, openvino = (opened(network, device) for device in ("cpu", "openvino"))
    assert cpu.parameter_sets == openvino.parameter_sets
    weights = None if cpu.parameter_sets is None else np.array([0.3, 0.7], np.float32)
    for picture in pictures():
        expected, found = (run_on_picture(s, picture, weights) for s in (cpu, openvino))
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_draft_and_refine_network_paints_as_with_onnx_runtime(tmp_path):
    path = exported(SPECS["draft_refine"], tmp_path / "two.onnx")
    rgb = np.random.default_rng(0).integers(0, 256, (180, 260, 3), np.uint8)
    cpu, openvino = (load_model(path, threads=1, device=name) for name in ("cpu", "openvino"))
    assert (cpu.device, openvino.device) == ("cpu", "openvino")
    difference = np.abs(cpu.paint(rgb).astype(int) - openvino.paint(rgb))
    assert difference.max() <= 1


def test_results_stay_as_they_are_when_others_follow(tiny_model):
    model = opened(tiny_model, "openvino")
    results = [run_on_picture(model, picture) for picture in pictures()]
    for picture, result in zip(pictures(), results, strict=True):
        np.testing.assert_allclose(result, 1 - picture / 255, atol=1e-6)


def test_threads_share_one_session(tiny_model):
    model = load_model(tiny_model, threads=1, device="openvino")
    rgb = [np.full((20 + n, 30, 3), n, np.uint8) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for picture, painted in zip(rgb, pool.map(model.paint, rgb), strict=True):
            np.testing.assert_array_equal(painted, 255 - picture)


def test_upscaling_in_tiles(save_upscaler, tmp_path):
    path = save_upscaler(tmp_path / "seeing.onnx", see_px=2)
    rgb = pictures()[1]
    found, expected = (
        load_upscaler(path, scale=4, threads=1, device=device).upscale(rgb, tile_px=24)
        for device in ("openvino", "cpu")
    )
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_the_command_says_where_it_ran(run_cli, tiny_model, photo, tmp_path):
    target = tmp_path / "painted.png"
    line = ["stylize", photo, "--model", tiny_model, "-o", target, "--device", "openvino"]
    code, out, err = run_cli(*line, "--json")
    assert (code, err) == (0, "")
    assert '"device": "openvino"' in out


def test_models_that_misbehave_are_told_in_one_line(save_model, tmp_path, rgb):
    node = helper.make_node

    def broken(*nodes):
        return opened(save_model(tmp_path / "broken.onnx", nodes=list(nodes)), "openvino")

    with pytest.raises(
        ModelError, match=r"^OpenVINO refuses the model: .*NoSuchOperator"
    ) as caught:
        broken(node("NoSuchOperator", ["image"], ["output"]))
    assert "\n" not in str(caught.value)
    twice = node("Concat", ["image", "image"], ["twice"], axis=2)
    with pytest.raises(ModelError, match="fails on a picture of 40x31: ") as caught:
        run_on_picture(broken(twice, node("Add", ["twice", "image"], ["output"])), rgb)
    assert "\n" not in str(caught.value)


def test_memory_that_runs_out_is_told_as_such(tiny_model, monkeypatch):
    model = opened(tiny_model, "openvino")

    class Full:
        def start_async(self, *args, **settings):
            raise RuntimeError(
                "Exception from src/cpp/infer_request.cpp:224:\n[CPU] Concat node with name 'x' "
                "Check 'ptr' failed at src/cpu_memory.cpp:257:\nFailed to allocate 12 bytes\n"
            )

    class Model:
        def create_infer_request(self):
            return Full()

    monkeypatch.setattr(model._session, "_for_sizes", lambda feeds: Model())
    with pytest.raises(ImageTooLargeError, match=r"not enough memory to paint 9x8 pixels"):
        model.run(np.zeros((1, 3, 8, 9), np.float32))
    with pytest.raises(RuntimeError, match=r"^\[CPU\] Concat node with name 'x' Failed to"):
        model._session.run(["output"], {})


def test_nothing_is_sent_to_openvinos_makers(tiny_model, tmp_path):
    """Its package sends an event on being imported, and keeps a file for that at home."""
    code = f"""
import socket, sys, threading, time

def refuse(*args, **kwargs):
    print("network", args)
    raise OSError("no network in this test")

socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
from impasto.runtime.session import open_session
open_session(open({str(tiny_model)!r}, "rb").read(), 1, "openvino")
time.sleep(0.3)
print(*[name for name in sys.modules if name.startswith("openvino_telemetry")])
import openvino_telemetry
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
    assert not (tmp_path / "intel").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signal")
def test_a_session_that_ends_in_another_thread_leaves_signals_alone(tiny_model):
    """OpenVINO's engine, taken down there, left this thread no memory to handle them in."""
    code = f"""
import faulthandler, gc, signal, threading
faulthandler.enable()  # as servers and tests do
import numpy as np
from impasto.runtime.session import open_session
sessions = [open_session(open({str(tiny_model)!r}, "rb").read(), 1, "openvino")]
sessions[0].run(["output"], {{"image": np.zeros((1, 3, 8, 9), np.float32)}})
ending = threading.Thread(target=lambda: (sessions.clear(), gc.collect()))
ending.start()
ending.join()
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
signal.raise_signal(signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "handled\n", "")


def test_it_takes_as_many_threads_as_it_is_told(tiny_model):
    session = OpenVinoSession(tiny_model.read_bytes(), 1)
    session.run(["output"], {"image": np.zeros((1, 3, 8, 9), np.float32)})
    (compiled,) = session._compiled.values()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert "float32" in str(compiled.get_property("INFERENCE_PRECISION_HINT"))


def test_the_latest_sizes_stay_compiled(tiny_model):
    session = OpenVinoSession(tiny_model.read_bytes(), 1)
    compiled = {}
    for side in (8, 9, 10, 11, 8, 12):
        session.run(["output"], {"image": np.zeros((1, 3, side, 9), np.float32)})
        compiled.setdefault(side, session._for_sizes({"image": np.zeros((1, 3, side, 9))}))
    kept = [sizes[0][1][2] for sizes in session._compiled]
    assert kept == [10, 11, 8, 12]
    assert session._for_sizes({"image": np.zeros((1, 3, 8, 9))}) is compiled[8]
