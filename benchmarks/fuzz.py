"""Feeds hostile input to Impasto: `python benchmarks/fuzz.py --cases 10000`.

Four targets take turns: damaged pictures, model files, collections of photos, command lines.
Prints a table, then every failure with the command that makes it again; exits 1 if there is
one. `--target T --seed S --case N` runs a single case and keeps its file.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from impasto.evaluation.machine import describe_machine
from impasto.runtime.cores import usable_cores

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.runner import LIMIT_BYTES, LIMIT_S, TARGETS, Report, Result, make_case, run_cases


def main() -> None:
    """Runs the cases, each target in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, help="this one alone")
    parser.add_argument("--case", type=int, help="this one alone; needs --target")
    parser.add_argument("--jobs", type=int, default=usable_cores(), help="targets at a time")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="files of failures")
    arguments = parser.parse_args()
    if arguments.case is not None and arguments.target is None:
        parser.error("--case needs --target")

    targets = (arguments.target,) if arguments.target else TARGETS
    each = range(arguments.cases // len(targets))
    if arguments.case is not None:
        each = range(arguments.case, arguments.case + 1)
        print("kept:", _keep(arguments.keep, targets[0], arguments.seed, arguments.case))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        reports = list(
            pool.map(
                lambda name: run_cases(
                    name,
                    arguments.seed,
                    each,
                    lambda *failure: _tell(*failure, folder=arguments.keep),
                ),
                targets,
            )
        )
    if arguments.case is not None:
        print(reports[0].describe(reports[0].results[0]))
    _print_table(reports)
    print(
        f"\nseed {arguments.seed}, at most {LIMIT_S:.0f} s and {LIMIT_BYTES >> 30} GiB a case; "
        + describe_machine(1, ("pillow", "onnxruntime", "hypothesis"))
    )
    raise SystemExit(any(report.failures for report in reports))


def _tell(report: Report, result: Result, *, folder: Path) -> None:
    """Prints a failure at once and keeps its file."""
    path = _keep(folder, report.target, report.seed, result.number)
    print(f"{report.describe(result)}\nkept: {path}\n", file=sys.stderr, flush=True)


def _print_table(reports: list[Report]) -> None:
    print("| target | cases | accepted | refused | failures | most processor time | most memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for report in reports:
        slowest = max(result.cpu_s for result in report.results)
        peak = max(result.peak_bytes for result in report.results)
        print(
            f"| {report.target} | {len(report.results):,} | {report.count('accepted'):,} | "
            f"{report.count('refused'):,} | {len(report.failures)} | {slowest:.2f} s | "
            f"{peak / 2**20:,.0f} MiB |"
        )


def _keep(folder: Path, target: str, seed: int, number: int) -> Path:
    case = make_case(target, seed, number)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}-{seed}-{number}"
    if hasattr(case, "data"):
        path.write_bytes(case.data)
    else:
        path.write_text(repr(case), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
