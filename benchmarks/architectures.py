"""Which network paints the draft: candidates trained on the same photos and paintings.

`python benchmarks/architectures.py PAINTING PAINTING PHOTOS VALIDATION LARGE_VALIDATION` trains
each candidate on both paintings and the identity, where it is not there yet, and scores it on
photos of 512 px and, from larger originals, of 1024 and 2048 px, where a candidate is run on the
whole picture and as a draft that is enlarged. `--time` adds times, `--sheet FILE` draws results.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.data import open_photos
from impasto.data.crops import collate
from impasto.evaluation import PreparedPhoto, measure_style
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.images.writing import write_image
from impasto.losses import LossNetwork
from impasto.networks import DraftRefineSpec
from impasto.networks.blocks import NearestConv, StyleParameters, conditional_instance_norm
from impasto.networks.draft_refine import DraftNetwork
from impasto.training.config import TrainingConfig
from impasto.training.schedule import learning_rate_factor
from impasto.training.style_task import StyleTask

Picture = NDArray[np.uint8]

DRAFT_PX = 512
KEPT = 0.65
STRENGTHS = (0.6, 0.8, 1.0, 1.2)


class TrunkNetwork(nn.Module):
    """A stem that halves the size twice, residual blocks at a quarter, and up again.

    Args:
        sets: parameter sets.
        stem: channels, kernel size and stride of each convolution of the stem.
        dilations: of the first convolution of each residual block.
        up: channels of each stage that doubles the size.
        last_kernel: of the last convolution.
    """

    def __init__(
        self,
        sets: int,
        *,
        stem: tuple[tuple[int, int, int], ...],
        dilations: tuple[int, ...],
        up: tuple[int, ...],
        last_kernel: int,
    ) -> None:
        super().__init__()
        norms: list[int] = []

        def convolution(
            c_in: int, c_out: int, size: int, stride: int = 1, dilation: int = 1
        ) -> nn.Conv2d:
            norms.append(c_out)
            border = (size - stride + 1) // 2 * dilation
            return nn.Conv2d(
                c_in, c_out, size, stride, border, dilation, bias=False, padding_mode="reflect"
            )

        stages, channels = [], 3
        for c_out, size, stride in stem:
            stages.append(convolution(channels, c_out, size, stride))
            channels = c_out
        self.stem = nn.ModuleList(stages)
        self.trunk = nn.ModuleList(
            convolution(channels, channels, 3, dilation=d) for one in dilations for d in (one, 1)
        )
        endings = []
        for c_out in up:
            norms.append(c_out)
            endings.append(NearestConv(channels, c_out))
            channels = c_out
        self.up = nn.ModuleList(endings)
        self.last = nn.Conv2d(
            channels, 3, last_kernel, padding=last_kernel // 2, padding_mode="reflect"
        )
        self.style_parameters = StyleParameters(sets, norms)

    def forward(self, images: Tensor, style_weights: Tensor) -> Tensor:
        """Paints ``(N, 3, H, W)`` photos."""
        parameters = self.style_parameters(style_weights)
        height, width = images.shape[-2:]
        x = F.pad(images * 2 - 1, (0, -width % 4, 0, -height % 4), mode="reflect")
        for layer in self.stem:
            x = F.relu(conditional_instance_norm(layer(x), *next(parameters)))
        for first, second in zip(self.trunk[::2], self.trunk[1::2], strict=True):
            y = F.relu(conditional_instance_norm(first(x), *next(parameters)))
            x = x + conditional_instance_norm(second(y), *next(parameters))
        for layer in self.up:
            x = F.relu(conditional_instance_norm(layer(x), *next(parameters)))
        return (torch.sigmoid(self.last(x)) * 1.2 - 0.1)[:, :, :height, :width]


CANDIDATES: dict[str, Callable[[int], nn.Module]] = {
    "1/8 with skip": lambda sets: DraftNetwork(DraftRefineSpec(parameter_sets=sets)),
    "1/4 dilated": lambda sets: TrunkNetwork(
        sets,
        stem=((32, 6, 2), (64, 4, 2)),
        dilations=(1, 2, 4, 2, 1),
        up=(32, 16),
        last_kernel=5,
    ),
    "half-width": lambda sets: TrunkNetwork(
        sets,
        stem=((16, 9, 1), (32, 4, 2), (64, 4, 2)),
        dilations=(1, 1, 1, 1, 1),
        up=(32, 16),
        last_kernel=9,
    ),
    "48 x3": lambda sets: TrunkNetwork(
        sets, stem=((48, 8, 4),), dilations=(1, 1, 1), up=(24, 12), last_kernel=3
    ),
}
"""The draft network first; the last one is that of the gallery of November 2026."""


def main() -> None:
    """Trains and scores what is missing, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paintings", type=Path, nargs=2)
    parser.add_argument("photos", type=Path, help="a folder of training photos")
    parser.add_argument(
        "validation", type=Path, help="a folder of other photos; every third is used"
    )
    parser.add_argument("large", type=Path, help="a folder of photos of 1400 px or more")
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), choices=CANDIDATES)
    parser.add_argument("--images", type=int, default=9000, help="a third for each set")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time", action="store_true", help="time the candidates at 512 px")
    parser.add_argument("--sheet", type=Path, help="draw the results on the first photo")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/architectures"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    results_file = arguments.output / f"results-{arguments.images}.json"
    results: dict[str, Any] = {}
    if results_file.exists():
        results = json.loads(results_file.read_text(encoding="utf-8"))
    networks = {name: trained(name, arguments) for name in arguments.candidates}
    for name, network in networks.items():
        if name not in results:
            results[name] = scores(network, arguments)
            results_file.write_text(json.dumps(results, indent=2), encoding="utf-8")
    seconds = timings(networks) if arguments.time else {}
    print_table(results, seconds)
    if arguments.sheet:
        sheet = [np.hstack(row) for row in sheet_rows(networks, arguments)]
        write_image(arguments.sheet, np.vstack(sheet))


