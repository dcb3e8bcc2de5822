"""An evening by the water, in thick brush strokes along a flow field."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image

from painters.canvas import (
    REFERENCE_HEIGHT_PX,
    Array,
    canvas_grid,
    light_from_top_left,
    ramp,
    rgb,
    smooth_noise,
    smoothstep,
    to_image,
)


def evening_scene(rng: np.random.Generator, height: int) -> tuple[Array, Array, Array]:
    """Returns colours (H, W, 3), stroke angles (H, W) and where detail is wanted (H, W)."""
    x, y = canvas_grid(height)
    shape = x.shape
    broad = smooth_noise(rng, shape, height / 4)
    fine = smooth_noise(rng, shape, height / 12)
    sun_x, sun_y = 0.88, 0.33
    distance = np.hypot(x - sun_x, y - sun_y)

    glow = distance * 1.05 + smoothstep(0.05, 0.3, distance) * (0.07 * broad + 0.035 * fine)
    colour = ramp(
        glow,
        [
            (0.0, "#fff3b0"),
            (0.10, "#ffd75e"),
            (0.22, "#ff9f2e"),
            (0.38, "#f4622f"),
            (0.55, "#d93a55"),
            (0.75, "#8e2f75"),
            (1.0, "#43307e"),
        ],
    )
    wander = smoothstep(0.08, 0.4, distance)
    angle = np.arctan2(y - sun_y, x - sun_x) + np.pi / 2 + 0.5 * wander * broad
    colour[distance < 0.075] = rgb("#fff2b8")

    lay_land(rng, x, y, colour, angle, sun_x=sun_x)
    luminance = colour.mean(axis=-1)
    gradient_y, gradient_x = np.gradient(luminance)
    detail = smoothstep(0.01, 0.08, np.hypot(gradient_x, gradient_y) * height / REFERENCE_HEIGHT_PX)
    return colour, angle.astype(np.float32), detail


def lay_land(
    rng: np.random.Generator, x: Array, y: Array, colour: Array, angle: Array, *, sun_x: float
) -> None:
    """Lays hills, water and grass over the sky's colours and stroke angles."""
    broad = smooth_noise(rng, x.shape, x.shape[0] / 4)
    fine = smooth_noise(rng, x.shape, x.shape[0] / 12)

    def lay(mask: Array, paint: Array, direction: Array) -> None:
        colour[mask] = paint[mask]
        angle[mask] = direction[mask]

    far = 0.50 + 0.05 * np.sin(4.1 * x + 0.6) + 0.025 * np.sin(11 * x) + 0.01 * broad
    near = 0.54 + 0.055 * np.sin(3.3 * x + 3.6) + 0.01 * fine
    shore = 0.615 + 0 * x
    bank = 0.86 - 0.10 * np.cos(2.6 * (x - 0.05)) + 0.012 * fine
    slope = 0.5 * np.cos(4.1 * x + 0.6) + 0.35 * fine
    lay(y > far, ramp((y - far) * 6 + 0.2 * fine, [(0, "#b9497f"), (0.6, "#5b3d8f")]), slope)
    lay(
        y > near,
        ramp((y - near) * 8 + 0.25 * fine, [(0, "#1c6e7d"), (0.5, "#123f66"), (1, "#1b2550")]),
        0.6 * np.cos(3.3 * x + 3.6) + 0.5 * fine + 0.4,
    )
    ripple = np.sin(y * 130 + 3 * broad + 2 * fine)
    column = np.exp(-(((x - sun_x) / (0.05 + 0.35 * (y - 0.6))) ** 2)) + 0.28 * ripple
    water = ramp(
        column + 0.12 * fine,
        [
            (-0.3, "#0d4a6b"),
            (0.0, "#14808c"),
            (0.35, "#43b3a0"),
            (0.6, "#ff8f3a"),
            (0.9, "#ffd56b"),
        ],
    )
    lay(y > shore, water, 0.12 * broad + 0.18 * ripple)
    grass = ramp(
        (y - bank) * 4 + 0.3 * fine,
        [(0, "#e0a528"), (0.2, "#7f9a2c"), (0.5, "#2f6b3c"), (1, "#173a3f")],
    )
    lay(y > bank, grass, np.pi / 2 + 0.5 * broad + 0.3 * fine)


