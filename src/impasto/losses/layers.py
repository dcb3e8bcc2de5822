"""Names of VGG-16's layers; no torch, so that settings can be read without it."""

from __future__ import annotations

from typing import Literal

CONVOLUTIONS: dict[str, tuple[int, int]] = {
    "1_1": (3, 64),
    "1_2": (64, 64),
    "2_1": (64, 128),
    "2_2": (128, 128),
    "3_1": (128, 256),
    "3_2": (256, 256),
    "3_3": (256, 256),
    "4_1": (256, 512),
    "4_2": (512, 512),
    "4_3": (512, 512),
    "5_1": (512, 512),
    "5_2": (512, 512),
    "5_3": (512, 512),
}
"""Input and output channels of VGG-16's convolutions; a 2x2 maximum before 2_1, 3_1, ..."""

LAYERS = tuple(f"relu{name}" for name in CONVOLUTIONS)
"""Names of the feature maps, in the paper's notation."""

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""The paper's style layers."""

SMALLEST_SIDE_PX = 16
"""relu4_3 has an eighth of the height and width, relu5_3 a sixteenth."""

StyleReduction = Literal["sum", "mean"]
"""How the squared Gram differences of a layer are joined."""
