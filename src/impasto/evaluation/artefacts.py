"""What no painter would leave: patterns pasted on, grids, and haloes round edges.

Each is found in what all photos of a style have in common, so each collects photo by photo.
The *residual* of a photo is its result minus the best affine map of the photo's colours.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from impasto.evaluation.pixels import Floats, Picture, best_recolouring, gaussian_blur
from impasto.images.colour import luma

# Pictures are compared place by place on canvases of this size.
_CANVAS_PX: Final = 512
# Less than what rounding to levels leaves is no residual.
_ROUNDING_LEVELS: Final = 0.5

_WINDOW_PX: Final = 256
_LONGEST_PERIOD_PX: Final = 16.0
_BOX_BINS: Final = 17
_LINE_BINS: Final = 33
# A wave of less amplitude than this cannot be seen.
_UNSEEN_LEVELS: Final = 0.25
# Where hardly anything is there, nothing stands out.
_QUIET: Final = 0.5

_EDGE_SIGMA_PX: Final = 1.5
_NEAR_PX: Final = 4
_FAR_PX: Final = 48
# Haloes are sought from each of these distances to the next, and none beyond the last.
_BANDS_PX: Final = (4, 8, 16, 32)
# What lies across the edge must be flat up to here.
_OTHER_SIDE_PX: Final = 9
_STEP_LEVELS: Final = 40.0
_FLAT_LEVELS: Final = 6.0


def residual(photo: Picture, result: Picture) -> Floats:
    """Returns the residual of ``(H, W, 3)`` uint8 pictures, in levels with a mean of 0."""
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

    def add(self, photo: Picture, result: Picture) -> None:
        """Takes a photo with a longer side of 512 px and its result of the same size."""
        left = residual(photo, result)
        size = (_CANVAS_PX, _CANVAS_PX)
        channels = [Image.fromarray(left[..., c]) for c in range(3)]
        stretched = [np.asarray(x.resize(size, Image.Resampling.BICUBIC)) for x in channels]
        self._photos += 1
        height, width = left.shape[:2]
        self._height, self._width = min(self._height, height), min(self._width, width)
        for number, canvas in enumerate((left, np.stack(stretched, axis=-1))):
            rows, columns = canvas.shape[:2]
            self._sums[number, :rows, :columns] += canvas
            self._energies[number, :rows, :columns] += np.square(canvas).sum(axis=-1)

    @property
    def value(self) -> float:
        """The share of the residuals' energy that is in their mean.

        1 is the same pattern on every photo, 1/N what N unrelated results have, 0 no residual.
        """
        shares = [0.0]
        reached = ((self._height, self._width), (_CANVAS_PX, _CANVAS_PX))
        for sums, energies, (height, width) in zip(
            self._sums, self._energies, reached, strict=True
        ):
            energy = energies[:height, :width].sum() / max(1, self._photos)
            if energy >= 3 * _ROUNDING_LEVELS**2 * height * width:
                common = np.square(sums[:height, :width] / self._photos).sum()
                shares.append(float(common / energy))
        return max(shares)


class GridMeter:
    """Finds grids and weaves of any period from 2 to 16 px: peaks of the residuals' spectrum.

    The power spectrum of each of many windows is divided by what is usual near each frequency,
    so that a weave in an even sky counts although a lawn hides it, and these are averaged over all
    windows and photos. Peaks are then what stands out of the medians of a square around it, of
    its row and of its column: a line, as straight edges leave it, is none. A peak is divided by
    what the photos themselves have at its frequency, as from the blocks of JPEG.
    """

    def __init__(self) -> None:
        self._windows = 0
        self._whitened = np.zeros((2, _WINDOW_PX, _WINDOW_PX))

    def add(self, photo: Picture, result: Picture) -> None:
        """Takes a photo and its result, both of the size that the result is written at."""
        for number, values in enumerate((photo.astype(np.float32), residual(photo, result))):
            windows, whitened = _whitened_power(values)
            self._whitened[number] += whitened
        self._windows += windows

    @property
    def peak(self) -> tuple[float, float]:
        """The highest peak beside what is usual near it, and its period in pixels.

        A texture without a period has little more than 1.
        """
        photos, residuals = (_peaks(power / max(1, self._windows)) for power in self._whitened)
        ratios = residuals / np.maximum(1, photos)
        down, across = np.fft.fftfreq(_WINDOW_PX)[:, None], np.fft.fftfreq(_WINDOW_PX)[None]
        frequencies = np.hypot(down, across)
        ratios[frequencies < 1 / _LONGEST_PERIOD_PX] = -1
        at = np.unravel_index(int(ratios.argmax()), ratios.shape)
        return float(ratios[at]), float(1 / frequencies[at])


def _whitened_power(values: Floats) -> tuple[int, NDArray[np.float64]]:
    """Adds up the power spectra of windows that overlap by half, each divided by its mean nearby.

    Returns the number of windows, and ``(256, 256)``: per frequency about as much.
    """
    height, width = (min(side, _WINDOW_PX) for side in values.shape[:2])
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    # A wave of amplitude A has A^2 at its frequency.
    scale = 4 / window.sum() ** 2
    planes = np.moveaxis(values, -1, 0)
    corners = [
        (top, left)
        for top in _starts(values.shape[0], height)
        for left in _starts(values.shape[1], width)
    ]
    whitened = np.zeros((_WINDOW_PX, _WINDOW_PX))
    for top, left in corners:
        part = planes[:, top : top + height, left : left + width]
        part = (part - part.mean(axis=(1, 2), keepdims=True)) * window
        waves = np.fft.fft2(part, (_WINDOW_PX, _WINDOW_PX))
        power = scale * np.square(np.abs(waves)).mean(axis=0)
        whitened += power / (_local_mean(power, _BOX_BINS) + _UNSEEN_LEVELS**2)
    return len(corners), whitened


def _peaks(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divides by what is usual near each frequency."""
    usual = [
        _local_median(power, rows, columns)
        for rows, columns in ((_BOX_BINS, _BOX_BINS), (1, _LINE_BINS), (_LINE_BINS, 1))
    ]
    return np.asarray(power / np.maximum(np.max(usual, axis=0), _QUIET))


