"""Painting pictures whole: with models of the formats 1 and 2, and with the presets' networks.

Such a network sees the picture at its own size. Strokes of another size are painted on the
picture made smaller or larger, and the painting is brought back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impasto.dials import Painting
from impasto.errors import ImageTooLargeError
from impasto.images.mapping import empty_like
from impasto.images.resize import mirror_up, resized_to
from impasto.runtime.cores import available_bytes
from impasto.runtime.network import OpenModel, Progress, run_on_picture, to_levels

# Bytes per pixel that ONNX Runtime takes: measured 184, 786 and 1133 for `johnson` of width 4, 32
# and 64, and up to 272 for the gallery of format 2.
_BYTES: Final = 128
_BYTES_PER_CHANNEL: Final = 24
_UNKNOWN_CHANNELS: Final = 64
_MOST_CHANNELS: Final = 4096


class WholePainter:
    """A style network that paints a picture in one piece."""

    def __init__(self, opened: OpenModel) -> None:
        """Takes a model."""
        self._metadata, self._session = opened.metadata, opened.session

    def paint(
        self,
        rgb: NDArray[np.uint8],
        style_weights: NDArray[np.float32],
        dials: Painting,
        progress: Progress,
    ) -> NDArray[np.uint8]:
        """Paints a picture as `DraftRefinePainter.paint` does, as much smaller as strokes are larger.

        Raises:
            ImageTooLargeError: it does not fit the dials' memory; the size that does is named.
            ModelError: the model fails on the picture.
        """
        height, width = rgb.shape[:2]
        size = [max(1, round(side / dials.stroke_size)) for side in (height, width)]
        limit = available_bytes() if dials.memory is None else dials.memory
        needed = math.prod(size) * pixel_bytes(self._metadata.network)
        if limit is not None and needed > limit:
            fitting = max(1, math.floor(max(height, width) * math.sqrt(limit / needed)))
            raise ImageTooLargeError(
                f"this model paints a picture as a whole, and one of {width}x{height} takes about "
                f"{math.ceil(needed / 2**20):,} MiB of {limit >> 20:,}: make it smaller "
                f"(--max-size {fitting})"
            )
        result = empty_like(rgb, rgb.shape)  # a full disk shows now
        work, top, left = mirror_up(resized_to(rgb, *size), self._metadata.min_size_px)
        painted = to_levels(run_on_picture(self._session, work, style_weights))
        painted = painted[top : top + size[0], left : left + size[1]]
        result[:] = resized_to(np.ascontiguousarray(painted), height, width)
        progress(1.0)
        return result


def pixel_bytes(network: Mapping[str, object]) -> int:
    """Estimates, on the safe side, the bytes that a network of a spec takes for each pixel."""
    channels: float = _channels(network, "width")
    if network.get("architecture") == "fast":
        # At a quarter of height and width, and at half of them; one ending works at the full size.
        half = _channels(network, "half_width")
        channels = half if network.get("ending") == "full" else max(channels / 16, half / 4)
    return round(_BYTES + _BYTES_PER_CHANNEL * channels)


def _channels(network: Mapping[str, object], name: str) -> int:
    value = network.get(name)
    if isinstance(value, int) and 1 <= value <= _MOST_CHANNELS:
        return value
    return _UNKNOWN_CHANNELS
