"""``impasto optimize``, the method that the paper compares its networks with; and ``invert``."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from impasto.cli import optimizing, options
from impasto.cli.console import own_stderr
from impasto.cli.options import takes_options
from impasto.dials import Choice
from impasto.errors import UsageError
from impasto.losses.layers import LAYERS, STYLE_LAYERS

if TYPE_CHECKING:
    from impasto.images.reading import Photo
    from impasto.losses import LossNetwork
    from impasto.paper import Level, Objective, TrainedWeights
    from impasto.paper.descent import Method, State
    from impasto.training.pictures import Painting

METHODS: Final[tuple[Method, ...]] = ("lbfgs", "adam")
STARTS: Final = ("photo", "noise")
STYLE_PX: Final = 384
ALL: Final = "all"


@takes_options
def command(
    content: Path,
    styles: list[Path],
    *,
    output: Path | None = None,
    iterations: int = 500,
    method: str = "lbfgs",
    start: str = "photo",
    size: optimizing.Size = 512,
    style_size: int | None = None,
    style_weights: str | None = None,
    style_scale: float | None = None,
    tv_scale: float | None = None,
    weights_of: str | None = None,
    coarse_to_fine: bool = False,
    save_every: int | None = None,
    tensorboard: Path | None = None,
    resume: bool = False,
    overwrite: optimizing.Overwrite = False,
    seed: int = 0,
    device: optimizing.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Paint one photo by optimisation, without a trained network.

    The method of Gatys et al., which the paper compares its networks with: minutes for a
    picture, any painting. The objective is that of training, balanced on the photo itself, or
    with the weights of a trained model. Ctrl-C keeps the best so far.

    Options:
        content (CONTENT): The photo.
        styles (STYLE...): Paintings, or FILE.targets.safetensors/NAME for a style's.
        output (OUT, -o, --output): The result. [default: CONTENT.optimized.png]
        iterations (N): Evaluations of the objective, the line search's included.
        method (lbfgs|adam): How the objective is minimised.
        start (photo|noise, --from): What it begins with.
        style_size (PX): Longer side of the paintings. [default: 384, or that of the model]
        style_weights (A,B,...): Share of each painting. [default: equal]
        style_scale (X): Strength of the style against the photo. [default: 3]
        tv_scale (X): Strength of the total variation, which smooths. [default: 0.02]
        weights_of (MODEL): Take the weights that a style or model file was trained with.
        coarse_to_fine: Begin at half the size or less and share the iterations; for 512 px and
            more.
        save_every (N): Also write the best so far, as OUT.000100.png and so on.
        tensorboard (FOLDER): The objective per iteration, for TensorBoard.
        resume: Go on with a run that was stopped.
        seed (N): Of --from noise.
    """
    optimizing.check_numbers(
        iterations=iterations,
        size_px=size,
        device=device,
        threads=threads,
        seed=seed,
        save_every=save_every,
    )
    Choice("", choices=METHODS).check("--method", method)
    Choice("", choices=STARTS).check("--from", start)
    optimizing.SIZE.check("--style-size", style_size)
    scales = {"style_scale": style_scale, "tv_scale": tv_scale}
    for name, value in scales.items():
        if value is not None and weights_of is not None:
            raise UsageError(
                f"{options.flag(name)} and --weights-of contradict each other: the model states "
                "its weights"
            )
        optimizing.check_scale(name, value)
    target = optimizing.choose_target(content, output, "optimized", styles)
    state = target.with_name(f"{target.name}.state.safetensors")
    optimizing.check_target(target, state, replace=overwrite or resume)
    with options.needs_extra("train", "impasto optimize"):
        from impasto.paper.descent import begin, find_device, noise
        from impasto.training.pictures import to_tensor
    device = find_device(device, threads)
    with own_stderr():
        plan = _plan(
            content,
            styles,
            size_px=size,
            style_px=style_size,
            scales=scales,
            weights_of=weights_of,
            style_weights=style_weights,
            device=device,
        )
    levels = plan.levels(iterations, coarse_to_fine=coarse_to_fine)
    settings = plan.settings() | {"--method": method, "--from": start, "--size": size}
    if start == "noise":
        settings["--seed"] = seed
    if coarse_to_fine:
        settings |= {"--coarse-to-fine": True, "--iterations": iterations}

    def begin_run() -> State:
        height, width = levels[0].height, levels[0].width
        if start == "noise":
            image = noise(height, width, seed=seed).to(device)
        else:
            image = to_tensor(plan.photo_at(max(height, width)).rgb).to(device)
        return begin(image, "adam" if method == "adam" else "lbfgs")

    written = optimizing.Output(target, tensorboard, save_every, state, settings)
    optimizing.run(levels, begin_run, plan.photo, written, resume=resume, device=device)


