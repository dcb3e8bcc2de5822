"""A valley under a red sun, in ink lines cut like a wood engraving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from painters.canvas import (
    REFERENCE_HEIGHT_PX,
    Array,
    canvas_grid,
    rgb,
    smooth_noise,
    smoothstep,
    to_image,
)


class Valley:
    """What the engraver follows, laid from back to front; each field is (H, W).

    ``angle`` of the lines, ``tone`` (0 paper to 1 ink), ``region`` (lines stop at borders),
    ``ink`` (0 black, 1 red).
    """

    def __init__(self, rng: np.random.Generator, height: int) -> None:
        self.x, self.y = canvas_grid(height)
        self.broad = smooth_noise(rng, self.x.shape, height / 4)
        self.fine = smooth_noise(rng, self.x.shape, height / 14)
        self.angle, self.tone, self.region, self.ink = np.zeros((4, *self.x.shape), np.float32)
        self.sun_x, self.sun_y = 0.46, 0.31
        self._lay_sky()
        self._lay_clouds()
        self._lay_mountain(20, base=0.58, steep=0.62, top_x=1.03, top_y=0.27)
        self._lay_mountain(22, base=0.60, steep=0.50, top_x=0.15, top_y=0.37)
        self._lay_hills()

    def _lay(self, mask: Array, number: int, turn: Array, dark: Array, red: bool = False) -> None:
        self.region[mask], self.ink[mask] = number, red
        self.angle[mask], self.tone[mask] = turn[mask], np.clip(dark, 0.1, 1.25)[mask]

    def _lay_sky(self) -> None:
        x, y = self.x, self.y
        distance = np.hypot(x - self.sun_x, y - self.sun_y)
        around = np.arctan2(y - self.sun_y, x - self.sun_x)
        rings = around + np.pi / 2 + 0.22 * smoothstep(0.2, 0.7, distance) * self.broad
        self._lay(y >= 0, 0, rings, 0.25 + 0.70 * smoothstep(0.2, 0.95, distance))
        self._lay(distance < 0.235, 1, around, 0.75 - 1.5 * (distance - 0.1), red=True)
        self._lay(distance < 0.112, 2, around + np.pi / 2, 1.25 + 0 * x, red=True)

    def _lay_clouds(self) -> None:
        x, y = self.x, self.y
        clouds = [(1.02, 0.13, 0.20, 0.030), (0.10, 0.20, 0.17, 0.026), (0.74, 0.40, 0.15, 0.020)]
        for number, (cx, cy, length, thick) in enumerate(clouds):
            shift = np.array([[0, 0], [0.45, -0.9], [-0.5, 0.85], [0.7, 1.5]]) * (length, thick)
            bands = [
                np.hypot((x - cx - dx) / (length * s), (y - cy - dy + 0.006 * self.broad) / thick)
                for (dx, dy), s in zip(shift, (1, 0.6, 0.7, 0.35), strict=True)
            ]
            shade = 0.05 + 0.4 * smoothstep(cy, cy + 0.06, y)
            self._lay(np.minimum.reduce(bands) < 1, 10 + number, 0.35 * self.broad, shade)

    def _lay_mountain(
        self, number: int, *, base: float, steep: float, top_x: float, top_y: float
    ) -> None:
        x, y = self.x, self.y
        crag = 0.012 * self.fine + 0.006 * np.sin(60 * x + 9 * np.sin(7 * x))
        ridge = np.minimum(top_y + steep * np.abs(x - top_x) ** 0.9, base) + crag
        spur = top_x + 0.25 * (y - ridge) * np.sin(26 * (y + number)) + 0.02 * self.fine
        sunny = (x < spur) == (top_x > self.sun_x)
        turn = np.pi / 2 - np.where(x < spur, -1, 1) * 0.62 + 0.25 * self.broad
        dark = np.where(sunny, 0.14 + 0.1 * self.fine, 0.95 - 1.2 * (y - ridge))
        for face in (False, True):
            self._lay((y > ridge) & (sunny == face), number + face, turn, dark)

    def _lay_hills(self) -> None:
        x, y = self.x, self.y
        hills = [
            (0.595 + 0.035 * np.sin(4.6 * x + 2.2), 0.35),
            (0.68 + 0.050 * np.sin(3.9 * x + 0.3), -0.5),
            (0.80 - 0.055 * np.sin(3.3 * x + 0.5), 0.0),
        ]
        trees = [
            [(0.28, 0.09), (0.33, 0.11), (0.385, 0.08)],
            [(0.985, 0.17), (1.06, 0.23), (1.135, 0.15), (0.10, 0.15)],
            [],
        ]
        for number, (ridge, lean) in enumerate(hills):
            slope = np.arctan(np.gradient(ridge, axis=1) * x.shape[0])
            turn = slope + lean + 0.5 * np.sin(6 * x + 2 * number) + 0.25 * self.broad
            if number == 2:  # the ploughed field in front runs towards a point behind the hills
                turn = np.arctan2(y - 0.45, x - 0.72) + 0.12 * self.broad
            depth = y - ridge
            dark = 0.95 - 6 * depth + 0.75 * smoothstep(0.08, 0.2, depth) + 0.15 * self.fine
            self._lay(depth > 0, 50 + number, turn, dark)
            for index, (cx, tall) in enumerate(trees[number]):
                foot = float(ridge[0, min(int(cx * x.shape[0]), x.shape[1] - 1)]) + 0.02
                self._lay_cypress(60 + 10 * number + index, cx, foot, tall)

    def _lay_cypress(self, number: int, centre_x: float, foot: float, tall: float) -> None:
        up = (foot - self.y) / tall
        half = 0.36 * tall * np.sqrt(np.clip(up, 0, 1)) * np.clip(1 - up, 0, 1) ** 0.75
        off = self.x - centre_x
        tree = np.abs(off - 0.006 * np.sin(40 * self.y)) < half
        self._lay(tree, number, np.pi / 2 + off * 12 * (up - 0.3), 0.75 + 9 * off)


def ink_lines(height: int, seed: int) -> Image.Image:
    """Engraves a valley under a red sun, in lines that swell and taper."""
    rng = np.random.default_rng(seed)
    scale = height / REFERENCE_HEIGHT_PX
    valley = Valley(rng, height)
    angle, tone, region, ink = valley.angle, valley.tone, valley.region, valley.ink
    width = angle.shape[1]
    fine = 3
    plates = [Image.new("L", (width * fine, height * fine), 0) for _ in range(2)]
    pens = [ImageDraw.Draw(plate) for plate in plates]
    pitch = 8.5 * scale
    taken = region_borders(region, round(1.6 * scale))
    crowded = taken.copy()
    starts = rng.random((round(height * width / pitch**2 * 6), 2)) * (width, height)
    for start in starts.astype(np.float32):
        column, row = int(start[0]), int(start[1])
        if crowded[row, column] or tone[row, column] < 0.08:
            continue
        length = pitch * rng.uniform(6, 22)
        line = free_line(angle, region, taken, start, length=length, step=2 * scale)
        if len(line) < 5:
            continue
        for point in line:
            blot(taken, point, pitch * 0.55)
            blot(crowded, point, pitch * 0.95)
        draw_swelling_line(
            rng, pens[int(ink[row, column])], line * fine, tone=tone, pitch=pitch, fine=fine
        )
    borders = region_borders(region, max(round(1.2 * scale), 1)) & (ink == 0)
    return print_plates(rng, plates, borders, scale)


def region_borders(region: Array, reach: int) -> NDArray[np.bool_]:
    """Marks the pixels within about reach px of a border between regions."""
    border = np.zeros(region.shape, dtype=bool)
    border[:, 1:] |= region[:, 1:] != region[:, :-1]
    border[1:] |= region[1:] != region[:-1]
    mask = Image.fromarray(border.astype(np.uint8) * 255)
    return np.asarray(mask.filter(ImageFilter.MaxFilter(2 * reach + 1))) > 0


def blot(mask: NDArray[np.bool_], point: Array, radius: float) -> None:
    """Sets a disc of the mask."""
    reach = int(radius) + 1
    column, row = int(point[0]), int(point[1])
    top, left = max(row - reach, 0), max(column - reach, 0)
    part = mask[top : row + reach + 1, left : column + reach + 1]
    y, x = np.ogrid[: part.shape[0], : part.shape[1]]
    part |= (y + top - point[1]) ** 2 + (x + left - point[0]) ** 2 <= radius**2


def free_line(
    angle: Array,
    region: Array,
    taken: NDArray[np.bool_],
    start: Array,
    *,
    length: float,
    step: float,
) -> Array:
    """Follows the angle field from start until it leaves its region or meets another line."""
    height, width = angle.shape
    home = region[int(start[1]), int(start[0])]
    halves = []
    for sign in (-1.0, 1.0):
        x, y, heading = float(start[0]), float(start[1]), None
        points = []
        while len(points) * step < length / 2:
            turn = float(angle[int(y), int(x)])
            dx, dy = sign * np.cos(turn), sign * np.sin(turn)
            if heading is not None and dx * heading[0] + dy * heading[1] < 0:
                dx, dy = -dx, -dy
            heading = (dx, dy)
            x, y = x + step * dx, y + step * dy
            if not (0 <= x < width and 0 <= y < height):
                break
            if taken[int(y), int(x)] or region[int(y), int(x)] != home:
                break
            points.append((x, y))
        halves.append(points)
    return np.array([*halves[0][::-1], tuple(start), *halves[1]], dtype=np.float32)


def draw_swelling_line(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    line: Array,
    *,
    tone: Array,
    pitch: float,
    fine: int,
) -> None:
    """Draws one cut line as a polygon, wide where the tone is dark, tapering to its ends."""
    columns = np.clip((line[:, 0] / fine).astype(int), 0, tone.shape[1] - 1)
    rows = np.clip((line[:, 1] / fine).astype(int), 0, tone.shape[0] - 1)
    place = np.linspace(0, 1, len(line))
    taper = np.minimum(np.minimum(place, 1 - place) * len(line) / 7, 1) ** 0.7
    wobble = np.interp(place, np.linspace(0, 1, 8), rng.normal(1, 0.10, 8))
    half = 0.5 * pitch * fine * (0.10 + 0.72 * np.maximum(tone[rows, columns], 0)) * taper * wobble
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-6)[:, None]
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * np.maximum(half, 0.4)[:, None]
    outline = np.concatenate([line + normal, (line - normal)[::-1]])
    pen.polygon([(float(x), float(y)) for x, y in outline], fill=255)


def print_plates(
    rng: np.random.Generator,
    plates: list[Image.Image],
    borders: NDArray[np.bool_],
    scale: float,
) -> Image.Image:
    """Prints the black and the red plate on laid paper."""
    shape = borders.shape
    paper = smooth_noise(rng, shape, 3 * scale) * 0.4 + smooth_noise(rng, shape, 40 * scale)
    picture = rgb("#f0e4c9") * (1 + 0.014 * paper[..., None])
    patchy = np.clip(0.95 + 0.03 * smooth_noise(rng, shape, 2.5 * scale), 0, 1)
    outline = Image.fromarray(borders.astype(np.uint8) * 255)
    outline = np.asarray(outline.filter(ImageFilter.GaussianBlur(1.3 * scale)), np.float32)
    outline = 255 * smoothstep(85, 150, outline)
    for number, colour in ((1, "#c8371f"), (0, "#1b1a22")):
        plate = plates[number].resize((shape[1], shape[0]), Image.Resampling.BOX)
        cover = np.maximum(np.asarray(plate, np.float32), outline * (number == 0)) / 255
        cover = (cover * patchy)[..., None]
        picture = picture * (1 - cover) + rgb(colour) * cover
    return to_image(picture.astype(np.float32))
