"""Pictures that go into an optimisation and come out of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from impasto.data.crops import to_unit_tensor
from impasto.errors import DataError, ImageError, UsageError
from impasto.images.reading import Photo, read_image
from impasto.images.resize import shrink
from impasto.losses import LossNetwork, load_style_targets
from impasto.losses.layers import SMALLEST_SIDE_PX
from impasto.losses.style_targets import Grams, StyleTarget
from impasto.optimization.objective import style_grams

_TARGETS_SUFFIX: Final = ".safetensors"


@dataclass(frozen=True)
class Painting:
    """A style image, or what a file of style targets keeps of it.

    Attributes:
        path: as given.
        sha256: hash of the painting's file, hexadecimal.
        photo: the picture; None where only the targets are there.
        targets: the targets; None where the picture is there.
    """

    path: Path
    sha256: str
    photo: Photo | None = None
    targets: StyleTarget | None = None

    def grams(
        self,
        loss_network: LossNetwork,
        layers: tuple[str, ...],
        longer_side_px: int,
        device: str = "cpu",
    ) -> Grams:
        """Returns the Gram matrices ``(1, C, C)`` by layer, at a size; none is enlarged.

        Raises:
            UsageError: the targets have other sizes or layers.
            ImageError: the picture is too small for the loss network.
        """
        if self.photo is not None:
            small = shrink_checked(self.photo, longer_side_px, self.path)
            return style_grams(loss_network, to_image(small.rgb, device), layers)
        assert self.targets is not None  # noqa: S101 (for mypy: one of the two is there)
        if longer_side_px not in self.targets.grams:
            sizes = ", ".join(map(str, self.targets.grams))
            raise UsageError(
                f"{self.path} holds the style at {sizes} px and not at {longer_side_px} px: "
                "choose another size, or give the painting itself"
            )
        grams = self.targets.grams[longer_side_px]
        if missing := [layer for layer in layers if layer not in grams]:
            raise UsageError(
                f"{self.path} holds the style at {', '.join(grams)} and not at {missing[0]}: "
                "give the painting itself"
            )
        return {layer: grams[layer].to(device) for layer in layers}


def read_painting(path: Path, style: str | None = None) -> Painting:
    """Reads a painting, or its style targets.

    Args:
        path: a picture; or ``FILE.targets.safetensors``; or one of its styles,
            ``FILE.targets.safetensors/NAME``.
        style: the style where a file holds several.

    Raises:
        ImageReadError: the picture is missing or cannot be read.
        DataError: the file of targets is missing or damaged, or lacks the style.
    """
    if path.parent.suffix == _TARGETS_SUFFIX:
        path, style = path.parent, path.name
    if path.suffix != _TARGETS_SUFFIX:
        photo = read_image(path)
        return Painting(path, hashlib.sha256(path.read_bytes()).hexdigest(), photo=photo)
    found = load_style_targets(path)
    if len(found) == 1:
        (style,) = found
    if style not in found:
        known = ", ".join(found)
        raise DataError(
            f"{path} holds the styles {known}: name one, as in {path / next(iter(found), 'NAME')}"
            if style is None
            else f"{path} holds no style {style!r}, only {known}"
        )
    return Painting(path, found[style].sha256, targets=found[style])


def shrink_checked(photo: Photo, longer_side_px: int, name: str | Path) -> Photo:
    """Shrinks a photo, called ``name``, to a longer side; it is never enlarged.

    Raises:
        ImageError: it is too small for the loss network.
    """
    small = shrink(photo, longer_side_px)
    height, width = small.rgb.shape[:2]
    if min(height, width) < SMALLEST_SIDE_PX:
        given = "x".join(map(str, photo.rgb.shape[1::-1]))
        shrunk = "" if small is photo else f", {width}x{height} px at that size"
        raise ImageError(
            f"{name} is {given} px{shrunk}; both sides must be at least {SMALLEST_SIDE_PX} px"
        )
    return small


def to_image(rgb: NDArray[np.uint8], device: str = "cpu") -> Tensor:
    """``(H, W, 3)`` uint8 to ``(1, 3, H, W)`` float32 in [0, 1]."""
    return to_unit_tensor(rgb)[None].contiguous().to(device)


def to_rgb(image: Tensor) -> NDArray[np.uint8]:
    """``(1, 3, H, W)`` in [0, 1] to ``(H, W, 3)`` uint8."""
    levels = image.detach()[0].mul(255).round().clamp(0, 255)
    return levels.permute(1, 2, 0).cpu().numpy().astype(np.uint8)


def pixels_sha256(rgb: NDArray[np.uint8]) -> str:
    """Returns a hash of a picture's size and pixels, hexadecimal."""
    return hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).hexdigest()
