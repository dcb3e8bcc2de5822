"""Every benchmark starts; `make bench`: what it counts, and what it prints."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from impasto.evaluation import machine
from impasto.runtime.metadata import Tiling

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPT = FOLDER / "bench.py"

# Runs all scripts in one process, so that torch is imported once.
ASK_FOR_HELP = """
import contextlib, io, json, runpy, sys, traceback

sys.path[0], *scripts = sys.argv[1:]
answers = {}
for script in scripts:
    sys.argv, shown, exit_code = [script, "--help"], io.StringIO(), None
    with contextlib.redirect_stdout(shown):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            exit_code = end.code
        except Exception:
            traceback.print_exc(file=shown)
    answers[script] = exit_code, shown.getvalue()
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers():
    """Exit code and output of each script with --help; the code is None where it does not end."""
    line = [sys.executable, "-c", ASK_FOR_HELP, FOLDER, *FOLDER.glob("*.py")]
    shown = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {Path(script).name: answer for script, answer in json.loads(shown).items()}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.py")))
def test_every_script_tells_how_it_is_used(answers, name):
    exit_code, text = answers[name]
    assert exit_code == 0, text
    assert text.startswith(f"usage: {name} [-h]")


@pytest.fixture
def bench():
    """benchmarks/bench.py as a module of its own."""
    spec = importlib.util.spec_from_file_location("bench", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_multiplications_and_memory_are_those_of_the_graph(bench):
    shapes = {"w1": (4, 3, 3, 3), "w2": (4, 2, 2, 2)}
    weights = [numpy_helper.from_array(np.ones(s, np.float32), n) for n, s in shapes.items()]
    two = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64), "one more")
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["map"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Pad", ["map", "one more"], ["padded"]),
        helper.make_node("ConvTranspose", ["padded", "w2"], ["output"], strides=[2, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", 1, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("output", 1, None)],
        [*weights, two],
    )
    opsets = [helper.make_opsetid("", 17)]
    data = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    cost = bench.graph_cost(data, 10)
    # 3x10x10 -> 4x5x5, a row and a column more, -> 2x12x12
    assert cost.multiplications == 4 * 3 * 9 * 25 + 4 * 2 * 4 * 36
    assert cost.memory_bytes == 3 * 4 * (4 * 36 + 2 * 144)


def run(*arguments):
    """Runs the script as users do: it sets up runtimes for its whole process."""
    line = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def test_a_row_for_each_model_and_size(bench, save_upscaler, tmp_path):
    path = save_upscaler(tmp_path / "seeing.onnx", see_px=2)
    text = run(path, "--sizes", 64, 128, "--turns", 1, "--threads", 1)
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[:4]]
    heading, _, *rows = table
    assert heading[: len(bench.HEADINGS) + 2] == [*bench.HEADINGS, "OpenVINO", "PyTorch eager"]
    assert [row[:2] for row in rows] == [["seeing", "64"], ["seeing", "128"]]
    for row in rows:
        found = dict(zip(heading, row, strict=True))
        assert float(found[bench.OURS].removesuffix(" s")) > 0
        assert "% of " in found["of sgemm"]
        assert 30 < int(found["peak memory"].removesuffix(" MiB").replace(",", "")) < 500
        assert found["PyTorch eager"] == ""  # no plain weights beside it
    assert "Left out" not in text


def test_what_does_not_fit_is_left_out_and_said_so(save_upscaler, tmp_path):
    path = save_upscaler(tmp_path / "seeing.onnx", tiling=Tiling())
    text = run(path, "--sizes", 4096, "--memory", "64MiB")
    assert "| seeing |" not in text
    assert "Left out above --memory 64MiB:\n- seeing at 4096 px: 8-bit to 8-bit, " in text


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such figure on Windows")
def test_peak_memory_is_that_of_the_process_alone():
    held = np.ones(1 << 26)  # 512 MiB, which a process that is started from here inherits
    code = "from runpy import run_path\nimport sys\nbytearray(64 << 20)\n"
    code += "print(run_path(sys.argv[1])['peak_memory_bytes']())"
    done = subprocess.run(
        [sys.executable, "-c", code, machine.__file__], capture_output=True, text=True, check=True
    )
    assert held.all()
    assert 64 << 20 < int(done.stdout) < 256 << 20
