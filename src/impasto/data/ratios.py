"""How much larger refined pictures are than their drafts while training."""

from __future__ import annotations

from typing import Final

RATIOS: Final = (1.2, 2**0.5, 1.7, 2.0, 2.72)
"""How many times larger than its draft a sample's picture is."""

MIDDLE_RATIO: Final = 2**0.5
"""The same for the picture between two steps."""