@dataclass(frozen=True)
class _Plan:
    """What is optimised."""

    network: LossNetwork
    photo: Photo  # at its full size for this run
    paintings: list[Painting]
    shares: list[float]  # of each painting in the style
    style_px: int  # longer side of the paintings
    scales: dict[str, float]  # strengths of style and total variation by their options
    weights: TrainedWeights | None  # those of a model, in place of the scales
    device: str

    def settings(self) -> dict[str, Any]:
        """Returns what a resumed run must have in common with its beginning."""
        objective: dict[str, Any] = (
            {options.flag(name): value for name, value in self.scales.items()}
            if self.weights is None
            else {"--weights-of": asdict(self.weights)}
        )
        return {
            "CONTENT": _sha256(self.photo)[:12],
            "STYLE": [painting.sha256[:12] for painting in self.paintings],
            "--style-size": self.style_px,
            "--style-weights": self.shares,
            **objective,
        }

    def photo_at(self, longer_side_px: int) -> Photo:
        """Returns the photo at a size."""
        from impasto.training.pictures import shrink_checked

        return shrink_checked(self.photo, longer_side_px, "the photo")

    def levels(self, iterations: int, *, coarse_to_fine: bool) -> list[Level]:
        """Returns the sizes that the picture is optimised at."""
        from impasto.paper.descent import Level, level_sizes, shared_iterations

        whole = max(self.photo.rgb.shape[:2])
        sizes = level_sizes(whole) if coarse_to_fine else [whole]
        levels = []
        for size_px, each in zip(sizes, shared_iterations(iterations, len(sizes)), strict=True):
            height, width = self.photo_at(size_px).rgb.shape[:2]
            levels.append(Level(height, width, each, partial(self.objective, size_px)))
        return levels

    def objective(self, size_px: int) -> Objective:
        """Makes the objective at a size; the paintings shrink as the photo does."""
        from impasto.paper import balanced_objective, trained_objective
        from impasto.training.pictures import to_tensor

        layers = STYLE_LAYERS if self.weights is None else tuple(self.weights.style)
        style_px = round(self.style_px * size_px / max(self.photo.rgb.shape[:2]))
        grams = [p.grams(self.network, layers, style_px, self.device) for p in self.paintings]
        photo = to_tensor(self.photo_at(size_px).rgb).to(self.device)
        if self.weights is not None:
            return trained_objective(self.network, photo, grams, self.weights, shares=self.shares)
        return balanced_objective(
            self.network,
            photo,
            grams,
            shares=self.shares,
            style_scale=self.scales["style_scale"],
            tv_scale=self.scales["tv_scale"],
        )


def _plan(
    content: Path,
    styles: list[Path],
    *,
    size_px: int,
    style_px: int | None,
    scales: dict[str, float | None],
    weights_of: str | None,
    style_weights: str | None,
    device: str,
) -> _Plan:
    """Reads everything that the options name."""
    from impasto.images.reading import read_image
    from impasto.paper.objective import STYLE_SCALE, TV_SCALE, check_shares, prepared_loss_network
    from impasto.training.pictures import read_painting, shrink_checked

    shares = check_shares(_numbers(style_weights), len(styles))
    weights = None if weights_of is None else _weights_of(weights_of)
    if style_px is None:
        style_px = STYLE_PX if weights is None else weights.style_size_px
    usual = {"style_scale": STYLE_SCALE, "tv_scale": TV_SCALE}
    given = {name: value for name, value in scales.items() if value is not None}
    photo = shrink_checked(read_image(content), size_px, content)
    return _Plan(
        network=prepared_loss_network(device=device),
        photo=photo,
        paintings=[read_painting(path) for path in styles],
        shares=shares,
        style_px=style_px,
        scales=usual | given,
        weights=weights,
        device=device,
    )


