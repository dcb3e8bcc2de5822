"""The ranges of what a caller can choose about a painting."""

from __future__ import annotations

from typing import Final

from impasto.errors import UsageError

LARGEST_STRENGTH: Final = 1.5
SMALLEST_STROKE_SIZE: Final = 0.5
LARGEST_STROKE_SIZE: Final = 4.0


def check_dials(strength: float, stroke_size: float) -> None:
    """Refuses dials outside their ranges.

    Raises:
        UsageError: the dial, what was given and what is allowed are named.
    """
    if not 0.0 <= strength <= LARGEST_STRENGTH:
        raise UsageError(f"strength must lie between 0 and {LARGEST_STRENGTH:g}, not {strength}")
    numbers = isinstance(stroke_size, int | float)
    if not numbers or not SMALLEST_STROKE_SIZE <= stroke_size <= LARGEST_STROKE_SIZE:
        raise UsageError(
            f"the stroke size must be a number from {SMALLEST_STROKE_SIZE:g} to "
            f"{LARGEST_STROKE_SIZE:g}, not {stroke_size!r}"
        )
