"""Pictures that training reads and shows: painting, validation photos, previews."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from impasto.data import PhotoSource
from impasto.data.crops import to_unit_tensor
from impasto.data.sources import decode_photo
from impasto.errors import DataError, ImageError, UsageError
from impasto.images.reading import Photo, read_image
from impasto.images.resize import shrink
from impasto.images.writing import write_image
from impasto.losses import LossNetwork
from impasto.losses.layers import SMALLEST_SIDE_PX
from impasto.losses.style_targets import Grams, StyleTarget, load_style_targets, style_grams
from impasto.training.config import is_style_targets

PREVIEW_PX = 256
PREVIEW_PHOTOS = 4
HISTORY_ROWS = 12
GAP_PX = 8


@dataclass(frozen=True)
class Painting:
    """A style image, or what a file of style targets keeps of it: photo or targets is None.

    Attributes:
        path: as given.
        sha256: hash of the painting's file, hexadecimal.
        warnings: plain sentences on what may spoil the style.
    """

    path: Path
    sha256: str
    photo: Photo | None = None
    targets: StyleTarget | None = None
    warnings: tuple[str, ...] = ()

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8; a grey field where only the style targets are there."""
        if self.photo is None:
            return np.full((PREVIEW_PX, PREVIEW_PX, 3), 128, np.uint8)
        return self.photo.rgb

    def at(self, longer_side_px: int) -> Painting:
        """Returns the painting at one size alone, which takes less memory; none is enlarged.

        Raises:
            UsageError: the style targets have other sizes.
            ImageError: the picture is too small for the loss network.
        """
        if self.targets is not None:
            grams = {longer_side_px: self.targets.at(longer_side_px)}
            return replace(self, targets=StyleTarget(self.sha256, grams))
        assert self.photo is not None  # noqa: S101 (for mypy: one of the two is there)
        return replace(self, photo=shrink_checked(self.photo, longer_side_px, self.path))

    def grams(
        self,
        loss_network: LossNetwork,
        layers: tuple[str, ...],
        longer_side_px: int,
        device: torch.device | str = "cpu",
    ) -> Grams:
        """Returns the Gram matrices ``(1, C, C)`` by layer, at a size; none is enlarged.

        Raises:
            UsageError: the targets have other sizes or layers.
            ImageError: the picture is too small for the loss network.
        """
        if self.targets is None:
            rgb = self.at(longer_side_px).rgb
            return style_grams(loss_network, to_tensor(rgb).to(device), layers)
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
        path: a picture; or ``FILE.targets.safetensors``, or ``.../NAME`` for one of its styles.
        style: the style where a file holds several.

    Raises:
        ImageReadError: the picture is missing or cannot be read.
        DataError: the file of targets is missing or damaged, or lacks the style.
    """
    file = path
    if is_style_targets(path.parent):
        file, style = path.parent, path.name
    if not is_style_targets(file):
        photo = read_image(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Painting(path, digest, photo=photo, warnings=tuple(_warnings(path.name, photo)))
    found = _style_targets(file, file.stat().st_mtime_ns if file.exists() else 0)
    if len(found) == 1 and file is path:
        (style,) = found
    if style not in found:
        known = ", ".join(found)
        raise DataError(
            f"{file} holds the styles {known}: name one, as in {file / next(iter(found), 'NAME')}"
            if style is None
            else f"{file} holds no style {style!r}, only {known}"
        )
    return Painting(file, found[style].sha256, targets=found[style])


@lru_cache(maxsize=1)
def _style_targets(path: Path, _changed_ns: int) -> dict[str, StyleTarget]:
    """Reads a file once for all its styles and sizes."""
    return load_style_targets(path)


def _warnings(name: str, picture: Photo) -> Iterator[str]:
    height, width = picture.rgb.shape[:2]
    if min(height, width) < 256:
        yield f"{name} is {width}x{height} px; below 256 px little of a style can be learned"
    if picture.alpha is not None and int(picture.alpha.min()) < 255:
        yield f"{name} is partly transparent; the hidden colours are learned too"
    if float(picture.rgb.reshape(-1, 3).std(axis=0).max()) < 8:
        yield f"{name} is nearly one colour; there is little style to learn"


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


def read_validation_photos(source: PhotoSource) -> Tensor:
    """Takes up to four photos spread over a source, square: ``(N, 3, 256, 256)`` RGB in [0, 1].

    Raises:
        DataError: none of the photos can be read.
    """
    photos: list[Tensor] = []
    count = len(source.names)
    for index in np.linspace(0, count - 1, min(count, PREVIEW_PHOTOS)).round().astype(int):
        try:
            pixels = decode_photo(source.read(int(index)), PREVIEW_PX)
        except DataError:
            continue
        photos.append(to_tensor(_middle_square(pixels, PREVIEW_PX)))
    if not photos:
        raise DataError("none of the validation photos can be read")
    return torch.cat(photos)


def to_tensor(rgb: NDArray[np.uint8]) -> Tensor:
    """``(H, W, 3)`` uint8 to ``(1, 3, H, W)`` float32 in [0, 1]."""
    return to_unit_tensor(rgb)[None].contiguous()


def to_pictures(images: Tensor) -> NDArray[np.uint8]:
    """``(N, 3, H, W)`` in [0, 1] to ``(N, H, W, 3)`` uint8, clipped."""
    scaled = images.detach().float().clamp(0, 1).mul(255).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def compose_strips(columns: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Lays out pictures in columns, as many ``(S, S, 3)`` uint8 in each, on white."""
    side = columns[0][0].shape[0]
    step = side + GAP_PX
    height, width = len(columns[0]) * step - GAP_PX, len(columns) * step - GAP_PX
    canvas = np.full((height, width, 3), 255, np.uint8)
    for x, column in enumerate(columns):
        for y, picture in enumerate(column):
            canvas[y * step : y * step + side, x * step : x * step + side] = picture
    return canvas


