"""Which super-resolution network: `python benchmarks/upscalers.py PHOTOS TEST_SET...`.

Trains every candidate on the same patches with the same seed and schedule, scores it on a test
set under plain bicubic degradation and times it as exported. Results gather in a JSON file, so
that an interrupted study goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from impasto.data import degrade
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.superres import crop_to_multiple, luma_scores
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.networks import FastUpscalerSpec, PaperUpscalerSpec
from impasto.runtime.upscaler import UpscaleModel
from impasto.training import make_upscaler_config, train

SCALE = 4
CANDIDATES: dict[str, FastUpscalerSpec | PaperUpscalerSpec] = {
    "paper": PaperUpscalerSpec(),
    "24 x4": FastUpscalerSpec(width=24, residual_blocks=4),
    "32 x4": FastUpscalerSpec(width=32, residual_blocks=4),
    "32 x8": FastUpscalerSpec(width=32, residual_blocks=8),
    "48 x4": FastUpscalerSpec(width=48, residual_blocks=4),
    "48 x4, nearest": FastUpscalerSpec(width=48, residual_blocks=4, skip="nearest"),
    "48 x8": FastUpscalerSpec(width=48, residual_blocks=8),
    "64 x6": FastUpscalerSpec(width=64, residual_blocks=6),
}


def main() -> None:
    """Trains, scores and times the candidates; prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder, .zip or .tar to train on")
    parser.add_argument("test_set", type=Path, nargs="+", help="folders of originals, scored")
    parser.add_argument("--output", type=Path, default=Path("runs/upscalers"))
    parser.add_argument("--candidates", nargs="*", default=list(CANDIDATES))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time", action="store_true", help="time what was trained")
    arguments = parser.parse_args()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    file = arguments.output / "results.json"
    results: dict[str, Any] = {}
    if file.exists():
        results = json.loads(file.read_text(encoding="utf-8"))
    for name in arguments.candidates:
        if name not in results:
            results[name] = study(name, arguments)
            file.write_text(json.dumps(results, indent=2), encoding="utf-8")
            print(name, results[name], flush=True)
    chosen = {name: results[name] for name in arguments.candidates}
    seconds = timings(chosen, arguments.threads) if arguments.time else {}
    print_table(chosen, seconds, [folder.name for folder in arguments.test_set])


def study(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains one candidate and scores it."""
    folder = arguments.output / name.replace(" ", "_").replace(",", "")
    config = make_upscaler_config(
        photos=arguments.photos,
        output=folder,
        network=CANDIDATES[name],
        loss="pixel",
        degradation="bicubic",
        steps=arguments.steps,
        threads=arguments.threads,
        preview_every_s=10_000.0,
    )
    start = time.perf_counter()
    model = train(config, resume=(folder / "checkpoints").exists())
    seconds = time.perf_counter() - start
    upscaler = UpscaleModel(model, threads=arguments.threads)
    return {
        "model": str(model),
        "training_s": round(seconds, 1),
        "steps": arguments.steps,
        "scores": {folder.name: mean_psnr(upscaler, folder) for folder in arguments.test_set},
    }


def mean_psnr(upscaler: UpscaleModel, folder: Path) -> tuple[float, float]:
    """Returns mean PSNR in dB and SSIM of Y over a test set."""
    scores = []
    for path in sorted(iterate_pictures(folder)):
        original = crop_to_multiple(read_image(path).rgb, SCALE)
        low_res = degrade(original, SCALE, "bicubic")
        scores.append(luma_scores(upscaler.upscale(low_res, scale=SCALE), original, SCALE))
    psnr, ssim = np.mean(scores, axis=0)
    return float(psnr), float(ssim)


def timings(results: dict[str, Any], threads: int, rounds: int = 7) -> dict[str, float]:
    """Times the models in turn on 256x256 px; returns medians in seconds."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {name: ort.InferenceSession(row["model"], options) for name, row in results.items()}
    image = np.random.default_rng(0).random((1, 3, 256, 256), np.float32)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(None, {"image": image})
            times[name].append(time.perf_counter() - start)
    print(f"256 px by {SCALE}; {describe_machine(threads, ('onnxruntime', 'torch'))}")
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def print_table(results: dict[str, Any], seconds: dict[str, float], sets: list[str]) -> None:
    """Prints the results as Markdown."""
    print(f"| network | s | training, s | {' | '.join(sets)} |")
    print("|" + " --- |" * (3 + len(sets)))
    for name, row in results.items():
        scores = (f"{row['scores'][s][0]:.2f} / {row['scores'][s][1]:.4f}" for s in sets)
        time_s = f"{seconds[name]:.3f}" if name in seconds else ""
        print(f"| {name} | {time_s} | {row['training_s']:.0f} | {' | '.join(scores)} |")


if __name__ == "__main__":
    main()
