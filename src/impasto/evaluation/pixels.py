"""What several measures do to pictures: resizing, blurring and recolouring."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from impasto.errors import ImageError

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

_ASPECT_TOLERANCE = 0.02
# A Gaussian kernel ends here, in standard deviations.
_KERNEL_ENDS = 4.0


def resize_longer_side(rgb: Picture, longer_side_px: int) -> Picture:
    """Scales ``(H, W, 3)`` uint8 so that its longer side has the given length."""
    height, width = rgb.shape[:2]
    scale = longer_side_px / max(height, width)
    return _resized(rgb, max(1, round(width * scale)), max(1, round(height * scale)))


def fitted(rgb: Picture, like: Picture) -> Picture:
    """Resizes ``(H, W, 3)`` uint8 to the size of another picture of the same aspect ratio.

    The same array is returned where the sizes agree.

    Raises:
        ImageError: width and height have another ratio.
    """
    (height, width), (rows, columns) = rgb.shape[:2], like.shape[:2]
    # A side that was rounded may be off by half a pixel.
    tolerance = _ASPECT_TOLERANCE + 1 / min(height, width, rows, columns)
    if abs(math.log(width * rows / (height * columns))) > tolerance:
        raise ImageError(
            f"a result of {width}x{height} px does not belong to a photo of {columns}x{rows} px: "
            "both have the same shape"
        )
    return _resized(rgb, columns, rows)


def _resized(rgb: Picture, width: int, height: int) -> Picture:
    """Resizes by a Lanczos filter, in one go: that is what every stated figure is defined by."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))


def gaussian_blur(values: Floats, sigma_px: float) -> Floats:
    """Blurs ``(H, W)`` or ``(H, W, C)`` of any range; the borders' values go on beyond them."""
    radius = math.ceil(_KERNEL_ENDS * sigma_px)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma_px) ** 2)
    kernel /= kernel.sum()
    planes = torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1)[:, None]
    planes = F.pad(planes, (0, 0, radius, radius), mode="replicate")
    planes = F.conv2d(planes, kernel.view(1, 1, -1, 1))
    planes = F.pad(planes, (radius, radius, 0, 0), mode="replicate")
    planes = F.conv2d(planes, kernel.view(1, 1, 1, -1))
    blurred: Floats = planes[:, 0].permute(1, 2, 0).reshape(values.shape).numpy()
    return blurred


def best_recolouring(photo: Floats, result: Floats) -> Floats:
    """Applies the affine map of a photo's colours that comes nearest to a result.

    Both are ``(H, W, 3)`` of any range, and so is ``M photo + b``, with the 3x3 matrix and the
    offset of least squares.
    """
    colours, wanted = (x.reshape(-1, 3).astype(np.float64) for x in (photo, result))
    middle, wanted_middle = colours.mean(axis=0), wanted.mean(axis=0)
    colours, wanted = colours - middle, wanted - wanted_middle
    # A grey photo has one direction of colour: the others count nothing.
    matrix = np.linalg.pinv(colours.T @ colours, rcond=1e-9, hermitian=True) @ (colours.T @ wanted)
    mapped = colours @ matrix + wanted_middle
    return np.asarray(mapped.reshape(result.shape), np.float32)
