"""What a report is made of: photos, painting, test sets and models, and how much of everything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impasto.catalog import list_upscalers, shipped_styles
from impasto.data.examples import example_photos_folder
from impasto.errors import DataError, ImageError, ModelError, UsageError
from impasto.evaluation.pixels import resize_longer_side
from impasto.images.folders import iterate_pictures
from impasto.images.reading import read_image
from impasto.losses import LossNetwork, load_style_targets
from impasto.losses.layers import SMALLEST_SIDE_PX
from impasto.losses.style_targets import SUFFIX, Grams
from impasto.paper.objective import (
    Objective,
    TrainedWeights,
    trained_objective,
    weights_of_model,
)
from impasto.runtime.loading import load_model
from impasto.runtime.model_file import read_model_file
from impasto.training.config import is_style_targets
from impasto.training.pictures import Painting, read_painting, to_tensor

if TYPE_CHECKING:
    from impasto.runtime.stylizer import StyleModel

Rgb = NDArray[np.uint8]

PAPER_MODEL = "paper_great_wave"
"""The shipped style with the paper's own network."""


class ObjectiveSize(NamedTuple):
    """How many photos, and iterations on each, at one size of the objective's curves."""

    longer_side_px: int
    photos: int
    iterations: int


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured.

    Attributes:
        speed_px: longer sides that are timed.
        speed_iterations: iterations of the baseline that are timed at each.
        objective: the objective's curves.
        superres_pictures: pictures of each test set; None is all of them.
        superres_px: longer side that the pictures are made smaller to; None leaves them.
        figure_px: longer side of the figures' pictures.
        figure_iterations: of each inversion and of the baseline beside the networks.
        cut: what is left out, in a sentence; ``""`` for nothing.
    """

    speed_px: tuple[int, ...] = (256, 512, 1024)
    speed_iterations: int = 12
    objective: tuple[ObjectiveSize, ...] = (
        ObjectiveSize(256, 15, 300),
        ObjectiveSize(512, 4, 200),
        ObjectiveSize(1024, 1, 150),
    )
    superres_pictures: int | None = None
    superres_px: int | None = None
    figure_px: int = 256
    figure_iterations: int = 300
    cut: str = ""


FULL = Sizes()

QUICK = Sizes(
    speed_px=(256, 512),
    speed_iterations=6,
    objective=(ObjectiveSize(256, 2, 100),),
    superres_pictures=5,
    superres_px=256,
    figure_px=192,
    figure_iterations=40,
    cut="A quick report: no 1024 px, objectives at 256 px on 2 photos for 100 iterations, 5 "
    "pictures of each test set at up to 256 px, inversions of 40 iterations at 192 px.",
)
"""About a quarter of an hour on two cores."""


@dataclass(frozen=True)
class StyleModelFile:
    """A style that the report looks at.

    Attributes:
        name: what the report calls it: the style, or the file where several have one style.
        style: its name in the file.
        path: its model file, with its plain weights beside it.
        weights: of the objective that it was trained with.
        painting_sha256: hash of the painting it was trained on; ``""`` where it is not stated.
    """

    name: str
    style: str
    path: Path
    weights: TrainedWeights
    painting_sha256: str = ""

    @classmethod
    def read(cls, path: Path, style: str, name: str) -> StyleModelFile:
        """Reads what the model file states about a style."""
        weights = weights_of_model(path, style)
        stated = {entry.name: entry.style_image_sha256 for entry in read_model_file(path)[1].styles}
        return cls(name, style, path, weights, stated[style])

    def load(self, threads: int | None = None) -> StyleModel:
        """Loads what paints this style, which need not be the first of its file."""
        device = "auto" if threads is None else "cpu"
        model = load_model(self.path, threads=threads, device=device)
        return model.with_blend({self.style: 1.0})


@dataclass(frozen=True)
class Inputs:
    """The data of a report.

    Attributes:
        photos: content images.
        painting: the style image, or its style targets.
        models: styles of that painting; the first one's objective is the baseline's.
        test_sets: folders of high-resolution pictures by name.
        notes: sentences on which data were used.
    """

    photos: tuple[Path, ...]
    painting: Painting
    models: tuple[StyleModelFile, ...]
    test_sets: dict[str, Path]
    notes: tuple[str, ...]

    def grams(self, loss_network: LossNetwork) -> Grams:
        """Returns the painting's Gram matrices ``(1, C, C)`` by layer, as the first model's."""
        weights = self.models[0].weights
        return self.painting.grams(loss_network, tuple(weights.style), weights.style_size_px)

    def objective(self, loss_network: LossNetwork, photo: Rgb) -> Objective:
        """Makes the first model's objective for a photo, ``(H, W, 3)`` uint8."""
        grams = self.grams(loss_network)
        return trained_objective(loss_network, to_tensor(photo), [grams], self.models[0].weights)

    def painted_from(self) -> dict[str, Any]:
        """Returns what measurements of the styles depend on, JSON-ready."""
        return {
            "photos": _listed(self.photos),
            "painting": self.painting.sha256,
            "models": {model.name: _sha256(model.path) for model in self.models},
        }

    def enlarged_from(self) -> dict[str, Any]:
        """Returns what measurements of the upscalers depend on, JSON-ready."""
        return {
            "test sets": {
                name: _listed(sorted(iterate_pictures(path)))
                for name, path in self.test_sets.items()
            },
            "upscalers": {
                f"{item.name} x{item.scale}": _sha256(item.path) for item in list_upscalers()
            },
        }