def _starts(side_px: int, window_px: int) -> NDArray[np.int64]:
    windows = 1 + -(-2 * (side_px - window_px) // window_px)
    return np.rint(np.linspace(0, side_px - window_px, windows)).astype(np.int64)


def _local_mean(spectrum: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Returns the mean of a square around each frequency; a spectrum goes on where it began."""
    for axis in (0, 1):
        margins = [(bins // 2 + 1, bins // 2) if axis == a else (0, 0) for a in (0, 1)]
        sums = np.cumsum(np.pad(spectrum, margins, mode="wrap"), axis=axis)
        first, last = np.split(sums, [-bins], axis)[0], np.split(sums, [bins], axis)[1]
        spectrum = (last - first) / bins
    return spectrum


def _local_median(spectrum: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Returns the median around each frequency; a spectrum goes on where it began."""
    margins = ((rows // 2, rows // 2), (columns // 2, columns // 2))
    windows = sliding_window_view(np.pad(spectrum, margins, mode="wrap"), (rows, columns))
    if min(rows, columns) > 1:
        windows = windows[..., ::2, ::2]  # in squares, every fourth frequency says as much
    # A real picture's spectrum is symmetric: half of it is enough.
    median = np.median(windows[: len(spectrum) // 2 + 1], axis=(-2, -1))
    mirrored = np.roll(median[1:-1][::-1, ::-1], 1, axis=1)
    return np.concatenate([median, mirrored])


class HaloMeter:
    """Finds haloes: overshoot 4 to 48 px beside the photo's step edges.

    Beside each strong edge, along its normal, the luma of the result is compared with that of
    the photo in the best affine map of its colours, but only on sides where the photo is flat
    from 4 to 48 px. How far the result lies beyond the step there, brighter on its bright side
    or darker on its dark one, is averaged by distance over the edges of all photos.
    """

    def __init__(self) -> None:
        self._sums = np.zeros((2, _FAR_PX - _NEAR_PX + 1))
        self._counts = np.zeros(2)

    def add(self, photo: Picture, result: Picture) -> None:
        """Takes a photo with a longer side of 512 px and its result of the same size."""
        before, after = photo.astype(np.float32), result.astype(np.float32)
        grey = luma(before)[..., 0]
        mapped = luma(best_recolouring(before, after))[..., 0]
        beyond = luma(after)[..., 0] - mapped
        uphill, downhill = _edge_paths(grey)
        tones = [_sampled(grey, path) for path in (uphill, downhill)]
        for number, path in enumerate((uphill, downhill)):
            side, other = tones[number], tones[1 - number][:, :_OTHER_SIDE_PX]
            steps = np.abs(side.mean(axis=1) - other.mean(axis=1))
            # Beyond the picture there are NaNs, which are not flat.
            flat = (side.std(axis=1) < _FLAT_LEVELS) & (other.std(axis=1) < _FLAT_LEVELS)
            chosen = flat & (steps >= _STEP_LEVELS)
            across = (downhill, uphill)[number][chosen, :_OTHER_SIDE_PX]
            tone, other_tone = (_sampled(mapped, x).mean(axis=1) for x in (path[chosen], across))
            step = tone - other_tone
            outward = np.sign(step)[:, None] * _sampled(beyond, path[chosen])
            for bright in (0, 1):
                these = step > 0 if bright else step < 0
                self._sums[bright] += outward[these].sum(axis=0)
                self._counts[bright] += np.count_nonzero(these)

    @property
    def edges(self) -> int:
        """How many places beside edges were looked at."""
        return int(self._counts.sum())

    @property
    def value(self) -> float | None:
        """Overshoot in levels, the mean of dark and bright sides.

        Of each the largest of the means from 4 to 8, 8 to 16 and 16 to 32 px counts, and the mean
        beyond, up to 48 px, is its tone without a halo. None where no photo has a step edge
        with a flat side.
        """
        if not self.edges:
            return None
        cuts = [px - _NEAR_PX for px in _BANDS_PX[1:]]
        profiles = self._sums / np.maximum(1, self._counts)[:, None]
        *bands, away = (band.mean(axis=1) for band in np.split(profiles, cuts, axis=1))
        return float(np.maximum(0, np.max(bands, axis=0) - away).mean())


def _edge_paths(grey: Floats) -> tuple[Floats, Floats]:
    """Finds step edges and the ways off them along their normals, uphill and downhill.

    Each is ``(edges, 45, 2)``: rows and columns 4, 5, ... 48 px away.
    """
    smooth = gaussian_blur(grey, _EDGE_SIGMA_PX)
    slopes = np.stack([np.gradient(smooth, axis=axis) for axis in (0, 1)], axis=-1)
    steepness = np.linalg.norm(slopes, axis=-1)
    # Blurred by sigma, a step of h levels has a slope of h / (sigma sqrt(2 pi)).
    least = _STEP_LEVELS / (_EDGE_SIGMA_PX * np.sqrt(2 * np.pi))
    places = np.argwhere(steepness > least)
    here = steepness[tuple(places.T)]
    normals = slopes[tuple(places.T)] / here[:, None]
    ahead, behind = (_sampled(steepness, places + way * normals) for way in (1, -1))
    crest = (here >= ahead) & (here > behind)
    places, normals = places[crest, None], normals[crest, None]
    distances = np.arange(_NEAR_PX, _FAR_PX + 1, dtype=np.float32)[:, None]
    return places + distances * normals, places - distances * normals


def _sampled(values: Floats, places: Floats) -> Floats:
    """Returns the pixels nearest to ``(..., 2)`` rows and columns; NaN outside the picture."""
    rows, columns = np.moveaxis(np.rint(places).astype(np.int64), -1, 0)
    height, width = values.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    found = values[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return np.where(inside, found, np.float32(np.nan))
