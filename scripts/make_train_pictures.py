"""Makes the pictures of docs/train.md: `python scripts/make_train_pictures.py PAINTING PHOTOS`.

Five short trainings on one painting; a finished one is found again in its folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from make_pictures import Cells, example_photo, save_sheet

import impasto
from impasto.training import make_config, train
from impasto.training.finish import model_path

PHOTOS = ("pagoda", "cat")
SETTINGS: dict[str, Any] = {"steps": 250, "crop_px": 128, "threads": 1}
DIALS: dict[str, list[dict[str, Any]]] = {
    "style_scale": [{"style_scale": 1.0}, {"style_scale": 3.0}, {"style_scale": 9.0}],
    "style_size_px": [{"style_size_px": 192}, {"style_size_px": 384}, {"style_size_px": 768}],
}
DEFAULTS: dict[str, Any] = {"style_scale": 3.0, "style_size_px": 384}


def main() -> None:
    """Trains what is not there yet and writes docs/images/train_<dial>.jpg for each dial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of photos to train on")
    parser.add_argument("--runs", type=Path, default=Path("runs/train_pictures"))
    arguments = parser.parse_args()

    for dial, values in DIALS.items():
        models = [trained(arguments.painting, arguments.photos, arguments.runs, v) for v in values]
        rows: list[Cells] = []
        for name in PHOTOS:
            photo = example_photo(name)
            results = (impasto.load_model(m)(photo, stroke_size="native") for m in models)
            rows.append([photo, *results])
        save_sheet(rows, f"train_{dial}")


def trained(painting: Path, photos: Path, runs: Path, changed: dict[str, Any]) -> Path:
    """Returns the model of a run, after training it where it is not there yet."""
    dials = DEFAULTS | changed
    folder = runs / "_".join(f"{value:g}" for value in dials.values())
    config = make_config(painting, photos=photos, output=folder, **SETTINGS, **dials)
    model = model_path(config)
    return model if model.exists() else train(config)


if __name__ == "__main__":
    main()
