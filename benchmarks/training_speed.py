"""Speed and memory of training: `python benchmarks/training_speed.py`.

Each preset and precision trains in a process of its own through `impasto.training.train`, with
its photos loaded, crops of 256 px and batch 4, for a few steps; peak memory is the process's
largest resident size, previews and the loss network included.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from impasto.evaluation.machine import describe_machine, peak_memory_bytes
from impasto.runtime.cores import usable_cores
from impasto.training import StepReport, make_config, train

PAINTINGS = Path(__file__).parent.parent / "examples" / "paintings"
WARM_UP_STEPS = 2


class _MeasuredError(Exception):
    """Ends a run that has shown what was asked for."""


def main() -> None:
    """Prints images per second and peak memory of every variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--painting", type=Path, default=min(PAINTINGS.glob("*.*")))
    parser.add_argument("--photos", type=Path, help="a folder; the example photos when omitted")
    parser.add_argument("--presets", nargs="+", default=["paper", "released"])
    parser.add_argument("--precisions", nargs="+", default=["32-true", "bf16-mixed"])
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--crop-px", type=int, default=256)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variant", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(_measure(arguments, *arguments.variant)))
        return

    print("| preset | precision | images per second | seconds per step | peak memory |")
    print("| --- | --- | --- | --- | --- |")
    for preset in arguments.presets:
        for precision in arguments.precisions:
            row = _measure_apart(preset, precision)
            print(
                f"| {preset} | {precision} | {row['batch'] / row['step_s']:.2f} | "
                f"{row['step_s']:.2f} | {row['memory_gib']:.2f} GiB |",
                flush=True,
            )
    machine = describe_machine(arguments.threads, ("torch", "lightning-fabric"))
    device = arguments.device
    if torch.cuda.is_available() and device != "cpu":
        device = torch.cuda.get_device_name()
    print(f"\n{arguments.crop_px} px, medians of {arguments.steps} steps on {device}; {machine}")


def _measure_apart(preset: str, precision: str) -> dict[str, float]:
    """Measures one variant in a fresh process with this one's arguments."""
    line = [sys.executable, __file__, *sys.argv[1:], "--variant", preset, precision]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def _measure(arguments: argparse.Namespace, preset: str, precision: str) -> dict[str, float]:
    times: list[float] = []

    def on_step(_: StepReport) -> None:
        times.append(time.perf_counter())
        if len(times) == WARM_UP_STEPS + arguments.steps:
            raise _MeasuredError

    with tempfile.TemporaryDirectory() as folder:
        config = make_config(
            arguments.painting,
            preset=preset,
            photos=arguments.photos,
            precision=precision,
            crop_px=arguments.crop_px,
            device=arguments.device,
            threads=arguments.threads,
            output=Path(folder) / "run",
        )
        with contextlib.suppress(_MeasuredError):
            train(config, on_step=on_step)
    on_gpu = arguments.device != "cpu" and torch.cuda.is_available()
    memory = torch.cuda.max_memory_allocated() if on_gpu else peak_memory_bytes()
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return {
        "step_s": statistics.median(steps[WARM_UP_STEPS - 1 :]),
        "batch": config.batch_size,
        "memory_gib": memory / 2**30,
    }


if __name__ == "__main__":
    main()
