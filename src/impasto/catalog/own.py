"""The user's own styles: model files in the data folder, ``styles/<name>.onnx``.

The file's name is the style's; a file of several styles has the name of the first. Only names
are read here, so that a damaged file is found when it is used and never keeps the other styles
from being listed. The plain weights lie beside the model, ``styles/<name>.safetensors``, where
they were there to be taken along.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from impasto.errors import OutputError

MODEL_SUFFIX: Final = ".onnx"
WEIGHTS_SUFFIX: Final = ".safetensors"


def data_folder() -> Path:
    """Returns the user's data folder, which need not exist yet.

    The environment variable ``IMPASTO_HOME`` names it; without one it is where the operating
    system keeps such data.
    """
    if chosen := os.environ.get("IMPASTO_HOME"):
        return Path(chosen)
    import platformdirs  # not at the top: naming a shipped style needs no such folder

    return Path(platformdirs.user_data_dir("impasto", appauthor=False))


def own_models() -> dict[str, Path]:
    """Returns the names and files of the user's own styles, in alphabetical order."""
    try:
        files = sorted((data_folder() / "styles").iterdir())
    except OSError:  # no folder yet, or none that can be read
        return {}
    return {
        path.stem: path
        for path in files
        if path.suffix == MODEL_SUFFIX and not path.name.startswith(".")
    }


def add_model(name: str, model: Path, weights: Path | None = None) -> Path:
    """Copies a model file into the data folder, and its plain weights.

    Both copies are whole before the first of them gets its name.

    Args:
        name: the style's name, which model files are checked to state in a form that file
            names can hold.
        model: the file, already judged.
        weights: its plain weights, if they are there.

    Returns:
        The model's copy.

    Raises:
        OutputError: the folder cannot be written to.
    """
    from impasto.images.writing import atomic_path

    target = data_folder() / "styles" / f"{name}{MODEL_SUFFIX}"
    beside = weights_of(target)
    with atomic_path(target) as temporary:
        shutil.copyfile(model, temporary)
        if weights is None:
            beside.unlink(missing_ok=True)  # those of the model that is replaced
        else:
            with atomic_path(beside) as temporary_weights:
                shutil.copyfile(weights, temporary_weights)
    return target


def remove_model(path: Path) -> None:
    """Deletes a model file of the data folder and its plain weights.

    Raises:
        OutputError: they cannot be deleted.
    """
    try:
        path.unlink()
        weights_of(path).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot remove {error.filename or path}: {error.strerror or error}"
        ) from error


def weights_of(model: Path) -> Path:
    """Returns where the plain weights of a model file lie: beside it."""
    return model.with_suffix(WEIGHTS_SUFFIX)