def compose_preview(
    painting: NDArray[np.uint8], photos: NDArray[np.uint8], results: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Lays out a painting on the left, photos above their results on the right, on white.

    The painting is ``(H, W, 3)`` uint8, photos and results ``(N, S, S, 3)``.
    """
    strips = compose_strips(list(zip(photos, results, strict=True)))
    height = strips.shape[0]
    size = round(painting.shape[1] * height / painting.shape[0]), height
    left = np.asarray(Image.fromarray(painting).resize(size, Image.Resampling.LANCZOS))
    return np.concatenate([left, np.full((height, GAP_PX, 3), 255, np.uint8), strips], axis=1)


def compose_gallery(
    paintings: Sequence[NDArray[np.uint8]], results: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Lays out the middle squares of paintings, each above its result ``(S, S, 3)``, on white."""
    squares = (_middle_square(painting, results.shape[1]) for painting in paintings)
    return compose_strips(list(zip(squares, results, strict=True)))


def _middle_square(rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    square = Image.fromarray(rgb).resize(
        (side_px, side_px), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side)
    )
    return np.asarray(square)


class History:
    """A growing picture of the validation photos, one row of results per validation.

    It is kept as a file, so that a resumed run goes on with it. Past twelve rows every
    second one is dropped.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.rows: list[NDArray[np.uint8]] = []
        if resume and path.exists():
            rgb = read_image(path).rgb
            side = PREVIEW_PX // 2
            self.rows = [rgb[y : y + side] for y in range(0, rgb.shape[0], side)]

    def add(self, results: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Appends a row of results, saves the picture and returns it as ``(H, W, 3)`` uint8."""
        halves = results[:, ::2, ::2].astype(np.uint16) + results[:, 1::2, ::2]
        halves += results[:, ::2, 1::2].astype(np.uint16) + results[:, 1::2, 1::2]
        row = np.concatenate(list((halves // 4).astype(np.uint8)), axis=1)
        if self.rows and self.rows[-1].shape != row.shape:
            self.rows = []
        if len(self.rows) >= HISTORY_ROWS:
            self.rows = self.rows[::2]
        self.rows.append(row)
        picture = np.concatenate(self.rows)
        write_image(self.path, picture)
        return picture