def lay_stroke(
    rng: np.random.Generator,
    colour: Array,
    relief: Array,
    *,
    path: Array,
    width: float,
    paint: Array,
) -> None:
    """Paints one bristle stroke along path (N, 2; x and y in px) into colour and relief."""
    height, canvas_width = relief.shape
    pad = width / 2 + 2
    left, top = np.maximum(np.floor(path.min(axis=0) - pad).astype(int), 0)
    right, bottom = np.ceil(path.max(axis=0) + pad).astype(int)
    right, bottom = min(right, canvas_width), min(bottom, height)
    if right - left < 2 or bottom - top < 2:
        return
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    nearest = np.full(x.shape, np.inf, dtype=np.float32)
    along, across = np.zeros_like(nearest), np.zeros_like(nearest)
    for index, (start, end) in enumerate(pairwise(path)):
        step = end - start
        length = max(float(np.hypot(*step)), 1e-3)
        dx, dy = x - start[0], y - start[1]
        t = np.clip((dx * step[0] + dy * step[1]) / length**2, 0, 1)
        distance = np.hypot(dx - t * step[0], dy - t * step[1])
        closer = distance < nearest
        nearest = np.where(closer, distance, nearest)
        along = np.where(closer, index + t, along)
        side = np.where(dx * step[1] - dy * step[0] < 0, -1, 1)
        across = np.where(closer, distance * side, across)
    s = along / (len(path) - 1)
    t = across / (width / 2)

    bristles = rng.standard_normal(max(int(width / 1.6), 4) + 2).astype(np.float32)
    hair = np.interp(t, np.linspace(-1.1, 1.1, len(bristles)), bristles)
    load = 1 - smoothstep(0.45, 1.0, s + 0.16 * hair)  # the brush runs dry towards the end
    edge = 1 - smoothstep(0.78, 1.0, np.abs(t) + 0.06 * hair)
    alpha = np.clip(edge * (0.1 + 1.1 * load + 0.1 * hair), 0, 1)

    rim = np.exp(-(((np.abs(t) - 0.8) / 0.16) ** 2))  # paint pushed aside by the brush
    thickness = (1 + 0.30 * hair + 0.6 * rim) * (0.6 + 0.4 * load) * np.sqrt(width)
    spot = (slice(top, bottom), slice(left, right))
    streaks = paint * (1 + 0.055 * hair[..., None])
    colour[spot] += alpha[..., None] * (streaks - colour[spot])
    relief[spot] += alpha * (0.35 * relief[spot] + 0.65 * thickness - relief[spot])


def stroke_path(angle: Array, start: Array, length: float, step: float) -> Array:
    """Follows the angle field from start in both directions; (N, 2) points in px."""
    height, width = angle.shape
    halves = []
    for sign in (-1.0, 1.0):
        point, points, heading = start.copy(), [], None
        for _ in range(max(int(length / 2 / step), 1)):
            row = min(max(int(point[1]), 0), height - 1)
            column = min(max(int(point[0]), 0), width - 1)
            turn = angle[row, column]
            move = np.array([np.cos(turn), np.sin(turn)], dtype=np.float32) * sign
            if heading is not None and float(move @ heading) < 0:
                move = -move
            heading = move
            point = point + move * step
            points.append(point)
        halves.append(points)
    return np.array([*halves[0][::-1], start, *halves[1]], dtype=np.float32)


def flow_strokes(height: int, seed: int) -> Image.Image:
    """Paints an evening by the water in thick brush strokes."""
    rng = np.random.default_rng(seed)
    scale = height / REFERENCE_HEIGHT_PX
    target, angle, detail = evening_scene(rng, height)
    width_px = target.shape[1]
    colour = target * 0.85
    relief = np.zeros((height, width_px), dtype=np.float32)
    passes = [(34, 120, 0.0), (21, 84, 0.0), (13, 52, 0.0), (8, 30, 0.35)]
    for width, length, wanted_detail in passes:
        spacing = np.sqrt(width * length) * scale * 0.62
        starts = np.array(
            [
                (column, row)
                for row in np.arange(0, height, spacing)
                for column in np.arange(0, width_px, spacing)
            ],
            dtype=np.float32,
        )
        starts += rng.uniform(-0.6, 0.6, starts.shape).astype(np.float32) * spacing
        for start in rng.permutation(starts):
            column = int(np.clip(start[0], 0, width_px - 1))
            row = int(np.clip(start[1], 0, height - 1))
            if detail[row, column] < wanted_detail * rng.random():
                continue
            size = width * scale * rng.uniform(0.75, 1.25)
            path = stroke_path(angle, start, length * scale * rng.uniform(0.7, 1.3), size * 0.45)
            if rng.random() < 0.5:
                path = path[::-1]
            paint = target[row, column] + rng.normal(0, 0.035, 3) + rng.normal(0, 0.045)
            paint = np.clip(paint, 0.02, 1).astype(np.float32)
            lay_stroke(rng, colour, relief, path=path, width=size, paint=paint)
    return to_image(light_from_top_left(colour, relief, 0.22 / np.sqrt(scale), 0.10))
