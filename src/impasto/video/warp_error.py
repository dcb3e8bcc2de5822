"""Warp error: how far a painted frame is from the one before, moved to where things are now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from impasto.video.flow import moved
from impasto.video.frames import Motion, Picture


@dataclass
class WarpError:
    """Mean squared difference on pixels that are followed, over the frames so far.

    It is in the scale of colours from 0 to 1, over the three channels. Zero is a painting that
    sticks to what it shows; a painting that ignores motion is as bad as one that flickers.

    Attributes:
        squares: sum of the squared differences.
        values: how many there are.
        pairs: of frames that were compared.
        pixels: of those pairs, followed or not.
    """

    squares: float = 0.0
    values: int = 0
    pairs: int = 0
    pixels: int = 0

    def add(self, before: Picture, now: Picture, motion: Motion) -> None:
        """Compares a frame with the one before.

        Args:
            before: (H, W, 3) uint8.
            now: the same shape.
            motion: of the same height and width, from the clip and not from its painting.
        """
        difference = moved(before.astype(np.float32), motion.flow) - now
        followed = difference[motion.followed] / 255
        self.squares += float(np.square(followed).sum(dtype=np.float64))
        self.values += followed.size
        self.pairs += 1
        self.pixels += motion.followed.size

    @property
    def mean(self) -> float:
        """The error; not a number where nothing was compared."""
        return self.squares / self.values if self.values else float("nan")

    @property
    def followed(self) -> float:
        """The share of pixels that were compared."""
        return self.values / (3 * self.pixels) if self.pixels else 0.0
