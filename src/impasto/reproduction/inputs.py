"""What a report is made of: photos, painting, test sets and the models that are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impasto.catalog import Style, list_upscalers, shipped_styles
from impasto.data.examples import example_photos_folder
from impasto.errors import DataError, ModelError
from impasto.images.folders import iterate_pictures
from impasto.losses import LossNetwork, load_style_targets
from impasto.losses.style_targets import SUFFIX, Grams
from impasto.optimization import style_grams
from impasto.optimization.recipe_weights import TrainedWeights, weights_of_model
from impasto.runtime.model_file import read_model_file
from impasto.training.pictures import read_painting, to_tensor

PAPER_MODEL = "paper_great_wave"
"""The shipped style with the paper's own network."""


@dataclass(frozen=True)
class StyleModelFile:
    """A style that the report looks at.

    Attributes:
        name: of the style.
        path: its model file, with its plain weights beside it.
        weights: of the objective that it was trained with.
    """

    name: str
    path: Path
    weights: TrainedWeights


@dataclass(frozen=True)
class Inputs:
    """The data of a report.

    Attributes:
        photos: content images.
        painting: the style image, or a file of style targets.
        models: styles of that painting; the first one's objective is the baseline's.
        test_sets: folders of high-resolution pictures by name.
        notes: sentences on which data were used.
    """

    photos: tuple[Path, ...]
    painting: Path
    models: tuple[StyleModelFile, ...]
    test_sets: dict[str, Path]
    notes: tuple[str, ...]

    def grams(self, loss_network: LossNetwork, longer_side_px: int) -> Grams:
        """Returns the painting's Gram matrices ``(1, C, C)`` by layer, at a size."""
        name = self.models[0].name
        path = self.painting / name if self.painting.suffix == ".safetensors" else self.painting
        painting = read_painting(path, longer_side_px)
        if painting.grams is not None:
            return painting.grams
        return style_grams(loss_network, to_tensor(painting.rgb), self.models[0].weights.style)

    @property
    def painting_rgb(self) -> NDArray[np.uint8] | None:
        """The painting ``(H, W, 3)`` uint8 at the style size, if it is a picture."""
        if self.painting.suffix == ".safetensors":
            return None
        return read_painting(self.painting, self.models[0].weights.style_size_px).rgb

    def fingerprint(self) -> dict[str, Any]:
        """Says in JSON what measurements depend on."""
        return {
            "photos": [path.name for path in self.photos],
            "painting": self.painting.name,
            "models": {
                model.name: hashlib.sha256(model.path.read_bytes()).hexdigest()
                for model in self.models
            },
            "test sets": {name: str(path.name) for name, path in self.test_sets.items()},
            "upscalers": {
                f"{item.name} x{item.scale}": hashlib.sha256(item.path.read_bytes()).hexdigest()
                for item in list_upscalers()
            },
        }


def gather_inputs(
    photos: Path | None, painting: Path | None, sr_data: Path | None, models: Sequence[Path] = ()
) -> Inputs:
    """Takes what is given, and for the rest what Impasto ships.

    Args:
        photos: a folder of content images; the example photos when None.
        painting: a style image, or a file of style targets; the shipped targets of the first
            model when None.
        sr_data: a folder of pictures, or of such folders; the example photos when None.
        models: model files; the shipped styles of the same painting when empty.

    Raises:
        DataError: a folder is missing or holds no pictures.
        ModelError: there is no model to look at, or none of that painting.
    """
    notes = []
    example_photos = example_photos_folder()
    if photos is None:
        notes.append("Content images: the example photos (--photos names others).")
    else:
        notes.append(f"Content images: {photos.name}.")
    found = tuple(sorted(iterate_pictures(photos or example_photos)))
    if not found:
        raise DataError(f"no pictures in {photos}: give another --photos")
    chosen = [_model_file(path) for path in models] or _shipped_models(painting)
    if painting is None:
        painting = chosen[0].path.with_suffix(SUFFIX)
        if not painting.is_file():
            raise ModelError(f"{chosen[0].path} has no style targets beside it: give --painting")
        notes.append(f"Style image: the shipped style targets of {chosen[0].name}.")
    else:
        _check_painting(painting, chosen)
        notes.append(f"Style image: {painting.name}.")
    if sr_data is None:
        notes.append("Super-resolution: the example photos (--sr-data names others).")
        test_sets = {"examples": example_photos}
    else:
        folders = sorted(path for path in sr_data.iterdir() if path.is_dir())
        test_sets = {folder.name: folder for folder in folders} or {sr_data.name: sr_data}
        notes.append(f"Super-resolution: {', '.join(test_sets)}.")
    return Inputs(found, painting, tuple(chosen), test_sets, tuple(notes))


def _shipped_models(painting: Path | None) -> list[StyleModelFile]:
    """Returns the paper's model, if it is shipped, and the default style or that of a painting."""
    styles = {style.name: style for style in shipped_styles()}
    names = [PAPER_MODEL, PAPER_MODEL.removeprefix("paper_")]
    if painting is not None and painting.stem in styles:
        names = [f"paper_{painting.stem}", painting.stem]
    chosen = [_style_file(styles[name]) for name in names if name in styles]
    if not chosen:
        raise ModelError("no shipped style is one of that painting: give --model FILE")
    return chosen


def _style_file(style: Style) -> StyleModelFile:
    return StyleModelFile(style.name, style.path, weights_of_model(style.path, style.name))


def _model_file(path: Path) -> StyleModelFile:
    name = read_model_file(path)[1].styles[0].name
    return StyleModelFile(name, path, weights_of_model(path))


def _check_painting(painting: Path, models: Sequence[StyleModelFile]) -> None:
    """Refuses a painting that is not the models'.

    Raises:
        ModelError: the message names the model.
        DataError: the painting cannot be read.
    """
    for model in models:
        metadata = read_model_file(model.path)[1]
        (stated,) = [s.style_image_sha256 for s in metadata.styles if s.name == model.name]
        if painting.suffix == ".safetensors":
            target = load_style_targets(painting).get(model.name)
            found = target.sha256 if target else ""
        else:
            found = read_painting(painting, 64).sha256
        if found != stated:
            raise ModelError(
                f"{painting} is not the painting that {model.name} was trained on: give that one, "
                "or a --model of this one"
            )
