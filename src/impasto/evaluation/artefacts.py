"""What no painter would leave: patterns pasted on, grids, and haloes round edges.

Each is found in what all photos of a style have in common, so each collects photo by photo.
The *residual* of a photo is its result minus the best affine map of the photo's colours.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from impasto.evaluation.pixels import Floats, Picture, best_recolouring, gaussian_blur
from impasto.images.colour import luma

# Pictures are compared place by place on canvases of this size.
_CANVAS_PX: Final = 512
# Less than what rounding to levels leaves is no residual.
_ROUNDING_LEVELS: Final = 0.5

_WINDOW_PX: Final = 256
_LONGEST_PERIOD_PX: Final = 24.0
_BOX_BINS: Final = 17
_LINE_BINS: Final = 33
# A wave of less amplitude than this cannot be seen.
_UNSEEN_LEVELS: Final = 0.25

_EDGE_SIGMA_PX: Final = 1.5
_NEAR_PX: Final = 4
_FAR_PX: Final = 48
_STEP_LEVELS: Final = 40.0
_FLAT_LEVELS: Final = 6.0


def residual(photo: Picture, result: Picture) -> Floats:
    """Returns what the best affine map of a photo's colours leaves of its result.

    Args:
        photo: ``(H, W, 3)`` uint8.
        result: the same shape.

    Returns:
        ``(H, W, 3)`` float32 in levels, with a mean of 0.
    """
    after = result.astype(np.float32)
    return after - best_recolouring(photo.astype(np.float32), after)


class GhostMeter:
    """Finds what is pasted on: the residual that all photos have at the same place.

    Residuals are laid over one another in two ways, and the worse counts: from the upper left
    corner pixel by pixel, as far as all of them reach, and stretched to one square.
    """

    def __init__(self) -> None:
        self._photos = 0
        self._sums = np.zeros((2, _CANVAS_PX, _CANVAS_PX, 3))
        self._energies = np.zeros((2, _CANVAS_PX, _CANVAS_PX))
        self._height = self._width = _CANVAS_PX

    def add(self, left: Floats) -> None:
        """Takes a `residual`, of a photo with a longer side of 512 px."""
        self._photos += 1
        height, width = left.shape[:2]
        self._height, self._width = min(self._height, height), min(self._width, width)
        for number, canvas in enumerate((left, _stretched(left))):
            rows, columns = canvas.shape[:2]
            self._sums[number, :rows, :columns] += canvas
            self._energies[number, :rows, :columns] += np.square(canvas).sum(axis=-1)

    @property
    def value(self) -> float:
        """The share of the residuals' energy that is in their mean.

        1 is the same pattern on every photo, 1/N what N unrelated results have, 0 no residual.
        """
        return max(
            self._share(0, self._height, self._width), self._share(1, _CANVAS_PX, _CANVAS_PX)
        )

    def _share(self, number: int, height: int, width: int) -> float:
        energy = self._energies[number, :height, :width].sum() / max(1, self._photos)
        if energy < 3 * _ROUNDING_LEVELS**2 * height * width:
            return 0.0
        common = np.square(self._sums[number, :height, :width] / self._photos).sum()
        return float(common / energy)


def _stretched(left: Floats) -> Floats:
    """Resizes ``(H, W, 3)`` to a square canvas."""
    from PIL import Image

    size = (_CANVAS_PX, _CANVAS_PX)
    channels = [
        np.asarray(Image.fromarray(left[..., c]).resize(size, Image.Resampling.BICUBIC))
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


class GridMeter:
    """Finds grids and weaves of any period from 2 to 24 px: peaks of the residuals' spectrum.

    The power spectra of overlapping windows are averaged over the photos. Each frequency is
    compared with what is usual near it: the largest of the medians of a square around it and
    of its row and its column, so that a line of the spectrum, as straight edges leave it, is no
    peak. What is too weak to be seen counts as less.
    """

    def __init__(self) -> None:
        self._photos = 0
        self._power = np.zeros((_WINDOW_PX, _WINDOW_PX // 2 + 1))

    def add(self, left: Floats) -> None:
        """Takes a `residual` at the size that the result is written at."""
        self._photos += 1
        self._power += _window_power(left)

    @property
    def peak(self) -> tuple[float, float]:
        """The highest ratio to what is usual near it, and its period in pixels.

        A texture without a period has about 1 to 3.
        """
        ratios, frequencies = self.ratios()
        ratios = np.where(frequencies < 1 / _LONGEST_PERIOD_PX, 0, ratios)
        at = np.unravel_index(int(ratios.argmax()), ratios.shape)
        return float(ratios[at]), float(1 / frequencies[at])

    def ratios(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns, per frequency, the ratio and how many waves there are per pixel."""
        half = self._power / max(1, self._photos)
        # The other half of a real picture's spectrum, to look around frequencies near 0.
        other = np.roll(half[::-1, 1:-1][:, ::-1], 1, axis=0)
        full = np.concatenate([half, other], axis=1)
        usual = np.max(
            [
                _local_median(full, _BOX_BINS, _BOX_BINS),
                _local_median(full, 1, _LINE_BINS),
                _local_median(full, _LINE_BINS, 1),
            ],
            axis=0,
        )[:, : half.shape[1]]
        down = np.fft.fftfreq(_WINDOW_PX)[:, None]
        across = np.fft.rfftfreq(_WINDOW_PX)[None]
        return half / (usual + _UNSEEN_LEVELS**2), np.hypot(down, across)


