"""The paper's tables and figures, measured on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageOps

from impasto.data import degrade
from impasto.errors import OutputError, UsageError
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.superres import resampling_methods
from impasto.images.contact_sheet import Cell, contact_sheet
from impasto.images.folders import iterate_pictures
from impasto.images.writing import write_image
from impasto.losses import STYLE_LAYERS, LossNetwork
from impasto.paper.descent import noise, optimize
from impasto.paper.inputs import FULL, QUICK, Inputs, Rgb, Sizes, gather_inputs, read_photo
from impasto.paper.objective import (
    TV_SCALE,
    Objective,
    feature_objective,
    gram_objective,
    prepared_loss_network,
    tv_reference,
)
from impasto.paper.report import (
    SECTIONS,
    Measurements,
    Picture,
    Progress,
    Section,
    save_section,
    write_report,
)
from impasto.paper.tables import (
    measure_objective,
    measure_speed,
    measure_superres,
    read_original,
    shipped_upscalers,
    spread,
)
from impasto.runtime.cores import check_threads
from impasto.training.pictures import to_pictures, to_tensor

__all__ = ["FULL", "QUICK", "Inputs", "Sizes", "gather_inputs", "reproduce"]

DATA_SETS: Final = (
    "The paper trains on MS COCO 2014 (cocodataset.org), compares objectives on 50 images of its "
    "validation split, and tests super-resolution on Set5, Set14 and BSD100, which are the usual "
    "test sets of the field and part of many public collections."
)

STYLE_PHOTOS = 2
DETAIL_PX = 128


def draw_figures(inputs: Inputs, sizes: Sizes, folder: Path, progress: Progress) -> Section:
    """Draws every figure that is missing, or was drawn at other sizes."""
    kept = Measurements(folder, inputs.painted_from() | inputs.enlarged_from())
    drawn_at = {"px": sizes.figure_px, "iterations": sizes.figure_iterations}
    network = prepared_loss_network()
    figures: dict[str, tuple[str, Callable[[], Sequence[Cell]]]] = {
        "features.jpg": (
            "Feature reconstruction: what each layer holds of a photo (the paper's figure 3)",
            lambda: _features(inputs, sizes, network),
        ),
        "style.jpg": (
            "Style reconstruction: what the Gram matrices of each layer, and of all of them, hold "
            "of the painting (figure 4)",
            lambda: _style(inputs, sizes, network),
        ),
        "results.jpg": (
            f"The baseline after {sizes.figure_iterations} iterations beside the networks "
            "(figure 6)",
            lambda: _results(inputs, sizes, network),
        ),
        "superres_x4.jpg": ("Details enlarged by 4 (figure 8)", lambda: _details(inputs, 4)),
        "superres_x8.jpg": ("Details enlarged by 8 (figure 9)", lambda: _details(inputs, 8)),
    }
    for name, (_, cells) in figures.items():
        if not (kept.holds(name, drawn_at) and (folder / name).exists()):
            progress(f"figures: {name}")
            write_image(folder / name, contact_sheet(cells()))
            kept.keep(name, drawn_at)
    text = "Inversions begin with noise and are found by L-BFGS."
    drawn = [Picture(name, caption) for name, (caption, _) in figures.items()]
    return Section("figures", "Figures", [text], [], drawn)


def _optimized(objective: Objective, height: int, width: int, sizes: Sizes) -> Rgb:
    result = optimize(objective, noise(height, width), iterations=sizes.figure_iterations)
    picture: Rgb = to_pictures(result.image)[0]
    return picture


def _features(inputs: Inputs, sizes: Sizes, network: LossNetwork) -> list[Cell]:
    photo = read_photo(inputs.photos[0], sizes.figure_px)
    height, width = photo.shape[:2]
    cells = [Cell(photo, "the photo")]
    for layer in STYLE_LAYERS:
        objective = feature_objective(network, to_tensor(photo), layer)
        cells.append(Cell(_optimized(objective, height, width, sizes), layer))
    return cells


def _style(inputs: Inputs, sizes: Sizes, network: LossNetwork) -> list[Cell]:
    grams = inputs.grams(network)
    side = sizes.figure_px
    cells = []
    painting = inputs.painting.photo
    # Style targets have no variation of their own: a photo's is of the same order.
    like = painting.rgb if painting else read_photo(inputs.photos[0], side)
    fitted = np.asarray(ImageOps.fit(Image.fromarray(like), (side, side)))
    tv_weight = TV_SCALE / tv_reference(to_tensor(fitted))
    if painting:
        cells.append(Cell(fitted, "the painting"))
    parts = {layer: {layer: gram} for layer, gram in grams.items()} | {"all layers": grams}
    for name, part in parts.items():
        objective = gram_objective(network, part, tv_weight=tv_weight)
        cells.append(Cell(_optimized(objective, side, side, sizes), name))
    return cells


def _results(inputs: Inputs, sizes: Sizes, network: LossNetwork) -> list[Cell]:
    cells = []
    for path in spread(inputs.photos, STYLE_PHOTOS):
        photo = read_photo(path, sizes.figure_px)
        side = min(photo.shape[:2])
        photo = np.ascontiguousarray(photo[:side, :side])
        objective = inputs.objective(network, photo)
        cells.append(Cell(photo, path.stem))
        cells.append(Cell(_optimized(objective, side, side, sizes), "the baseline"))
        cells += [Cell(model.load().paint(photo), model.name) for model in inputs.models]
    height, width = min(cell.rgb.shape[:2] for cell in cells)
    return [Cell(cell.rgb[:height, :width], cell.name) for cell in cells]


def _details(inputs: Inputs, scale: int) -> list[Cell]:
    """Cuts the middle of one picture per test set, in every method's version."""
    methods = {"bicubic": resampling_methods(scale)["bicubic"], **shipped_upscalers(scale)}
    cells = []
    for name, folder in inputs.test_sets.items():
        path = min(iterate_pictures(folder))
        about = f"{name}, {path.stem}"
        original = read_original(path, scale)[: 8 * DETAIL_PX, : 8 * DETAIL_PX]
        low_res = degrade(original, scale, "bicubic")
        for method, upscale in methods.items():
            cells.append(Cell(_middle(upscale(low_res)), method, about))
        cells.append(Cell(_middle(original), "original", about))
    return cells


