"""Distils VGG-16: `python benchmarks/compact_loss_network.py PHOTOS VALIDATION_PHOTOS`.

A network of VGG-16's topology with a share of its channels learns VGG-16's feature maps
themselves, through a 1x1 convolution and a ReLU per style layer, so that Gram matrices, weights
and balance mean the same under both. It sees what a training shows to a loss network: photos,
photos painted to some strength, paintings, and noise on half of them. Its weights are written
now and then; the same command goes on where it was stopped.

`load_compact` returns the result as a `LossNetwork`. `StyleTask` makes its loss network itself,
so `cheaper_training.py` puts this one in its place by `unittest.mock.patch`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

import impasto
from impasto.catalog import shipped_styles
from impasto.cli.training import parse_duration
from impasto.data import PhotoCrops, open_photos
from impasto.evaluation.machine import describe_machine
from impasto.images.writing import atomic_path
from impasto.losses import STYLE_LAYERS, LossNetwork, PerceptualLoss, gram_matrix
from impasto.runtime.cores import usable_cores
from impasto.runtime.stylizer import StyleModel
from impasto.training.checkpoints import (
    has_checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from impasto.training.pictures import to_pictures, to_tensor
from impasto.training.schedule import bfloat16_is_faster, learning_rate_factor

INPUT_UNIT = 64.0  # grey levels
NOISE = 0.1
START_PICTURES = 128
FIT_POSITIONS = 256  # of each
RIDGE = 1e-4
VALIDATION_PICTURES = 15
TIMED_BATCH = 4


class CompactLossNetwork(LossNetwork):
    """VGG-16 with a share of the channels, brought back to VGG-16's own feature maps.

    It has the style layers alone. Inside, every layer is in units of the root mean square of
    VGG-16's, so that Adam's steps mean the same for weights and biases.

    Args:
        width: share of VGG-16's channels.
        keep_first_block: conv1_1 and conv1_2 stay VGG-16's own.
    """

    rms: Tensor

    def __init__(self, *, width: float, keep_first_block: bool) -> None:
        super().__init__()
        self.spec = {"width": width, "keep_first_block": keep_first_block}
        full, self.convolutions = _convolutions(self), nn.ModuleDict()
        self.adapters = nn.ModuleDict()
        channels = 3
        for name, conv in full.items():
            kept = keep_first_block and name.startswith("1_")
            narrow = conv.out_channels if kept else max(1, round(conv.out_channels * width))
            self.convolutions[name] = nn.Conv2d(channels, narrow, 3, padding=1)
            self.convolutions[name].requires_grad_(not kept)
            channels = narrow
            if f"relu{name}" in STYLE_LAYERS:
                adapter = nn.Identity() if kept else nn.Conv2d(narrow, conv.out_channels, 1)
                self.adapters[f"relu{name}"] = adapter
        self.std *= INPUT_UNIT
        self.register_buffer("rms", torch.ones(len(STYLE_LAYERS)))

    @property
    def layers(self) -> tuple[str, ...]:
        """The style layers, which alone VGG-16's feature maps are learned of."""
        return STYLE_LAYERS

    def forward(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Computes stand-ins of VGG-16's feature maps; arguments as for `LossNetwork`."""
        return {
            layer: F.relu(self.adapters[layer](x)) * self.rms[STYLE_LAYERS.index(layer)]
            for layer, x in super().forward(images, layers).items()
        }

    @torch.no_grad()
    def start_from(self, vgg: LossNetwork, images: Tensor) -> None:
        """Fits layer after layer, by least squares, to VGG-16's strongest channels.

        Each layer is fitted on what the narrow ones before it give, so that errors do not add
        up as they do where weights are copied.
        """
        full, unit = (images * 255.0 - vgg.mean) / vgg.std, torch.tensor(INPUT_UNIT)
        narrow = full / unit
        teachers = _convolutions(vgg)
        for name, conv in _convolutions(self).items():
            if name.endswith("_1") and name != "1_1":
                full, narrow = F.max_pool2d(full, 2), F.max_pool2d(narrow, 2)
            full = teachers[name](full)
            rms = F.relu(full).square().mean().sqrt()
            energy = F.relu(full).square().mean(dim=(0, 2, 3))
            strongest = energy.topk(conv.out_channels).indices.sort().values
            if conv.weight.requires_grad:
                _fit(conv, narrow, full[:, strongest] / rms)
            else:
                state = teachers[name].state_dict()
                weight, bias = state["weight"] * (unit / rms), state["bias"] / rms
                conv.load_state_dict({"weight": weight, "bias": bias})
            full, narrow, unit = F.relu(full), F.relu(conv(narrow)), rms
            if f"relu{name}" in STYLE_LAYERS:
                self.rms[STYLE_LAYERS.index(f"relu{name}")] = rms
                adapter = self.adapters[f"relu{name}"]
                if isinstance(adapter, nn.Conv2d):
                    _fit(adapter, narrow, full / rms)


def _convolutions(network: LossNetwork) -> dict[str, nn.Conv2d]:
    """Returns the convolutions by name; to type checkers they are any modules."""
    return {n: m for n, m in network.convolutions.items() if isinstance(m, nn.Conv2d)}


def _fit(conv: nn.Conv2d, inputs: Tensor, outputs: Tensor) -> None:
    """Sets weights and bias by ridge regression over some positions of each picture."""
    squares, products, count = torch.zeros(()), torch.zeros(()), 0
    for x, y in zip(inputs, outputs, strict=True):
        patches = F.unfold(x, conv.kernel_size, padding=conv.kernel_size[0] // 2)
        chosen = torch.randperm(patches.shape[1])[:FIT_POSITIONS]
        patches = F.pad(patches[:, chosen], (0, 0, 0, 1), value=1.0).double()
        squares = squares + patches @ patches.T
        products = products + patches @ y.flatten(1)[:, chosen].double().T
        count += len(chosen)
    solution = torch.linalg.solve(squares + RIDGE * count * torch.eye(len(squares)), products)
    weight = solution[:-1].T.reshape(conv.weight.shape)
    conv.load_state_dict({"weight": weight, "bias": solution[-1]})


def save_compact(network: CompactLossNetwork, path: Path) -> None:
    """Writes the weights with what they are rebuilt from, atomically."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata={"compact": json.dumps(network.spec)}))


def save_state(
    folder: Path,
    student: CompactLossNetwork,
    optimizer: torch.optim.Optimizer,
    step: int,
    elapsed_s: float,
) -> None:
    """Writes what going on needs, and the weights alone."""
    tensors = {"student": student.state_dict(), "optimizer": optimizer_tensors(optimizer)}
    values = {"spec": student.spec, "step": step, "elapsed_s": elapsed_s}
    save_checkpoint(folder, step, tensors, values)
    save_compact(student, folder / "compact.safetensors")


def load_compact(path: Path) -> CompactLossNetwork:
    """Rebuilds a compact loss network, frozen."""
    with safe_open(path, framework="pt") as file:
        network = CompactLossNetwork(**json.loads(file.metadata()["compact"]))
        network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return network.requires_grad_(False)


class Pictures:
    """A numbered sequence of what a loss network sees in training.

    Of four pictures two are photos, one is a photo painted to some strength, and one is of a
    painting, or a photo where there are no paintings. Half of them get noise.
    """

    def __init__(self, arguments: argparse.Namespace, models: list[StyleModel]) -> None:
        crop_px, seed = arguments.crop_px, arguments.seed
        self.photos = PhotoCrops(open_photos(arguments.photos), crop_px, max_zoom=2.0, seed=seed)
        self.paintings = self.photos
        if arguments.paintings:
            source = open_photos(arguments.paintings)
            self.paintings = PhotoCrops(source, crop_px, max_zoom=3.0, seed=seed)
        self.models = models
        self.seed = seed

    def batch(self, numbers: range) -> Tensor:
        """Returns ``(N, 3, H, W)`` RGB in [0, 1]."""
        images = torch.stack([self._picture(number) for number in numbers])
        return images.contiguous(memory_format=torch.channels_last)

    def _picture(self, number: int) -> Tensor:
        rng = np.random.default_rng([self.seed, number, 3])
        image = (self.paintings if number % 4 == 0 else self.photos)[number][0]
        if number % 4 == 1:
            model = self.models[rng.integers(len(self.models))]
            image = painted(model, image, strength=rng.uniform(0.2, 1.0))
        if rng.random() < 0.5:
            noise = rng.normal(0, rng.uniform(0, NOISE), image.shape)
            image = (image + torch.from_numpy(noise).float()).clamp(0, 1)
        return image


def style_models(names: list[str], threads: int) -> list[StyleModel]:
    """Loads styles by name or model file, of a file all that it holds."""
    models = []
    for name in names:
        model = impasto.load_model(name, threads=threads)
        styles = model.blend if not Path(name).exists() else [s.name for s in model.metadata.styles]
        models += [model.with_blend({style: 1.0}) for style in styles]
    return models


def painted(model: StyleModel, image: Tensor, strength: float = 1.0) -> Tensor:
    """Paints a ``(3, H, W)`` picture."""
    rgb = to_pictures(image[None])[0]
    return to_tensor(model.paint(rgb, strength=strength))[0]


def squared_errors(found: dict[str, Tensor], target: dict[str, Tensor]) -> Tensor:
    """Returns squared errors of features and of Gram matrices, relative, as ``(2, layers)``."""

    def relative(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().sum() / b.square().sum()

    pairs = [(found[layer], target[layer]) for layer in STYLE_LAYERS]
    features = [relative(a, b) for a, b in pairs]
    grams = [relative(gram_matrix(a), gram_matrix(b)) for a, b in pairs]
    return torch.stack([*features, *grams]).view(2, -1)


def as_float32(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """Converts feature maps, whose errors bfloat16 is too coarse for."""
    return {layer: x.float() for layer, x in features.items()}


def distil(
    arguments: argparse.Namespace, vgg: LossNetwork, pictures: Pictures
) -> CompactLossNetwork:
    """Trains until the time is over, or goes on with what is in the output folder."""
    folder: Path = arguments.output
    student = CompactLossNetwork(width=arguments.width, keep_first_block=arguments.keep_first_block)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
    learned = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=arguments.learning_rate)
    step, elapsed_s = 0, 0.0
    if has_checkpoint(folder):
        tensors, values = load_checkpoint(folder)
        if values["spec"] != student.spec:
            raise SystemExit(f"{folder} holds a network of {values['spec']}: name another --output")
        student.load_state_dict(tensors["student"])
        step, elapsed_s = values["step"], values["elapsed_s"]
        if step:
            restore_optimizer(optimizer, tensors["optimizer"])
    else:
        started = time.perf_counter()
        student.start_from(vgg, pictures.batch(range(START_PICTURES)))
        elapsed_s = time.perf_counter() - started
        save_state(folder, student, optimizer, step, elapsed_s)
    saved_s = elapsed_s
    faster = bfloat16_is_faster(torch.device("cpu"))
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=faster)
    while elapsed_s < arguments.max_time:
        started = time.perf_counter()
        factor = learning_rate_factor(int(elapsed_s), "cosine", math.ceil(arguments.max_time))
        optimizer.param_groups[0]["lr"] = arguments.learning_rate * factor
        first = step * arguments.batch_size
        images = pictures.batch(range(first, first + arguments.batch_size))
        with autocast:
            with torch.no_grad():
                target = as_float32(vgg(images, STYLE_LAYERS))
            found = as_float32(student(images, STYLE_LAYERS))
        errors = squared_errors(found, target).mean(dim=1)
        optimizer.zero_grad()
        (errors[0] + arguments.gram_weight * errors[1]).backward()
        optimizer.step()
        step += 1
        elapsed_s += time.perf_counter() - started
        if elapsed_s - saved_s >= arguments.save_every or elapsed_s >= arguments.max_time:
            saved_s = elapsed_s
            save_state(folder, student, optimizer, step, elapsed_s)
            features, grams = errors.tolist()
            print(f"{elapsed_s:.0f} s, step {step}: {features:.4f} and {grams:.4f}", flush=True)
    print(f"{step * arguments.batch_size:,} pictures of {arguments.crop_px} px\n")
    return student.requires_grad_(False)


@torch.no_grad()
def validate(student: LossNetwork, vgg: LossNetwork, images: list[Tensor]) -> Tensor:
    """Returns root mean square errors ``(2, layers)`` over pictures, relative to VGG-16's."""
    batches = [image[None] for image in images]
    errors = [squared_errors(student(x, STYLE_LAYERS), vgg(x, STYLE_LAYERS)) for x in batches]
    return torch.stack(errors).mean(dim=0).sqrt()


@torch.no_grad()
def giga_macs(network: LossNetwork, size_px: int) -> float:
    """Counts multiplications of the convolutions for one picture."""
    total = 0

    def count(conv: nn.Conv2d, _: object, output: Tensor) -> None:
        nonlocal total
        total += conv.weight.numel() * output.shape[-2:].numel()

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [conv.register_forward_hook(count) for conv in convolutions]
    network(torch.zeros(1, 3, size_px, size_px), STYLE_LAYERS)
    for hook in hooks:
        hook.remove()
    return total / 1e9


def timings(networks: dict[str, LossNetwork], size_px: int, rounds: int = 7) -> dict[str, float]:
    """Times the perceptual loss of a batch and its gradient, the networks in turn."""
    photos = torch.rand(TIMED_BATCH, 3, size_px, size_px).to(memory_format=torch.channels_last)
    losses = {name: PerceptualLoss(loss_network=network) for name, network in networks.items()}
    targets = {name: loss.style_targets(photos[:1]) for name, loss in losses.items()}
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds):
        for name, loss in losses.items():
            output = photos.flip(3).requires_grad_()
            start = time.perf_counter()
            loss(output, photos, targets[name]).backward()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def print_tables(
    networks: dict[str, LossNetwork], validation: list[Tensor], models: list[StyleModel]
) -> None:
    """Prints costs of both networks, and how far the compact one is from VGG-16."""
    vgg, student = networks.values()
    size_px = validation[0].shape[-1]
    seconds = timings(networks, size_px)
    print(f"| loss network | parameters | GMAC at {size_px} px | seconds for {TIMED_BATCH} |")
    print("|" + " --- |" * 4)
    for name, network in networks.items():
        parameters = sum(parameter.numel() for parameter in network.parameters())
        macs = giga_macs(network, size_px)
        print(f"| {name} | {parameters:,} | {macs:.2f} | {seconds[name]:.3f} |")
    results = [painted(models[n % len(models)], image) for n, image in enumerate(validation)]
    photos, paintings = (validate(student, vgg, images) for images in (validation, results))
    print(f"\nRelative errors, root mean squares over {len(validation)} photos\n")
    print("| layer | features, photos | features, painted | Gram, photos | Gram, painted |")
    print("|" + " --- |" * 5)
    rows = torch.stack([photos[0], paintings[0], photos[1], paintings[1]], dim=1)
    for layer, row in zip(STYLE_LAYERS, rows.tolist(), strict=True):
        print(f"| {layer} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


def main() -> None:
    """Trains the compact network and prints what it costs and how near it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder, .zip or .tar to train on")
    parser.add_argument("validation", type=Path, help="folder, .zip or .tar of other photos")
    parser.add_argument("--paintings", type=Path, help="folder of paintings, to train on too")
    parser.add_argument("--models", nargs="+", help="styles or model files; all that are shipped")
    parser.add_argument("--output", type=Path, default=Path("runs/compact_loss_network"))
    parser.add_argument("--max-time", type=parse_duration, default="60m", help="of training")
    parser.add_argument("--save-every", type=float, default=120.0, help="seconds")
    parser.add_argument("--width", type=float, default=0.5, help="share of VGG-16's channels")
    parser.add_argument("--keep-first-block", action="store_true", help="VGG-16's own, frozen")
    parser.add_argument("--gram-weight", type=float, default=1.0)
    parser.add_argument("--crop-px", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--judge-px", type=int, default=256, help="pictures of the tables")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    names = arguments.models or [style.name for style in shipped_styles()]
    models = style_models(names, arguments.threads)
    vgg = LossNetwork()
    vgg.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
    student = distil(arguments, vgg, Pictures(arguments, models))
    crops = PhotoCrops(open_photos(arguments.validation), arguments.judge_px, max_zoom=1, seed=0)
    validation = [crops[number][0] for number in range(VALIDATION_PICTURES)]
    print_tables({"VGG-16": vgg, "compact": student}, validation, models)
    print(describe_machine(arguments.threads, ("torch",)))


if __name__ == "__main__":
    main()
