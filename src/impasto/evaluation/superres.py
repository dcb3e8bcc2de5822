"""Quality of super-resolution: PSNR and SSIM of the luma, and the loss network's view.

The field's conventions: a picture is cropped at the bottom and right to a multiple of the
scale and made smaller; what comes back is compared with it on the Y channel alone, without a
border as wide as the scale. PSNR and SSIM come from torchmetrics (extra ``train``). Feature
distances, the paper's measure of what looks alike, are those of the whole RGB pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray
from PIL import Image
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from impasto.data.crops import to_unit_tensor
from impasto.errors import ImageError, UsageError
from impasto.evaluation.pixels import Picture
from impasto.losses import LossNetwork, feature_reconstruction_loss

SSIM_WINDOW_PX: Final = 11
SSIM_SIGMA_PX: Final = 1.5
FEATURE_LAYERS: Final = ("relu2_2", "relu3_3")
METRICS_SOURCE: Final = f"torchmetrics {torchmetrics.__version__}"

# Y of ITU-R BT.601 in studio range, 16..235, as MATLAB's rgb2ycbcr has it.
_LUMA_WEIGHTS: Final = np.array([65.481, 128.553, 24.966]) / 255
_LUMA_OFFSET: Final = 16.0

_FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

Upscaler: TypeAlias = Callable[[Picture], Picture]


@dataclass(frozen=True)
class SuperresScores:
    """Scores of one enlarged picture, or plain means over several.

    Attributes:
        psnr: peak signal-to-noise ratio of Y in dB, peak 255; infinite for equal pictures.
        ssim: structural similarity of Y, 1 for equal pictures; 11x11 Gaussian window of
            sigma 1.5, mean over the windows that lie inside the picture.
        feature_relu2_2: feature reconstruction loss at relu2_2, values 0..255 in.
        feature_relu3_3: the same at relu3_3.
    """

    psnr: float
    ssim: float
    feature_relu2_2: float
    feature_relu3_3: float

    def to_dict(self) -> dict[str, float]:
        """Returns the scores by name."""
        return asdict(self)


def luma(rgb: Picture) -> NDArray[np.float64]:
    """Computes Y of YCbCr (BT.601, studio range) of ``(H, W, 3)`` uint8, without rounding.

    Returns:
        ``(H, W)`` values from 16 (black) to 235 (white).
    """
    y: NDArray[np.float64] = _LUMA_OFFSET + rgb @ _LUMA_WEIGHTS
    return y


def crop_to_multiple(rgb: Picture, scale: int) -> Picture:
    """Crops ``(H, W, 3)`` at the bottom and right to a height and width that scale divides.

    Raises:
        ImageError: it is too small to be scored.
    """
    _check_size(rgb, scale)
    height, width = (side // scale * scale for side in rgb.shape[:2])
    return rgb[:height, :width]


def resampling_methods(scale: int) -> dict[str, Upscaler]:
    """Returns what needs no model: Pillow's nearest, bicubic and Lanczos, by name.

    Each maps ``(H, W, 3)`` uint8 to ``(scale H, scale W, 3)`` uint8.
    """

    def resample(rgb: Picture, how: Image.Resampling) -> Picture:
        height, width = rgb.shape[:2]
        return np.asarray(Image.fromarray(rgb).resize((width * scale, height * scale), how))

    return {name: partial(resample, how=how) for name, how in _FILTERS.items()}


def score_superres(
    result: Picture, original: Picture, scale: int, loss_network: LossNetwork
) -> SuperresScores:
    """Scores an enlarged picture against the one that it was made small from.

    Args:
        result: ``(H, W, 3)`` uint8.
        original: ``(H, W, 3)`` uint8, as from `crop_to_multiple`.
        scale: width of the border in px that PSNR and SSIM leave out.
        loss_network: VGG-16.

    Raises:
        UsageError: the shapes differ.
        ImageError: the original is too small to be scored.
    """
    found = score_methods({"": lambda _: result}, original, original, scale, loss_network)
    return next(found)[2]


@torch.no_grad()
def score_methods(
    methods: Mapping[str, Upscaler],
    low_res: Picture,
    original: Picture,
    scale: int,
    loss_network: LossNetwork,
) -> Iterator[tuple[str, Picture, SuperresScores]]:
    """Enlarges one picture by every method; yields name, result and scores of each.

    Args:
        methods: callables from ``(H, W, 3)`` to ``(scale H, scale W, 3)``, by name.
        low_res: ``(H, W, 3)`` uint8.
        original: ``(scale H, scale W, 3)`` uint8.
        scale: the methods' factor.
        loss_network: VGG-16.

    Raises:
        UsageError: a method's result is not as large as the original.
        ImageError: the original is too small to be scored.
    """
    _check_size(original, scale)
    target = loss_network(to_unit_tensor(original)[None], FEATURE_LAYERS)
    for name, upscale in methods.items():
        result = upscale(low_res)
        if result.shape != original.shape:
            raise UsageError(
                f"the result is {result.shape[1]}x{result.shape[0]} and the original "
                f"{original.shape[1]}x{original.shape[0]}: a method must enlarge by {scale}"
            )
        features = loss_network(to_unit_tensor(result)[None], FEATURE_LAYERS)
        distances = [
            feature_reconstruction_loss(features[layer], target[layer]).item()
            for layer in FEATURE_LAYERS
        ]
        yield name, result, SuperresScores(*luma_scores(result, original, scale), *distances)


def _check_size(rgb: Picture, scale: int) -> None:
    """Refuses a picture without room for SSIM's window inside the border."""
    height, width = rgb.shape[:2]
    smallest_px = math.ceil((SSIM_WINDOW_PX + 2 * scale) / scale) * scale
    if min(height, width) < smallest_px:
        raise ImageError(
            f"{width}x{height} is too small to be scored: at scale {scale}, SSIM needs "
            f"{smallest_px} px on each side"
        )


def luma_scores(result: Picture, original: Picture, scale: int) -> tuple[float, float]:
    """Computes PSNR in dB and SSIM of Y, as in `SuperresScores`.

    The pictures are ``(H, W, 3)`` uint8; a border of ``scale`` px is left out.
    """
    height, width = original.shape[:2]
    inner = (slice(scale, height - scale), slice(scale, width - scale))
    y, y_original = (torch.from_numpy(luma(rgb[inner]))[None, None] for rgb in (result, original))
    psnr = peak_signal_noise_ratio(y, y_original, data_range=255.0).item()
    # The mean that torchmetrics returns counts windows over a mirrored border, depending on
    # its version; its map is the same in all, and windows in the picture are what is usual.
    _, similarity = structural_similarity_index_measure(
        y, y_original, sigma=SSIM_SIGMA_PX, data_range=255.0, return_full_image=True
    )
    margin = SSIM_WINDOW_PX // 2
    return psnr, float(similarity[..., margin:-margin, margin:-margin].mean())
