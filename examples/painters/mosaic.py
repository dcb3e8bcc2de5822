"""Two fishes in a pond, in small stones whose rows follow the contours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
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


def disc_chain(x: Array, y: Array, centres: Array, radii: Array) -> tuple[Array, Array]:
    """Returns the distance to a chain of discs (inside < 0) and the place along it in [0, 1]."""
    distance = np.full(x.shape, np.inf, dtype=np.float32)
    place = np.zeros_like(distance)
    for index, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        d = np.hypot(x - centre[0], y - centre[1]) - radius
        closer = d < distance
        distance = np.where(closer, d, distance).astype(np.float32)
        place = np.where(closer, index / (len(centres) - 1), place).astype(np.float32)
    return distance, place


def fish(x: Array, y: Array, start_turn: float) -> tuple[Array, Array, Array, Array]:
    """Draws a fish that swims around the middle of the canvas, its head at start_turn.

    Returns:
        Distances to its body, fins and eye (each (H, W), inside < 0), and the place along it.
    """
    along = np.linspace(0, 1, 70)
    turn = start_turn + 2.05 * along
    radius = 0.285 - 0.02 * np.sin(along * 4)
    outward = np.stack([1.2 * np.cos(turn), np.sin(turn)], axis=1)
    spine = np.array([2 / 3, 0.5]) + radius[:, None] * outward
    half_width = np.interp(
        along,
        [0, 0.03, 0.09, 0.18, 0.32, 0.5, 0.7, 0.88, 1],
        [0.012, 0.035, 0.066, 0.091, 0.104, 0.094, 0.06, 0.026, 0.018],
    )
    body, place = disc_chain(x, y, spine, half_width)

    def fin(index: int, lean: float, length: float, thickness: float) -> Array:
        heading = spine[index] - spine[index - 1]
        heading = heading / np.hypot(*heading)
        side = np.array([-heading[1], heading[0]])
        t = np.linspace(0, 1, 24)[:, None]
        root = spine[index] + np.sign(lean) * side * half_width[index] * 0.7 * (index < 60)
        blade = root + length * (t * heading * np.cos(lean) + t**1.3 * side * np.sin(lean))
        return disc_chain(x, y, blade, 0.01 + thickness * np.sin(np.pi * t[:, 0] ** 0.8))[0]

    fins = [fin(69, 0.62, 0.15, 0.026), fin(69, -0.62, 0.15, 0.026)]
    fins += [fin(25, 0.6, 0.14, 0.026), fin(28, -0.55, 0.14, 0.026), fin(46, -0.6, 0.10, 0.022)]
    side = outward[9] / np.hypot(*outward[9])
    eye_x, eye_y = spine[9] + side * 0.024
    eye = np.hypot(x - eye_x, y - eye_y) - 0.016
    return body, np.minimum.reduce(fins), eye.astype(np.float32), place


def pond_scene(rng: np.random.Generator, height: int) -> tuple[Array, Array, Array]:
    """Returns colours (H, W, 3), a contour field whose level lines the rows follow, and regions.

    Regions (H, W) are integers as float; a stone never crosses from one to another.
    """
    x, y = canvas_grid(height)
    broad = smooth_noise(rng, x.shape, height / 5)
    shoal = [
        (fish(x, y, 0.30), ["#fbe9c0", "#f6b73c", "#e2711d", "#b5301f", "#6d1a20"], "#e0522a"),
        (
            fish(x, y, 0.30 + np.pi),
            ["#f7ead0", "#ead27a", "#d9a32f", "#8a6a2a", "#3c2a22"],
            "#e3b23c",
        ),
    ]
    contour = np.minimum.reduce([np.minimum(body, fins) for (body, fins, _, _), _, _ in shoal])

    # Water: rings spread from the fishes, light and dark in turn.
    wave = np.sin(contour * 46 + 0.7 * broad) * 0.5 + 0.5
    colour = ramp(
        0.62 * wave + 0.5 * contour + 0.1 * broad,
        [
            (0.0, "#0d2c54"),
            (0.25, "#15508a"),
            (0.45, "#1f8a9e"),
            (0.62, "#5fc2b0"),
            (0.78, "#cfe8d0"),
            (1.0, "#f3efdc"),
        ],
    )
    region = np.zeros_like(x)
    for number, ((body, fins, eye, place), stops, fin_colour) in enumerate(shoal):
        scales = 0.20 * np.sin(place * 60) * (place > 0.2) * (place < 0.9)
        tone = np.clip(-body / 0.1, 0, 1) + scales
        painted = ramp(tone, list(zip([0.0, 0.22, 0.45, 0.7, 1.0], stops, strict=True)))
        for inside, paint, part in [
            (fins < 0, np.where((fins < -0.012)[..., None], rgb(stops[3]), rgb(fin_colour)), 1),
            (body < 0, painted, 2),
            (eye < 0.026, np.broadcast_to(rgb("#fdf6e3"), painted.shape), 3),
            (eye < 0, np.broadcast_to(rgb("#141018"), painted.shape), 4),
        ]:
            colour[inside] = paint[inside]
            region[inside] = part + 4 * number
        contour = np.where(eye < 0.03, eye, np.where(body < 0, body, contour))
    return colour, contour.astype(np.float32), region


def nearest_stones(
    seeds: Array, turns: Array, half_px: float, region: Array
) -> tuple[NDArray[np.int32], Array, Array]:
    """Gives every pixel to the stone whose turned square reaches it first.

    Returns:
        The stone's number (-1: none), its distance measure in px (half the square's side at
        the square's border), and how much farther the second stone is.
    """
    height, width = region.shape
    owner = np.full((height, width), -1, dtype=np.int32)
    first = np.full((height, width), np.inf, dtype=np.float32)
    second = np.full((height, width), np.inf, dtype=np.float32)
    reach = int(np.ceil(half_px * 2.2))
    offset_y, offset_x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    for number, ((column, row), turn) in enumerate(zip(seeds, turns, strict=True)):
        c, r = int(column), int(row)
        top, bottom = max(r - reach, 0), min(r + reach + 1, height)
        left, right = max(c - reach, 0), min(c + reach + 1, width)
        here = (slice(top, bottom), slice(left, right))
        window = (
            slice(top - r + reach, bottom - r + reach),
            slice(left - c + reach, right - c + reach),
        )
        dx = offset_x[window] - (column - c)
        dy = offset_y[window] - (row - r)
        cos, sin = np.cos(turn), np.sin(turn)
        measure = np.maximum(np.abs(dx * cos + dy * sin), np.abs(dy * cos - dx * sin))
        measure[region[here] != region[r, c]] = np.inf
        wins = measure < first[here]
        second[here] = np.where(wins, first[here], np.minimum(second[here], measure))
        owner[here][wins] = number
        first[here] = np.where(wins, measure, first[here])
    lead = np.subtract(second, first, out=np.zeros_like(first), where=owner >= 0)
    return owner, first, lead


def mosaic(height: int, seed: int) -> Image.Image:
    """Lays two fishes in a pond in small stones."""
    rng = np.random.default_rng(seed)
    scale = height / REFERENCE_HEIGHT_PX
    colour, contour, region = pond_scene(rng, height)
    width = colour.shape[1]
    side = 17.0 * scale
    slope_y, slope_x = np.gradient(contour)
    field = np.arctan2(slope_y, slope_x)

    count = round(height * width / side**2 * 1.02)
    seeds = (rng.random((count, 2)) * (width - 1, height - 1)).astype(np.float32)
    for _ in range(24):  # Lloyd's relaxation in the squares' own measure, after A. Hausner (2001)
        turns = field[seeds[:, 1].astype(int), seeds[:, 0].astype(int)]
        owner, _, _ = nearest_stones(seeds, turns, side / 2, region)
        y, x = np.nonzero(owner >= 0)
        flat = owner[y, x]
        mass = np.bincount(flat, minlength=count)
        centre_x = np.bincount(flat, x, count) / np.maximum(mass, 1)
        centre_y = np.bincount(flat, y, count) / np.maximum(mass, 1)
        moved = np.stack([centre_x, centre_y], axis=1)
        seeds = np.where(mass[:, None] > 0, moved, seeds).astype(np.float32)

    fine = 2  # the stones themselves are cut at twice the size, for clean edges
    turns = field[seeds[:, 1].astype(int), seeds[:, 0].astype(int)]
    turns = turns + rng.normal(0, 0.05, count)
    large = np.kron(region, np.ones((fine, fine), dtype=np.float32))
    owner, reach, lead = nearest_stones(seeds * fine + fine / 2, turns, side * fine / 2, large)
    picture = lay_stones(rng, colour, seeds, owner=owner, reach=reach, lead=lead, side=side * fine)
    return to_image(picture).resize((width, height), Image.Resampling.BOX)


def lay_stones(
    rng: np.random.Generator,
    colour: Array,
    seeds: Array,
    *,
    owner: NDArray[np.int32],
    reach: Array,
    lead: Array,
    side: float,
) -> Array:
    """Colours, bevels and lights the stones and fills the joints with mortar; (H, W, 3)."""
    shape = owner.shape
    count = len(seeds)
    own = colour[seeds[:, 1].astype(int), seeds[:, 0].astype(int)]
    own = own * (1 + rng.normal(0, 0.10, (count, 1))) + rng.normal(0, 0.025, (count, 3))
    size = side * rng.uniform(0.50, 0.60, count)
    inside = np.minimum(size[owner] - reach, lead * 0.5)
    inside = inside + 0.02 * side * smooth_noise(rng, shape, side / 4)
    joint = side * 0.055
    is_stone = smoothstep(joint * 0.7, joint * 1.5, inside) * (owner >= 0)

    grain = smooth_noise(rng, shape, side / 9)
    tilt = rng.normal(0, 0.05, count)
    stones = own[owner] * (1 + 0.045 * grain + tilt[owner])[..., None]
    bevel = np.minimum(np.maximum(inside, 0), side * 0.20)
    mortar = ramp(smooth_noise(rng, shape, side / 6), [(-2, "#3a332f"), (2, "#6b6058")])
    picture = mortar + is_stone[..., None] * (stones - mortar)
    return light_from_top_left(picture.astype(np.float32), bevel.astype(np.float32), 0.32, 0.12)
