"""Low-resolution pictures, and the high-resolution ones they are to be rebuilt into."""

from __future__ import annotations

import io
from typing import Final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from impasto.data.choices import Degradation
from impasto.data.crops import PhotoSamples, cut, to_unit_tensor
from impasto.data.sources import PhotoSource, decode_photo
from impasto.errors import DataError, UsageError

PAPER_SIGMA_PX: Final = 1.0
MIXED_SIGMA_PX: Final = (0.2, 1.2)
PHOTO_SIGMA_PX: Final = (0.2, 2.0)
PHOTO_NOISE_LEVELS: Final = (0.0, 6.0)
PHOTO_JPEG_QUALITY: Final = (40, 95)
PHOTO_JPEG_SHARE: Final = 0.9

MARGIN_PX: Final = 4
"""Low-resolution pixels around a patch that blur and shrinking may look at."""

LARGEST_SHRINK: Final = 2.0
"""Photos are shrunk by up to this much, which hides what JPEG and lenses did to them."""

DECODED_PX: Final = 640
"""A camera's photo is soft at its full size; its shorter side is decoded no larger than needed
to stay above this."""


# The same pictures whatever a network computes in.
@torch.autocast("cpu", enabled=False)  # type: ignore[untyped-decorator]
def degrade(
    high_res: NDArray[np.uint8],
    scale: int,
    degradation: Degradation,
    rng: np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Makes the low-resolution side of a picture.

    ``paper``: Gaussian blur of sigma 1.0, then bicubic (Johnson et al. 2016, section 4.2).
    ``bicubic``: bicubic alone, the field's usual benchmark. ``mixed``: bicubic alone or after a
    blur of sigma 0.2 to 1.2, half and half. ``photo``: a blur of sigma 0.2 to 2.0, bicubic,
    noise of 0 to 6 levels, and JPEG of quality 40 to 95 nine times in ten. Blur is in pixels of
    the high resolution; bicubic is antialiased, and the two pictures cover the same area.

    Args:
        high_res: ``(H, W, 3)`` uint8; height and width are multiples of ``scale``.
        scale: how many times smaller the result is.
        degradation: its name.
        rng: what ``mixed`` and ``photo`` draw from.

    Returns:
        ``(H / scale, W / scale, 3)`` uint8.

    Raises:
        UsageError: there is no such degradation, or nothing to draw from.
    """
    if degradation not in get_args(Degradation):
        allowed = ", ".join(get_args(Degradation))
        raise UsageError(f"the degradation is {degradation!r}; allowed are {allowed}")
    images = torch.from_numpy(high_res.copy()).permute(2, 0, 1)[None].float()
    if degradation == "paper":
        images = gaussian_blur(images, PAPER_SIGMA_PX)
    if degradation in ("paper", "bicubic"):
        return _rounded(shrink(images, scale))
    if rng is None:
        raise UsageError(f"the degradation {degradation} is random: give what it draws from")
    if degradation == "photo":
        low_res = shrink(gaussian_blur(images, rng.uniform(*PHOTO_SIGMA_PX)), scale)
        noise = rng.standard_normal(low_res.shape, np.float32) * rng.uniform(*PHOTO_NOISE_LEVELS)
        rounded = _rounded(low_res + torch.from_numpy(noise))
        low, high = PHOTO_JPEG_QUALITY
        quality = int(rng.integers(low, high + 1))
        return jpeg(rounded, quality) if rng.random() < PHOTO_JPEG_SHARE else rounded
    if rng.random() < 0.5:
        images = gaussian_blur(images, rng.uniform(*MIXED_SIGMA_PX))
    return _rounded(shrink(images, scale))


def gaussian_blur(images: Tensor, sigma_px: float) -> Tensor:
    """Blurs ``(N, C, H, W)`` by a Gaussian that is cut off at four sigma; edges repeat."""
    radius = max(1, round(4 * sigma_px))
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma_px) ** 2)
    kernel /= kernel.sum()
    channels = images.shape[1]
    padded = F.pad(images, (radius, radius, radius, radius), mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)


def shrink(images: Tensor, scale: int) -> Tensor:
    """Shrinks ``(N, C, H, W)`` by a whole number, bicubic (a = -0.5) with antialiasing.

    Height and width are multiples of ``scale``. The result may leave the input's range by a little.
    """
    height, width = images.shape[-2:]
    return F.interpolate(images, (height // scale, width // scale), mode="bicubic", antialias=True)


def jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Passes ``(H, W, 3)`` uint8 through a JPEG file of a quality, in memory."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def _rounded(images: Tensor) -> NDArray[np.uint8]:
    pixels = images[0].clamp(0, 255).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())


class PatchPairs(PhotoSamples[tuple[Tensor, Tensor]]):
    """Random patches, ``(low_res, high_res)``, turned and mirrored.

    ``low_res`` is ``(3, patch_px / scale, patch_px / scale)``, ``high_res``
    ``(3, patch_px, patch_px)``, both float32 RGB in [0, 1]. A patch is degraded together with
    its surroundings, so that it looks as if the whole photo had been.

    Args:
        source: the photos.
        patch_px: height and width of a high-resolution patch, a multiple of ``scale``.
        scale: how many times smaller the low-resolution patch is.
        degradation: how it is made, as in `degrade`.
        seed: 0 or more.
    """

    def __init__(
        self,
        source: PhotoSource,
        patch_px: int,
        *,
        scale: int,
        degradation: Degradation,
        seed: int,
    ) -> None:
        super().__init__(source, seed=seed)
        self.patch_px = patch_px
        self.scale = scale
        self.degradation = degradation

    def draw(self, data: bytes, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Cuts a pair of patches from one encoded photo, or raises `DataError`."""
        pixels = decode_photo(data, DECODED_PX)
        margin = MARGIN_PX * self.scale
        side = self.patch_px + 2 * margin
        height, width = pixels.shape[:2]
        if min(height, width) < side:
            raise DataError(
                f"{width}x{height} px is below {side} px, a patch with {margin} px around it"
            )
        largest = min(LARGEST_SHRINK, min(height, width) / side)
        high_res = cut(pixels, (side, side), rng.uniform(1, largest), rng)
        high_res = np.rot90(high_res, int(rng.integers(4)))
        if rng.random() < 0.5:
            high_res = high_res[:, ::-1]
        low_res = degrade(high_res, self.scale, self.degradation, rng)
        return (
            to_unit_tensor(low_res[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]),
            to_unit_tensor(high_res[margin:-margin, margin:-margin]),
        )
