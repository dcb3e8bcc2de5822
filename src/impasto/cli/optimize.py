"""``impasto optimize``: the method that the paper compares its networks with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import optimizing, options
from impasto.cli.console import own_stderr
from impasto.cli.extras import needs_extra
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.images.reading import Photo
    from impasto.losses import LossNetwork
    from impasto.paper import Level, Objective, TrainedWeights
    from impasto.paper.descent import Method
    from impasto.training.pictures import Painting

METHODS: tuple[Method, ...] = ("lbfgs", "adam")
STARTS = ("photo", "noise")
STYLE_PX = 384


def command(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The photo.")],
    styles: Annotated[
        list[Path],
        typer.Argument(
            metavar="STYLE...", help="Paintings, or FILE.targets.safetensors/NAME for a style's."
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT", help="The result. [default: CONTENT.optimized.png]"
        ),
    ] = None,
    iterations: Annotated[
        int,
        typer.Option(metavar="N", help="Evaluations of the objective, the line search's included."),
    ] = 500,
    method: Annotated[
        str, typer.Option(metavar="|".join(METHODS), help="How the objective is minimised.")
    ] = "lbfgs",
    start: Annotated[
        str, typer.Option("--from", metavar="|".join(STARTS), help="What it begins with.")
    ] = "photo",
    size: Annotated[
        int, typer.Option(metavar="PX", help="Longer side of the result; none is enlarged.")
    ] = 512,
    style_size: Annotated[
        int | None,
        typer.Option(
            metavar="PX", help="Longer side of the paintings. [default: 384, or that of the model]"
        ),
    ] = None,
    style_weights: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Share of each painting. [default: equal]"),
    ] = None,
    style_scale: Annotated[
        float | None,
        typer.Option(metavar="X", help="Strength of the style against the photo. [default: 3]"),
    ] = None,
    tv_scale: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Strength of the total variation, which smooths. [default: 0.02]"
        ),
    ] = None,
    weights_of: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Take the weights that a style or model file was trained with."
        ),
    ] = None,
    coarse_to_fine: Annotated[
        bool,
        typer.Option(
            "--coarse-to-fine",
            help="Begin at half the size or less and share the iterations; for 512 px and more.",
        ),
    ] = False,
    save_every: Annotated[
        int | None,
        typer.Option(metavar="N", help="Also write the best so far, as OUT.000100.png and so on."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The objective per iteration, for TensorBoard."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    overwrite: optimizing.Overwrite = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of --from noise.")] = 0,
    device: optimizing.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Paint one photo by optimisation, without a trained network.

    The method of Gatys et al., which the paper compares its networks with: minutes for a
    picture, any painting. The objective is that of training, balanced on the photo itself, or
    with the weights of a trained model. Ctrl-C keeps the best so far.
    """
    optimizing.check_numbers(
        iterations=iterations, size_px=size, seed=seed, threads=threads, save_every=save_every
    )
    optimizing.one_of("method", method, METHODS)
    optimizing.one_of("device", device, optimizing.DEVICES)
    optimizing.one_of("from", start, STARTS)
    if style_size is not None:
        optimizing.check_size("style-size", style_size)
    _check_scales(style_scale, tv_scale, weights_of)
    target = optimizing.choose_target(content, output, "optimized", styles)
    state = target.with_name(f"{target.name}.state.safetensors")
    optimizing.check_target(target, state, overwrite=overwrite, resume=resume)
    optimizing.check_writable(target)
    with needs_extra("train", "impasto optimize"):
        from impasto.paper.descent import State, begin, find_device, noise
        from impasto.training.pictures import to_tensor
    device = find_device(device, threads)
    with own_stderr():
        plan = _plan(
            content,
            styles,
            size_px=size,
            style_px=style_size,
            style_weights=style_weights,
            style_scale=style_scale,
            tv_scale=tv_scale,
            weights_of=weights_of,
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

    optimizing.run(
        levels,
        begin_run,
        plan.photo,
        optimizing.Output(target, tensorboard, save_every, state, settings),
        resume=resume,
        device=device,
    )


@dataclass(frozen=True)
class Plan:
    """What is optimised.

    Attributes:
        network: the loss network.
        photo: the photo at its full size for this run.
        photo_sha256: hash of its pixels.
        paintings: the style images.
        shares: of each in the style.
        style_px: longer side of the paintings.
        style_scale: strength of the style.
        tv_scale: strength of the total variation.
        weights: those of a model, in place of the two scales.
        device: where.
    """

    network: LossNetwork
    photo: Photo
    photo_sha256: str
    paintings: list[Painting]
    shares: list[float]
    style_px: int
    style_scale: float
    tv_scale: float
    weights: TrainedWeights | None
    device: str

    def settings(self) -> dict[str, Any]:
        """Returns what a resumed run must have in common with its beginning."""
        objective: dict[str, Any] = (
            {"--style-scale": self.style_scale, "--tv-scale": self.tv_scale}
            if self.weights is None
            else {"--weights-of": asdict(self.weights)}
        )
        return {
            "CONTENT": self.photo_sha256,
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
        """Returns the sizes that the picture is optimised at.

        Raises:
            UsageError: there are fewer iterations than sizes.
        """
        from impasto.paper.descent import Level, level_sizes, shared_iterations

        whole = max(self.photo.rgb.shape[:2])
        sizes = level_sizes(whole) if coarse_to_fine else [whole]
        levels = []
        for size_px, each in zip(sizes, shared_iterations(iterations, len(sizes)), strict=True):
            height, width = self.photo_at(size_px).rgb.shape[:2]
            levels.append(Level(height, width, each, partial(self.objective, size_px)))
        return levels

    def objective(self, size_px: int) -> Objective:
        """Makes the objective at a size; the paintings shrink as the photo does.

        Raises:
            UsageError: the style targets lack a size or a layer.
            ImageError: a painting is too small for the loss network.
            TrainingError: the photo and a painting look the same to the loss network.
        """
        from impasto.losses import STYLE_LAYERS
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
            style_scale=self.style_scale,
            tv_scale=self.tv_scale,
        )


def _plan(
    content: Path,
    styles: Sequence[Path],
    *,
    size_px: int,
    style_px: int | None,
    style_weights: str | None,
    style_scale: float | None,
    tv_scale: float | None,
    weights_of: str | None,
    device: str,
) -> Plan:
    """Reads everything that the options name.

    Raises:
        ImpastoError: something is missing, damaged or too small.
    """
    from impasto.images.reading import read_image
    from impasto.paper.objective import (
        STYLE_SCALE,
        TV_SCALE,
        check_shares,
        prepared_loss_network,
    )
    from impasto.training.pictures import read_painting, shrink_checked

    shares = check_shares(_numbers(style_weights), len(styles))
    weights = None if weights_of is None else _weights_of(weights_of)
    if style_px is None:
        style_px = STYLE_PX if weights is None else weights.style_size_px
    photo = shrink_checked(read_image(content), size_px, content)
    return Plan(
        network=prepared_loss_network(device=device),
        photo=photo,
        photo_sha256=_sha256(photo)[:12],
        paintings=[read_painting(path) for path in styles],
        shares=shares,
        style_px=style_px,
        style_scale=STYLE_SCALE if style_scale is None else style_scale,
        tv_scale=TV_SCALE if tv_scale is None else tv_scale,
        weights=weights,
        device=device,
    )


def _sha256(photo: Photo) -> str:
    """Returns a hash of a picture's size and pixels, hexadecimal."""
    return hashlib.sha256(repr(photo.rgb.shape).encode() + photo.rgb.tobytes()).hexdigest()


def _check_scales(
    style_scale: float | None, tv_scale: float | None, weights_of: str | None
) -> None:
    for flag, value in (("style-scale", style_scale), ("tv-scale", tv_scale)):
        if value is None:
            continue
        if weights_of is not None:
            raise UsageError(
                f"--{flag} and --weights-of contradict each other: the model states its weights"
            )
        optimizing.check_scale(flag, value)


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