def read_photo(path: Path, longer_side_px: int) -> Rgb:
    """Reads a photo, ``(H, W, 3)`` uint8, scaled to exactly this longer side.

    Raises:
        ImageError: it cannot be read, or is too narrow for the loss network.
    """
    rgb = resize_longer_side(read_image(path).rgb, longer_side_px)
    height, width = rgb.shape[:2]
    if min(height, width) < SMALLEST_SIDE_PX:
        raise ImageError(
            f"{path} is {width}x{height} px at that size; both sides must be at least "
            f"{SMALLEST_SIDE_PX} px"
        )
    return rgb


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _listed(pictures: Iterable[Path]) -> list[list[Any]]:
    """Returns names and sizes in bytes, which tell one set of pictures from another."""
    return [[path.name, path.stat().st_size if path.exists() else 0] for path in pictures]


def gather_inputs(
    photos: Path | None, painting: Path | None, sr_data: Path | None, models: Sequence[Path] = ()
) -> Inputs:
    """Takes what is given, and for the rest what Impasto ships.

    Args:
        photos: a folder of content images; None is the example photos.
        painting: a style image, or a file of style targets; None is the targets beside the first
            model that has some.
        sr_data: a folder of pictures, or of such folders; None is the example photos.
        models: model files; an empty list is the shipped styles of the same painting.

    Raises:
        DataError: a folder is missing or holds no pictures.
        ModelError: there is no model to look at, or none of that painting.
    """
    found = tuple(sorted(iterate_pictures(photos or example_photos_folder())))
    if not found:
        raise DataError(f"no pictures in {photos}: give another --photos")
    picture = None
    if painting is not None and not is_style_targets(painting):
        picture = read_painting(painting)
    chosen = _named(models, picture.sha256 if picture else "") or _shipped_models(painting)
    file = painting or _targets_beside(chosen)
    read = picture or _among_targets(file, chosen[0])
    for model in chosen:
        if model.painting_sha256 not in (read.sha256, ""):
            raise _other_painting(file, model)
    if read.targets is not None:  # the first model is one that was trained at one of its sizes
        sizes = read.targets.grams
        chosen.sort(key=lambda model: model.weights.style_size_px not in sizes)
    test_sets = _test_sets(sr_data) if sr_data else {"examples": example_photos_folder()}
    content = photos.resolve().name if photos else "the example photos (--photos names others)"
    style = painting.name if painting else f"the style targets of {chosen[0].name}"
    sets = ", ".join(test_sets) if sr_data else "the example photos (--sr-data names others)"
    notes = f"Content images: {content}.", f"Style image: {style}.", f"Super-resolution: {sets}."
    return Inputs(found, read, tuple(chosen), test_sets, notes)


def _test_sets(folder: Path) -> dict[str, Path]:
    """Returns the folders of pictures in a folder by name, or itself if it has pictures."""
    if not folder.is_dir():
        raise DataError(f"--sr-data takes a folder, and {folder} is none")
    pictures = list(iterate_pictures(folder))
    if not pictures:
        raise DataError(f"no pictures in {folder}: give another --sr-data")
    if any(path.parent == folder for path in pictures):
        return {folder.resolve().name: folder}
    names = sorted({path.relative_to(folder).parts[0] for path in pictures})
    return {name: folder / name for name in names}


def _shipped_models(painting: Path | None) -> list[StyleModelFile]:
    """Returns the paper's model, if it is shipped, and the default style or a painting's."""
    styles = {style.name: style for style in shipped_styles()}
    names = [PAPER_MODEL, PAPER_MODEL.removeprefix("paper_")]
    if painting is not None and painting.stem in styles:
        names = [f"paper_{painting.stem}", painting.stem]
    names = [name for name in names if name in styles]
    if not names:
        raise ModelError("no shipped style is one of that painting: give --model FILE")
    return [StyleModelFile.read(styles[name].path, name, name) for name in names]


def _named(paths: Sequence[Path], painting_sha256: str) -> list[StyleModelFile]:
    """Takes the painting's style of each model file, else its first, under different names."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("--model names one file twice: give each once")
    styles = []
    for path in paths:
        held = (metadata := read_model_file(path)[1]).styles
        if not held:
            raise ModelError(f"{path} holds no style, but a model of the kind {metadata.kind!r}")
        hashes = [style.style_image_sha256 for style in held]
        known = painting_sha256 and painting_sha256 in hashes
        styles.append(held[hashes.index(painting_sha256) if known else 0].name)
    names = styles if len(set(styles)) == len(styles) else list(map(str, paths))
    return [StyleModelFile.read(*given) for given in zip(paths, styles, names, strict=True)]


def _targets_beside(models: Sequence[StyleModelFile]) -> Path:
    """Returns the style targets that lie beside the first model that has some."""
    for model in models:
        if (file := model.path.with_suffix(SUFFIX)).is_file():
            return file
    raise ModelError(f"{models[0].path} has no style targets beside it: give --painting")


def _among_targets(path: Path, model: StyleModelFile) -> Painting:
    """Finds a model's painting in a file of style targets, where it may have another name."""
    for name, target in load_style_targets(path).items():
        if target.sha256 == model.painting_sha256 or (
            not model.painting_sha256 and name == model.style
        ):
            return Painting(path / name, target.sha256, targets=target)
    raise _other_painting(path, model)


def _other_painting(painting: Path, model: StyleModelFile) -> ModelError:
    return ModelError(
        f"{painting} is not the painting that {model.name} was trained on: give that one, or a "
        "--model of this one"
    )
