"""The frozen VGG-16 whose features define the perceptual losses."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import DataError, UsageError
from impasto.losses.layers import CONVOLUTIONS

# Positions of the convolutions in torchvision's `vgg16().features`.
TORCHVISION_INDEX = dict(
    zip(CONVOLUTIONS, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True)
)

# RGB mean and standard deviation on the 0..255 scale that each layout was trained with.
CAFFE_NORMALISATION = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
TORCHVISION_NORMALISATION = (
    (0.485 * 255, 0.456 * 255, 0.406 * 255),
    (0.229 * 255, 0.224 * 255, 0.225 * 255),
)


# What damaged files make safetensors and the weights-only unpickler raise.
_DAMAGE_ERRORS = (
    SafetensorError,
    pickle.UnpicklingError,
    OSError,
    EOFError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    struct.error,
)


def shipped_weights() -> Path:
    """Returns the path of the shipped weights: float16, up to relu4_3."""
    return Path(str(resources.files("impasto.losses") / "vgg16_relu4_3.safetensors"))


class LossNetwork(nn.Module):
    """VGG-16 up to the deepest layer its weights hold; frozen.

    Input scaling and channel order live here: callers pass RGB in [0, 1]. Gradients flow
    to the images, never to the weights. Pooling takes the maximum, as in the paper.

    Args:
        weights: a ``.safetensors`` or ``.pth`` file with the names of the Caffe release
            (``conv1_1.weight``: BGR, 0..255 minus mean) or of torchvision
            (``features.0.weight``: RGB, normalised). The shipped weights when omitted.

    Raises:
        DataError: the file is missing or holds no VGG-16.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        state, (mean, std) = _read_weights(Path(weights) if weights else shipped_weights())
        self.convolutions = nn.ModuleDict()
        for name, (weight, bias) in state.items():
            out_channels, in_channels = weight.shape[:2]
            conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
            conv.weight.data = weight.float().contiguous()
            conv.bias.data = bias.float()  # type: ignore[union-attr]
            self.convolutions[name] = conv
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers these weights reach."""
        return tuple(f"relu{name}" for name in self.convolutions)

    def check_layers(self, names: Iterable[str]) -> None:
        """Refuses layer names that these weights do not have.

        Raises:
            UsageError: the message lists the layers there are.
        """
        for name in names:
            if name not in self.layers:
                raise UsageError(
                    f"the loss network has no layer {name!r}; it has {', '.join(self.layers)}"
                )

    def forward(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Computes feature maps, and nothing beyond the deepest one asked for.

        Args:
            images: ``(N, 3, H, W)`` RGB in [0, 1], at least 16 px high and wide for relu4_3.
            layers: names such as ``"relu3_3"``.

        Returns:
            ``(N, C, H', W')`` feature maps by layer name.

        Raises:
            UsageError: a layer these weights do not have.
        """
        wanted = set(layers)
        self.check_layers(wanted)
        features: dict[str, Tensor] = {}
        x = (images * 255.0 - self.mean) / self.std
        for name, conv in self.convolutions.items():
            if len(features) == len(wanted):
                break
            if name.endswith("_1") and name != "1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(conv(x))
            if f"relu{name}" in wanted:
                features[f"relu{name}"] = x
        return features


def _read_weights(
    path: Path,
) -> tuple[dict[str, tuple[Tensor, Tensor]], tuple[tuple[float, ...], tuple[float, ...]]]:
    """Reads ``(weight, bias)`` per convolution, in RGB order, and the input normalisation."""
    if not path.is_file():
        raise DataError(f"loss network weights not found: {path}")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE_ERRORS as error:
        raise DataError(f"{path} is not a readable .safetensors or .pth weights file") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise DataError(f"{path} holds no weights by name")
    caffe = "conv1_1.weight" in state
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name, (in_channels, out_channels) in CONVOLUTIONS.items():
        key = f"conv{name}" if caffe else f"features.{TORCHVISION_INDEX[name]}"
        if f"{key}.weight" not in state or f"{key}.bias" not in state:
            break
        weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
        if tuple(weight.shape) != (out_channels, in_channels, 3, 3) or len(bias) != out_channels:
            raise DataError(f"{path} holds a {key} of shape {tuple(weight.shape)}: not VGG-16's")
        found[name] = (weight, bias)
    if not found:
        raise DataError(
            f"{path} holds no VGG-16: expected names like conv1_1.weight (Caffe) "
            "or features.0.weight (torchvision)"
        )
    if not caffe:
        return found, TORCHVISION_NORMALISATION
    first_weight, first_bias = found["1_1"]
    found["1_1"] = (first_weight.flip(1), first_bias)  # BGR to RGB
    return found, CAFFE_NORMALISATION
