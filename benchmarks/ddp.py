"""Training by one and by two processes of one core each: `python benchmarks/ddp.py`.

Both take the same photos per step, so that their losses should be the same: the table gives the
largest relative difference between the two curves, for instance norm and for batch norm, whose
statistics are those of a process's own photos. Images per second are medians over the steps.
Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from impasto.evaluation.machine import describe_machine
from impasto.training import StepReport, make_config
from impasto.training.setup import set_up, silent
from impasto.training.trainer import _fit

PAINTINGS = Path(__file__).parent.parent / "examples" / "paintings"
PROCESSES = (1, 2)
WARM_UP_STEPS = 2


def main() -> None:
    """Prints a row for each norm and number of processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--painting", type=Path, default=min(PAINTINGS.glob("*.*")))
    parser.add_argument("--photos", type=Path, help="a folder; the example photos when omitted")
    parser.add_argument("--norms", nargs="+", default=["instance", "batch"])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--crop-px", type=int, default=192)
    parser.add_argument("--photos-per-step", type=int, default=4)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        norm, count, found = arguments.child
        _train(arguments, norm, int(count), Path(found))
        return

    print("| norm | processes | images per second | times one | largest difference of the loss |")
    print("| --- | --- | --- | --- | --- |")
    for norm in arguments.norms:
        alone: dict[str, list[float]] = {}
        for count in PROCESSES:
            run = _measure(norm, count)
            alone = alone or run
            rate, one = (arguments.photos_per_step * r["per_s"][0] for r in (run, alone))
            pairs = zip(run["losses"], alone["losses"], strict=True)
            difference = max(abs(loss - expected) / expected for loss, expected in pairs)
            shown = f"{difference:.2g}" if count > 1 else ""
            print(f"| {norm} | {count} | {rate:.3f} | {rate / one:.2f} | {shown} |", flush=True)
    crops = f"{arguments.photos_per_step} crops of {arguments.crop_px} px"
    machine = describe_machine(1, ("torch", "lightning-fabric"))
    print(f"\n{arguments.steps} steps of {crops}; {machine}")


def _measure(norm: str, count: int) -> dict[str, list[float]]:
    """Trains in fresh processes, with this one's arguments; returns losses and steps per second."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        child = ["--child", norm, str(count), str(found)]
        subprocess.run(  # noqa: S603
            [sys.executable, *launcher, __file__, *sys.argv[1:], *child],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        result: dict[str, list[float]] = json.loads(found.read_text(encoding="utf-8"))
    return result


def _train(arguments: argparse.Namespace, norm: str, count: int, found: Path) -> None:
    """Trains as one of several processes; the first writes what it found."""
    times: list[float] = []
    losses: list[float] = []

    def on_step(report: StepReport) -> None:
        times.append(time.perf_counter())
        losses.append(report.losses["total"])

    config = make_config(
        arguments.painting,
        photos=arguments.photos,
        norm=norm,
        crop_px=arguments.crop_px,
        batch_size=arguments.photos_per_step // count,
        steps=arguments.steps,
        device="cpu",
        precision="32-true",
        threads=1,
        log_every=1,
        output=found.parent / "run",
    )
    with ExitStack() as until_end:
        run = set_up(config, resume=False, on_note=silent, until_end=until_end)
        _fit(run, on_step if run.fabric.is_global_zero else silent)
    if run.writer is None:
        return
    run.writer.close()
    steps_s = [later - earlier for earlier, later in itertools.pairwise(times[WARM_UP_STEPS - 1 :])]
    values = {"losses": losses, "per_s": [1 / statistics.median(steps_s)]}
    found.write_text(json.dumps(values), encoding="utf-8")


if __name__ == "__main__":
    main()
