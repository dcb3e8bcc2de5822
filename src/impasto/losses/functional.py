"""The losses of Johnson et al. 2016, section 3.2, as pure functions.

Images come in as RGB in [0, 1] and count on the 0..255 scale, so that weights from the
literature mean what they meant there. Every loss is a mean over the batch; what is a sum
and what a mean inside one picture is said at each function.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def feature_reconstruction_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two feature maps: ``||phi - phi_t||^2 / (C H W)``.

    Args:
        features: ``(N, C, H, W)`` feature maps of the output.
        target: ``(N, C, H, W)`` feature maps of the content image.

    Returns:
        A scalar, the mean over the batch.
    """
    return F.mse_loss(features, target)


def gram_matrix(features: Tensor) -> Tensor:
    """Channel correlations of a feature map: ``psi psi^T / (C H W)``.

    Args:
        features: ``(N, C, H, W)`` feature maps.

    Returns:
        ``(N, C, C)`` symmetric matrices.
    """
    n, c, h, w = features.shape
    # Sums over thousands of positions need float32 even where the features are bfloat16.
    with torch.autocast(features.device.type, enabled=False):
        flat = features.reshape(n, c, h * w)
        if flat.dtype in (torch.bfloat16, torch.float16):
            flat = flat.float()
        return flat @ flat.transpose(1, 2) / (c * h * w)


def style_reconstruction_loss(gram: Tensor, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Squared Frobenius norm of the difference of Gram matrices, summed over ``C x C``.

    The released code takes the mean instead: divide the weight by ``C^2`` for that.

    Args:
        gram: ``(N, C, C)`` Gram matrices of the output.
        target: ``(C, C)``, ``(1, C, C)`` or ``(N, C, C)`` Gram matrices of the style image.
        weight: of the loss, or ``(N,)`` one per picture.

    Returns:
        A scalar, the mean over the batch.
    """
    return ((gram - target).square().sum(dim=(-2, -1)) * weight).mean()


def feature_correlation(features: Tensor, target: Tensor) -> Tensor:
    """Correlation of two feature maps, each channel's mean removed.

    1 where they are alike up to a factor, near 0 where they have nothing in common: how much of
    the content image is there, whatever the strength of the features.

    Args:
        features: ``(N, C, H, W)`` feature maps of the output.
        target: ``(N, C, H, W)`` feature maps of the content image.

    Returns:
        ``(N,)``, each in [-1, 1].
    """
    x, y = (f.float() - f.float().mean(dim=(2, 3), keepdim=True) for f in (features, target))
    products = [(a * b).sum(dim=(1, 2, 3)) for a, b in ((x, y), (x, x), (y, y))]
    return products[0] / (products[1] * products[2]).sqrt().clamp_min(1e-12)


def total_variation_loss(images: Tensor) -> Tensor:
    """Half the sum of squared differences between neighbouring pixels.

    ``1/2 sum((x[i+1,j] - x[i,j])^2 + (x[i,j+1] - x[i,j])^2)`` over pixels and channels on
    the 0..255 scale. The released code also sums over the batch: its strength times the
    batch size is the weight here.

    Args:
        images: ``(N, 3, H, W)`` RGB in [0, 1].

    Returns:
        A scalar, the mean over the batch.
    """
    rows = (images[:, :, 1:] - images[:, :, :-1]).square().sum()
    columns = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().sum()
    return (rows + columns) * (255.0**2 / 2 / images.shape[0])


def pixel_loss(images: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of pixels on the 0..255 scale: ``||y - y_t||^2 / (C H W)``.

    Args:
        images: ``(N, 3, H, W)`` RGB in [0, 1].
        target: ``(N, 3, H, W)`` RGB in [0, 1].

    Returns:
        A scalar, the mean over the batch.
    """
    return F.mse_loss(images, target) * 255.0**2


def lattice_loss(images: Tensor, period_px: int = 16) -> Tensor:
    """Variance of the mean colours of a grid's phases: what a visible lattice raises.

    For each of the ``period_px^2`` phases ``(y mod p, x mod p)`` the mean colour is taken;
    the loss is the variance of these means on the 0..255 scale. Not in the paper: networks
    that work at a quarter or an eighth of the resolution print such grids early in training.

    Args:
        images: ``(N, 3, H, W)`` RGB in [0, 1], H and W at least ``period_px``.
        period_px: period of the grid; 16 covers 8, 4 and 2 as well.

    Returns:
        A scalar, the mean over channels and batch.
    """
    n, channels, height, width = images.shape
    p = period_px
    rows, columns = height // p, width // p
    whole = images[:, :, : rows * p, : columns * p].float()
    phases = whole.reshape(n, channels, rows, p, columns, p).mean(dim=(2, 4))
    return phases.flatten(2).var(dim=2, correction=0).mean() * 255.0**2