def trained(name: str, arguments: argparse.Namespace) -> nn.Module:
    """Trains a candidate on both paintings and the identity, or reads its weights."""
    torch.manual_seed(0)
    network = CANDIDATES[name](3).eval()  # none of its layers trains in another way
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    file = arguments.output / f"{name.replace('/', '_')}-{arguments.images}.pt"
    if file.exists():
        network.load_state_dict(torch.load(file, weights_only=True))
        return network
    config = TrainingConfig(
        paintings=tuple(arguments.paintings),
        photos=arguments.photos,
        output=arguments.output,
        network=DraftRefineSpec(),
        identity=True,
        refine_share=0.0,
    )
    photos = open_photos(arguments.photos)
    task = StyleTask(config, photos, photos, torch.device("cpu"))
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate)
    steps = arguments.images // config.batch_size
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(step, "wsd", steps)
        first = step * config.batch_size
        numbers = range(first, first + config.batch_size)
        batch: Tensor = collate([task.samples[0][number] for number in numbers])[0]
        batch = batch.to(memory_format=torch.channels_last)
        terms, _ = task.step(network, batch, first)
        optimizer.zero_grad()
        terms["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), config.clip_gradients or 5.0)
        optimizer.step()
        if step % 100 == 0:
            print(name, step, {k: round(v.item(), 3) for k, v in terms.items()}, flush=True)
    torch.save(network.state_dict(), file)
    return network


@torch.inference_mode()
def paint(network: nn.Module, rgb: Picture, style: int, strength: float, *, draft: bool) -> Picture:
    """Paints a picture whole, or as a draft that is enlarged."""
    image = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255
    size = image.shape[-2:]
    if draft and max(size) > DRAFT_PX:
        scale = DRAFT_PX / max(size)
        small = [round(side * scale) for side in size]
        image = F.interpolate(image, small, mode="bicubic", antialias=True).clamp(0, 1)
    weights = torch.zeros(3)
    weights[style], weights[2] = strength, 1 - strength
    result: Tensor = network(image, weights).clamp(0, 1)
    result = F.interpolate(result, size, mode="bilinear", align_corners=False)
    levels: Picture = result[0].mul(255).round().permute(1, 2, 0).numpy().astype(np.uint8)
    return levels


def scores(network: nn.Module, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures a candidate: the mean of both paintings at every size."""
    loss_network = LossNetwork()
    small = [read_image(path).rgb for path in sorted(iterate_pictures(arguments.validation))[::3]]
    large = [read_image(path).rgb for path in sorted(iterate_pictures(arguments.large))]
    found: dict[str, Any] = {
        "parameters": sum(p.numel() for n, p in network.named_parameters() if "table" not in n)
    }
    for size, photos, draft in (
        ("512", small, False),
        ("1024, whole", [enlarged(photo, 1024) for photo in large], False),
        ("1024, draft", [enlarged(photo, 1024) for photo in large], True),
        ("2048, whole", [enlarged(photo, 2048) for photo in large], False),
        ("2048, draft", [enlarged(photo, 2048) for photo in large], True),
    ):
        prepared = [PreparedPhoto.of(photo, loss_network) for photo in photos]
        curve: list[tuple[float, float]] = []
        for strength in STRENGTHS:
            both = []
            for style, path in enumerate(arguments.paintings):
                results = [paint(network, p, style, strength, draft=draft) for p in photos]
                measures = measure_style(
                    prepared, results, read_image(path).rgb, loss_network=loss_network
                )
                both.append(measures.to_dict())
            means = {key: float(np.mean([one[key] for one in both])) for key in ("kept", "painted")}
            curve.append((means["kept"], means["painted"]))
            if strength == 1.0:
                found[size] = both
        kept, painted = zip(*sorted(curve), strict=True)
        found[f"{size}, painted at kept {KEPT}"] = float(np.interp(KEPT, kept, painted))
        print(size, curve, flush=True)
    return found


def enlarged(rgb: Picture, longer_px: int) -> Picture:
    """Resizes a picture to a longer side."""
    image = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float()
    scale = longer_px / max(rgb.shape[:2])
    size = [round(side * scale) for side in rgb.shape[:2]]
    resized = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 255).round()
    levels: Picture = resized[0].permute(1, 2, 0).numpy().astype(np.uint8)
    return levels


@torch.inference_mode()
def timings(networks: dict[str, nn.Module], rounds: int = 7) -> dict[str, float]:
    """Times the candidates in turn on a picture of 512 px."""
    image = torch.rand(1, 3, DRAFT_PX, DRAFT_PX)
    weights = torch.tensor([1.0, 0.0, 0.0])
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds):
        for name, network in networks.items():
            start = time.perf_counter()
            network(image, weights)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def print_table(results: dict[str, Any], seconds: dict[str, float]) -> None:
    """Prints the results as Markdown."""
    sizes = ("512", "1024, whole", "1024, draft", "2048, whole", "2048, draft")
    print("| network | parameters | time | " + " | ".join(sizes) + " | kept | repainted |")
    print("|" + " --- |" * (len(sizes) + 5))
    for name, row in results.items():
        at_kept = " | ".join(f"{row[f'{size}, painted at kept {KEPT}']:.3f}" for size in sizes)
        share = f"{seconds[name] / min(seconds.values()):.2f}" if seconds else ""
        kept, changed = (np.mean([one[key] for one in row["512"]]) for key in ("kept", "repainted"))
        print(
            f"| {name} | {row['parameters']:,} | {share} | {at_kept} | {kept:.3f} | {changed:.2f} |"
        )


def sheet_rows(
    networks: dict[str, nn.Module], arguments: argparse.Namespace
) -> list[list[Picture]]:
    """Paints the first large photo at 1024 px by every candidate in both styles."""
    path = min(iterate_pictures(arguments.large))
    photo = enlarged(read_image(path).rgb, 1024)
    return [
        [photo, *(paint(network, photo, style, 1.0, draft=True) for style in range(2))]
        for network in networks.values()
    ]


if __name__ == "__main__":
    main()
