"""The names of the degradations, apart from PyTorch, for the command line."""

from typing import Literal

Degradation = Literal["paper", "bicubic", "mixed", "photo"]
