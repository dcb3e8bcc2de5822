"""The text of docs/models.md: what each shipped model was made of, and what it can do.

Everything is read from the catalogue, the model files, the recipes and the photos' manifest.
"""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from impasto.catalog import Style, shipped_styles
from impasto.runtime.model_file import read_model_file

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
SCORES = {
    "balanced_ratio": "balanced ratio",
    "correlation": "correlation",
    "style_ratio": "style ratio",
    "content": "content",
    "lattice_2": "lattice 2",
    "lattice_4": "lattice 4",
}
INTRODUCTION = """\
The models that come with Impasto. `impasto styles --json` prints the same figures, each model file
states its recipe in its metadata, and the recipes lie in `recipes/`.

Scores are means over photos that no model was trained on, at 512 px, with the painting at 384 px.
*Balanced ratio* is the distance of Gram matrices to the painting's as a share of the untouched
photo's, averaged over four layers of VGG-16: lower is closer to the painting. *Correlation* of the
relu3_3 features says how much of the photo is left. *Lattice* is a grid's amplitude in grey levels.
`impasto.evaluation.StyleScores` defines them all.
"""
LIMITS = """\
## Limits

They paint colours, strokes and textures; they do not know what is in a picture, and faces get no
special care. Instance norm looks at the whole picture: the same object may be painted differently
in another photo, and a picture of one flat colour comes out grey. They were trained on photos of
everyday scenes of at most 320 px on the shorter side; drawings, scans of text, medical or satellite
pictures were not among them. They are no judgement of who made a picture: a photo painted in the
manner of an artist is not the artist's work.
"""


def models_page(note: str) -> str:
    """Returns the page; ``note`` says who made it."""
    parts = ["# Models", note, INTRODUCTION.strip()]
    files = dict.fromkeys(style.path for style in shipped_styles())
    for path in files:
        parts += _model(path, [style for style in shipped_styles() if style.path == path])
    parts += [*_photos(), LIMITS.strip()]
    return "\n\n".join(parts) + "\n"


def _model(path: Path, styles: list[Style]) -> Iterator[str]:
    metadata = read_model_file(path)[1]
    recipe, facts = metadata.recipe, _recipe_facts(styles[0].recipe)
    weights = path.with_suffix(".safetensors")
    sizes = ", ".join(f"`{p.name}` {p.stat().st_size / 1e6:.1f} MB" for p in (path, weights))
    yield f"## `{path.stem}`"
    crops = recipe["crop_px"]
    crops_px = " and ".join(map(str, crops if isinstance(crops, list) else [crops]))
    yield "\n".join(
        [
            f"- Recipe: [`recipes/{styles[0].recipe}`](../recipes/{styles[0].recipe})",
            f"- Schedule run: {recipe['steps_done']:,} steps, {recipe['images_seen']:,} crops of "
            f"{crops_px} px, {recipe['precision']}",
            f"- Hardware: {facts['hardware']}",
            f"- Files: {sizes}, weights' sha256 `{metadata.weights_sha256}`",
            f"- Licence of the weights: {metadata.licence}",
        ]
    )
    photos = styles[0].scores["photos"]
    rows = [f"| style | painting | source | {' | '.join(SCORES.values())} |"]
    rows.append("|" + " --- |" * (len(SCORES) + 3))
    for style in styles:
        scores = " | ".join(_number(style.scores[name]) for name in SCORES)
        painting = f"{style.title}, {style.artist}, {style.year}"
        rows.append(f"| {style.name} | {painting} | {style.source} | {scores} |")
    yield "\n".join([*rows, "", f"Scores on {photos:.0f} photos."])


def _recipe_facts(name: str) -> dict[str, str]:
    return dict(tomllib.loads((RECIPES / name).read_text(encoding="utf-8"))["facts"])


def _photos() -> Iterator[str]:
    with (RECIPES / "photos.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    yield "## Training photos"
    counts = Counter((row["part"], row["licence"]) for row in rows)
    lines = ["| used for | photos | licence |", "| --- | --- | --- |"]
    lines += [f"| {part} | {count:,} | {licence} |" for (part, licence), count in counts.items()]
    yield "\n".join(lines)
    yield (
        "[`recipes/photos.csv`](../recipes/photos.csv) names each of them with its origin and the "
        "sha256 of the file that was used. None of them is part of Impasto."
    )
    yield (
        "Most of these photos are licensed for research alone. We license our weights under "
        "Apache-2.0; whether the photos' terms matter for your use is yours to judge."
    )


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 1000 else f"{value:,.0f}"