def _window_power(left: Floats) -> NDArray[np.float64]:
    """Averages the power spectra of windows that overlap by half.

    Returns:
        Squared amplitudes in levels, a mean over the channels: a wave of amplitude ``A`` has
        ``A^2`` at its frequency.
    """
    height, width = (min(side, _WINDOW_PX) for side in left.shape[:2])
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])[..., None]
    power = np.zeros((_WINDOW_PX, _WINDOW_PX // 2 + 1))
    corners = [
        (top, across)
        for top in _starts(left.shape[0], height)
        for across in _starts(left.shape[1], width)
    ]
    for top, across in corners:
        part = left[top : top + height, across : across + width]
        part = (part - part.mean(axis=(0, 1))) * window
        waves = np.fft.rfft2(part, (_WINDOW_PX, _WINDOW_PX), axes=(0, 1))
        power += np.square(np.abs(waves)).mean(axis=-1)
    return np.asarray(power * (4 / window.sum() ** 2 / len(corners)))


def _starts(side_px: int, window_px: int) -> NDArray[np.int64]:
    windows = 1 + -(-2 * (side_px - window_px) // window_px)
    return np.rint(np.linspace(0, side_px - window_px, windows)).astype(np.int64)


def _local_median(spectrum: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Returns the median around each frequency; a spectrum goes on where it began."""
    margins = ((rows // 2, rows // 2), (columns // 2, columns // 2))
    windows = sliding_window_view(np.pad(spectrum, margins, mode="wrap"), (rows, columns))
    return np.asarray(np.median(windows, axis=(-2, -1)))


class HaloMeter:
    """Finds haloes: overshoot 4 to 48 px beside the photo's step edges.

    Across each strong edge, along its normal, the luma of the result is compared with that of
    the photo in the best affine map of its colours. Only where the photo is flat from 4 to 48 px
    does a side count. How far the result there lies beyond the step, brighter on the bright side
    or darker on the dark side, is averaged over all edges by distance, and what it is
    farthest away is taken as the side's own tone.
    """

    def __init__(self) -> None:
        self._sums = np.zeros((2, _FAR_PX - _NEAR_PX + 1))
        self._counts = np.zeros(2)

    def add(self, photo: Picture, result: Picture) -> None:
        """Takes a photo with a longer side of 512 px and its result of the same size."""
        before = photo.astype(np.float32)
        after = result.astype(np.float32)
        mapped = luma(best_recolouring(before, after))[..., 0]
        grey = luma(before)[..., 0]
        beyond = luma(after)[..., 0] - mapped
        rows, columns, down, across = _edges(grey)
        for way in (1, -1):
            sides = [
                _profiles(values, rows, columns, way * down, way * across)
                for values in (grey, mapped, beyond)
            ]
            other = _profiles(grey, rows, columns, -way * down, -way * across)[:, :9]
            mapped_other = _profiles(mapped, rows, columns, -way * down, -way * across)[:, :9]
            step = sides[0].mean(axis=1) - other.mean(axis=1)
            flat = (sides[0].std(axis=1) < _FLAT_LEVELS) & (other.std(axis=1) < _FLAT_LEVELS)
            good = flat & (np.abs(step) >= _STEP_LEVELS)
            outward = np.sign(sides[1].mean(axis=1) - mapped_other.mean(axis=1))
            for bright in (0, 1):
                chosen = good & (outward == (1 if bright else -1))
                self._sums[bright] += (outward[:, None] * sides[2])[chosen].sum(axis=0)
                self._counts[bright] += chosen.sum()

    @property
    def profiles(self) -> NDArray[np.float64]:
        """Overshoot in levels at 4, 5, ... 48 px, of the dark sides and of the bright ones."""
        return self._sums / np.maximum(1, self._counts)[:, None]

    @property
    def edges(self) -> int:
        """How many places beside edges were looked at."""
        return int(self._counts.sum())

    @property
    def value(self) -> float | None:
        """The largest overshoot in levels, a mean of dark and bright sides.

        None where no photo has a step edge with a flat side.
        """
        if not self.edges:
            return None
        profiles = self.profiles
        own = profiles[:, -8:].mean(axis=1, keepdims=True)
        smooth = sliding_window_view(profiles - own, 4, axis=1).mean(axis=-1)
        return float(np.maximum(0, smooth.max(axis=1)).mean())


def _edges(grey: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Finds step edges: rows, columns and unit normals (down, across), uphill."""
    smooth = gaussian_blur(grey, _EDGE_SIGMA_PX)
    down, across = (np.asarray(np.gradient(smooth, axis=axis)) for axis in (0, 1))
    slope = np.hypot(down, across)
    # A step of h levels has a slope of h / (sigma sqrt(2 pi)).
    steep = slope > _STEP_LEVELS / (_EDGE_SIGMA_PX * 2.507) * 0.7
    rows, columns = np.nonzero(steep)
    down, across = down[rows, columns], across[rows, columns]
    length = np.hypot(down, across)
    down, across = down / length, across / length
    here = slope[rows, columns]
    ahead, behind = (
        _sampled(slope, rows + way * down, columns + way * across) for way in (1.0, -1.0)
    )
    top = (here >= ahead) & (here > behind)
    return rows[top], columns[top], down[top], across[top]


def _profiles(
    values: Floats,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    down: Floats,
    across: Floats,
) -> Floats:
    """Samples 4, 5, ... 48 px from each place; ``(places, 45)``, NaN outside the picture."""
    steps = np.arange(_NEAR_PX, _FAR_PX + 1)
    y = rows[:, None] + down[:, None] * steps
    x = columns[:, None] + across[:, None] * steps
    inside = (y >= 0) & (y <= values.shape[0] - 1) & (x >= 0) & (x <= values.shape[1] - 1)
    return np.where(inside, _sampled(values, y, x), np.float32(np.nan))


def _sampled(values: Floats, y: NDArray[np.float64], x: NDArray[np.float64]) -> Floats:
    """Interpolates linearly; outside, the nearest pixel counts."""
    y, x = (np.clip(v, 0, side - 1) for v, side in zip((y, x), values.shape, strict=True))
    top, left = (
        np.minimum(v.astype(int), side - 2) for v, side in zip((y, x), values.shape, strict=True)
    )
    v, u = y - top, x - left
    upper = values[top, left] * (1 - u) + values[top, left + 1] * u
    lower = values[top + 1, left] * (1 - u) + values[top + 1, left + 1] * u
    return np.asarray(upper * (1 - v) + lower * v, np.float32)
