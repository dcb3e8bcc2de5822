"""What settings may say of samples; apart from PyTorch, for the command line."""

from __future__ import annotations

from typing import Final, Literal

Degradation = Literal["paper", "bicubic", "mixed", "photo"]

RATIOS: Final = (1.2, 2**0.5, 1.7, 2.0, 2.72)
"""How many times larger than its draft the picture of a refine network's sample is."""

MIDDLE_RATIO: Final = 2**0.5
"""How many times larger the picture between two steps is."""
