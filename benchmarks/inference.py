"""PyTorch eager against ONNX Runtime on one network: `python benchmarks/inference.py NETWORK`.

Both get the same picture and the same number of threads and take turns in one process, so
that the ratio, unlike the seconds, can be compared between machines. ONNX Runtime runs through
Impasto's own session, with its checks of the output.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from impasto.evaluation.machine import describe_machine, usable_cores
from impasto.export import export_network, load_weights, save_weights
from impasto.networks import build_network
from impasto.networks.spec import FAST, PAPER, RELEASED, SHIPPED, FastSpec, NetworkSpec
from impasto.runtime.metadata import ModelMetadata, StyleEntry
from impasto.runtime.session import ModelSession

PRESETS = {"paper": PAPER, "released": RELEASED, "shipped": SHIPPED, "fast": FAST}
# Both keep their threads spinning for a moment after a run, at the other's cost.
PAUSE_S = 0.1


def main() -> None:
    """Prints medians and their ratio for every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "network", help=f"{', '.join(PRESETS)} (fresh weights), or a model's .safetensors"
    )
    parser.add_argument("--onnx", type=Path, help="the model; beside the weights when omitted")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], metavar="PX")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    network, data = _load(arguments.network, arguments.onnx)
    session = ModelSession(data, threads=arguments.threads)
    print("| size | PyTorch eager | ONNX Runtime | ratio |")
    print("| --- | --- | --- | --- |")
    for size in arguments.sizes:
        eager_s, session_s = _compare(network, session, size, arguments.repetitions)
        print(f"| {size} px | {eager_s:.3f} s | {session_s:.3f} s | {eager_s / session_s:.2f} |")
    machine = describe_machine(arguments.threads, ("torch", "onnxruntime"))
    print(
        f"\n{Path(arguments.network).name}, batch 1, float32, "
        f"medians of {arguments.repetitions} turns; {machine}"
    )


def _load(name: str, onnx: Path | None) -> tuple[torch.nn.Module, bytes]:
    if name not in PRESETS:
        weights = Path(name)
        return load_weights(weights), (onnx or weights.with_suffix(".onnx")).read_bytes()
    return fresh_model(PRESETS[name])


def fresh_model(spec: NetworkSpec | FastSpec) -> tuple[torch.nn.Module, bytes]:
    """Returns a network with fresh weights, and the same as a model file."""
    torch.manual_seed(0)
    network = build_network(spec).eval()
    sets = getattr(spec, "parameter_sets", 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fresh.onnx"
        metadata = ModelMetadata(
            styles=tuple(StyleEntry(f"fresh{i}", "Fresh") for i in range(sets)),
            min_size_px=network.spec.min_size_px,
            network=network.spec.to_dict(),
            weights_sha256=save_weights(network, path.with_suffix(".safetensors")),
        )
        export_network(network, metadata, path)
        return network, path.read_bytes()


def _compare(
    network: torch.nn.Module, session: ModelSession, size: int, repetitions: int
) -> tuple[float, float]:
    """Returns the medians of PyTorch and ONNX Runtime in seconds."""
    picture = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
    tensor = torch.from_numpy(picture)
    runs: tuple[Callable[[], object], ...] = (
        lambda: network(tensor),
        lambda: session.run(picture),
    )
    times: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        for run in runs:
            run()
        for _ in range(repetitions):
            for run, measured in zip(runs, times, strict=True):
                time.sleep(PAUSE_S)
                start = time.perf_counter()
                run()
                measured.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


if __name__ == "__main__":
    main()