def _sha256(photo: Photo) -> str:
    """Returns a hash of a picture's size and pixels, hexadecimal."""
    return hashlib.sha256(repr(photo.rgb.shape).encode() + photo.rgb.tobytes()).hexdigest()


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--style-weights is {text!r}; give numbers, separated by commas"
        ) from None


def _weights_of(name_or_path: str) -> TrainedWeights:
    """Finds the weights of a style by its name, or of the first style of a model file."""
    from impasto.paper import weights_of_model
    from impasto.runtime.loading import model_path
    from impasto.runtime.styles import held_styles

    path = model_path(name_or_path)
    named = name_or_path if name_or_path in held_styles(path) else None
    return weights_of_model(path, named)


@takes_options
def invert(
    photo: Path,
    *,
    layer: str,
    style: bool = False,
    output: Path | None = None,
    iterations: int = 300,
    size: optimizing.Size = 256,
    tv_scale: float = 0.02,
    loss_network: Path | None = None,
    overwrite: optimizing.Overwrite = False,
    seed: int = 0,
    device: optimizing.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Rebuild a picture from one layer of the loss network.

    From noise, by L-BFGS, a picture is found with the photo's features at a layer: the lower
    the layer, the more like the photo (the paper's figure 3). With --style it has the same
    Gram matrices instead: colours and textures without their places (figure 4).

    Options:
        photo (PHOTO): A photo, or a painting.
        layer (LAYER): A layer, such as relu3_3; with --style also all: the four style layers.
        style: From Gram matrices, which know no places.
        output (OUT, -o, --output): The result. [default: PHOTO.LAYER.png]
        iterations (N): Of L-BFGS.
        tv_scale (X): Strength of the total variation, which smooths.
        loss_network (FILE): Other VGG-16 weights: .safetensors or .pth, up to relu5_3 if they reach
            there.
        seed (N): Of the noise that it begins with.
    """
    optimizing.check_numbers(
        iterations=iterations, size_px=size, device=device, threads=threads, seed=seed
    )
    optimizing.check_scale("tv_scale", tv_scale)
    if layer not in (*LAYERS, ALL):
        raise UsageError(f"--layer is {layer!r}; VGG-16 has {', '.join(LAYERS)}")
    if layer == ALL and not style:
        raise UsageError("--layer all is for --style: name one layer, such as relu3_3")
    target = optimizing.choose_target(photo, output, f"style_{layer}" if style else layer)
    optimizing.check_target(target, None, replace=overwrite)
    with options.needs_extra("train", "impasto invert"):
        from impasto.images.reading import read_image
        from impasto.losses.style_targets import style_grams
        from impasto.paper.descent import Level, begin, find_device, noise
        from impasto.paper.objective import (
            feature_objective,
            gram_objective,
            prepared_loss_network,
            tv_reference,
        )
        from impasto.training.pictures import shrink_checked, to_tensor
    device = find_device(device, threads)
    network = prepared_loss_network(loss_network, device)
    layers = STYLE_LAYERS if layer == ALL else (layer,)
    network.check_layers(layers)
    with own_stderr():
        picture = shrink_checked(read_image(photo), size, photo)
    image = to_tensor(picture.rgb).to(device)
    if style:
        grams = style_grams(network, image, layers)
        objective = gram_objective(network, grams, tv_weight=tv_scale / tv_reference(image))
    else:
        objective = feature_objective(network, image, layer, tv_scale=tv_scale)
    height, width = picture.rgb.shape[:2]
    optimizing.run(
        [Level(height, width, iterations, lambda: objective)],
        lambda: begin(noise(height, width, seed=seed).to(device), "lbfgs"),
        picture,
        optimizing.Output(target),
        device=device,
    )