def _middle(rgb: Rgb) -> Rgb:
    """Cuts the detail from the middle; what a smaller picture lacks is black."""
    height, width = rgb.shape[:2]
    left, top = (width - DETAIL_PX) // 2, (height - DETAIL_PX) // 2
    return np.asarray(Image.fromarray(rgb).crop((left, top, left + DETAIL_PX, top + DETAIL_PX)))


_MEASURES: Final[dict[str, Callable[[Inputs, Sizes, Path, Progress], Section]]] = {
    "speed": measure_speed,
    "objective": measure_objective,
    "superres": measure_superres,
    "figures": draw_figures,
}


def reproduce(
    what: str,
    folder: Path,
    inputs: Inputs,
    *,
    sizes: Sizes = FULL,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Measures one section of the report, or all, and writes the report of those there are.

    What lies in the folder already is not measured again.

    Args:
        what: ``"speed"``, ``"objective"``, ``"superres"``, ``"figures"`` or ``"all"``.
        folder: where the report goes.
        inputs: what it is made of.
        sizes: how much is measured.
        threads: CPU threads; None takes every core.
        progress: called with a line on each measurement.

    Returns:
        ``<folder>/report.md``.

    Raises:
        UsageError: there is no such section, or no such number of threads.
        ResumeError: the folder holds a report of other inputs.
        OutputError: the folder cannot be written.
    """
    if what not in (*SECTIONS, "all"):
        raise UsageError(f"cannot reproduce {what!r}; allowed are {', '.join(SECTIONS)} and all")
    notes = [*inputs.notes, DATA_SETS, *([sizes.cut] if sizes.cut else [])]
    check_threads(threads)
    if threads is not None:
        torch.set_num_threads(threads)
    machine = describe_machine(torch.get_num_threads(), ("torch", "onnxruntime"))
    names = SECTIONS if what == "all" else (what,)
    for name in names:
        _make_folder(folder / name)
    for name in names:
        section = _MEASURES[name](inputs, sizes, folder / name, progress)
        save_section(folder, replace(section, machine=machine, notes=notes))
        report = write_report(folder)
    return report


def _make_folder(folder: Path) -> None:
    """Makes a folder, and finds out before hours of work that it can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {folder}: no permission to write in it")
