"""``impasto invert``: what a layer of the loss network holds of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from impasto.cli import optimizing, options
from impasto.cli.console import own_stderr
from impasto.cli.extras import needs_extra
from impasto.errors import UsageError
from impasto.losses.layers import LAYERS, STYLE_LAYERS

ALL: Final = "all"


def command(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo, or a painting.")],
    *,
    layer: Annotated[
        str,
        typer.Option(
            "--layer",
            metavar="LAYER",
            help="A layer, such as relu3_3; with --style also all: the four style layers.",
        ),
    ],
    style: Annotated[
        bool, typer.Option("--style", help="From Gram matrices, which know no places.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT", help="The result. [default: PHOTO.LAYER.png]"
        ),
    ] = None,
    iterations: Annotated[int, typer.Option(metavar="N", help="Of L-BFGS.")] = 300,
    size: Annotated[
        int, typer.Option(metavar="PX", help="Longer side of the result; none is enlarged.")
    ] = 256,
    tv_scale: Annotated[
        float,
        typer.Option(metavar="X", help="Strength of the total variation, which smooths."),
    ] = 0.02,
    loss_network: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Other VGG-16 weights: .safetensors or .pth, up to relu5_3 if they reach there.",
        ),
    ] = None,
    overwrite: optimizing.Overwrite = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the noise that it begins with.")] = 0,
    device: optimizing.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Rebuild a picture from one layer of the loss network.

    From noise, by L-BFGS, a picture is found with the photo's features at a layer: the lower
    the layer, the more like the photo (the paper's figure 3). With --style it has the same
    Gram matrices instead: colours and textures without their places (figure 4).
    """
    optimizing.check_numbers(iterations=iterations, size_px=size, seed=seed, threads=threads)
    optimizing.check_scale("tv-scale", tv_scale)
    optimizing.one_of("device", device, optimizing.DEVICES)
    if layer not in (*LAYERS, ALL):
        raise UsageError(f"--layer is {layer!r}; VGG-16 has {', '.join(LAYERS)}")
    if layer == ALL and not style:
        raise UsageError("--layer all is for --style: name one layer, such as relu3_3")
    target = optimizing.choose_target(photo, output, f"style_{layer}" if style else layer)
    optimizing.check_target(target, None, overwrite=overwrite, resume=False)
    optimizing.check_writable(target)
    with needs_extra("train", "impasto invert"):
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
    network.check_layers(STYLE_LAYERS if layer == ALL else (layer,))
    with own_stderr():
        picture = shrink_checked(read_image(photo), size, photo)
    image = to_tensor(picture.rgb).to(device)
    if style:
        layers = STYLE_LAYERS if layer == ALL else (layer,)
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
