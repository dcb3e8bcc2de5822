"""What the painters share: the canvas, noise, colour ramps, light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]
REFERENCE_HEIGHT_PX = 768


def canvas_grid(height: int) -> tuple[Array, Array]:
    """Returns x in [0, 4/3) and y in [0, 1) of each pixel of a 4:3 canvas."""
    width = round(height * 4 / 3)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (x + 0.5) / height, (y + 0.5) / height


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell_px: float) -> Array:
    """Returns noise of mean 0 and deviation about 1 whose features are about cell_px wide."""
    height, width = shape
    grid = rng.standard_normal((int(height / cell_px) + 4, int(width / cell_px) + 4))
    image = Image.fromarray(grid.astype(np.float32))
    box = (1.5, 1.5, 1.5 + width / cell_px, 1.5 + height / cell_px)
    field = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=box))
    return np.asarray(field / max(float(grid.std()) * 0.7, 1e-6), dtype=np.float32)


def ramp(value: Array, stops: list[tuple[float, str]]) -> Array:
    """Colours a field (H, W) by a gradient of ``(position, "#rrggbb")``; (H, W, 3) in [0, 1]."""
    positions = [position for position, _ in stops]
    colours = np.array([rgb(text) for _, text in stops])
    channels = [np.interp(value, positions, colours[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def rgb(text: str) -> Array:
    """Turns ``"#rrggbb"`` into three values in [0, 1]."""
    return np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)


def smoothstep(low: float, high: float, value: Array) -> Array:
    """Rises smoothly from 0 at low to 1 at high."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def light_from_top_left(colour: Array, height_map: Array, relief: float, gloss: float) -> Array:
    """Lights a painted surface: slopes facing the light brighten, steep ones glint."""
    slope_y, slope_x = np.gradient(height_map)
    slope = (slope_x + slope_y) * relief
    shade = 1 + np.clip(slope, -0.5, 0.5)
    glint = gloss * smoothstep(0.25, 0.9, slope)
    return np.asarray(np.clip(colour * shade[..., None] + glint[..., None], 0, 1))


def to_image(picture: Array) -> Image.Image:
    """Rounds a picture in [0, 1] to eight bits."""
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
