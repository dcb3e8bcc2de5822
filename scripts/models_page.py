"""The text of docs/models.md: what each shipped model was made of, and what it can do.

Everything is read from the catalogue, the model files, the recipes and the photos' manifest.
"""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from impasto.catalog import Style, Upscaler, list_upscalers, shipped_styles
from impasto.runtime.model_file import read_model_file

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
SCORES = {
    "painted": "painted",
    "kept": "kept",
    "repainted": "repainted",
    "follow": "follow",
    "lattice_2": "lattice 2",
    "lattice_4": "lattice 4",
    "ghost": "ghost",
    "halo": "halo",
    "grid": "grid",
}
PAPER_SCORES = {
    "objective_content": "content",
    "objective_style": "style",
    "objective_variation": "variation",
    "objective_of_photo": "the photo's own",
    "iterations_from_noise": "from noise",
    "iterations_from_photo": "from the photo",
}
INTRODUCTION = """\
The models that come with Impasto. `impasto styles --json` prints the same figures, each model file
states its recipe in its metadata, and the recipes lie in `recipes/`.

Scores are means over photos that no model was trained on, of what `impasto stylize` writes by
default. *Painted* is the distance of Gram matrices to the painting's as a share of the untouched
photo's: lower is closer to the painting. *Kept* says how much of the photo is left, *repainted*
how much of the coarse picture is new besides colours: 0 for any filter. *Follow* says whether
strokes run along the photo's edges, *lattice* and *grid* show regular patterns, *ghost* what lies
at the same place in all results, and *halo* rims beside edges, in grey levels.
[How a style is measured](measures.md) defines them.

For the paper's network also in the paper's terms, by `impasto evaluate style --baseline` at 256
px: the terms of the objective that it was trained with, the untouched photo's objective, which is
style alone, and the iteration of L-BFGS, from noise and from the photo, that comes as low as the
model.
"""
UPSCALERS = """\
PSNR and SSIM are those of the Y channel, in dB and without a border as wide as the scale; distances
are those of VGG-16's features from the original's, at relu2_2 and relu3_3. Less distance looks more
alike; more PSNR is nearer pixel by pixel. Pictures were made small by plain bicubic shrinking.
"""
LIMITS = """\
## Limits

Styles paint colours, strokes and textures; they do not know what is in a picture, and faces get no
special care. Instance norm looks at the whole picture: the same object may be painted differently
in another photo, and a picture of one flat colour comes out grey. They were trained on photos of
everyday scenes of at most 320 px on the shorter side; drawings, scans of text, medical or satellite
pictures were not among them. They are no judgement of who made a picture: a photo painted in the
manner of an artist is not the artist's work.

Upscaling models draw edges where the small picture says that there are some, and leave the rest
smooth: they bring back no faces, no letters and no fine texture that a few pixels do not hold.
Their details are likely ones, not evidence. They know bicubic shrinking, some blur, and `photo`
noise and JPEG too; a picture that was spoiled in another way comes out large and spoiled.
"""


def models_page(note: str) -> str:
    """Returns the page; ``note`` says who made it."""
    parts = ["# Models", note, INTRODUCTION.strip()]
    files = dict.fromkeys(style.path for style in shipped_styles())
    for path in files:
        parts += _model(path, [style for style in shipped_styles() if style.path == path])
    if upscalers := list_upscalers():
        parts += ["# Models that enlarge", UPSCALERS.strip()]
    for upscaler in upscalers:
        parts += _upscaler(upscaler)
    parts += [*_photos(), LIMITS.strip()]
    return "\n\n".join(parts) + "\n"


def _model(path: Path, styles: list[Style]) -> Iterator[str]:
    recipe = read_model_file(path)[1].recipe
    heights, ratio = recipe["crop_px"], recipe.get("crop_ratio", 1)
    sizes = heights if isinstance(heights, list) else [heights]
    crops_px = " and ".join(f"{round(px * ratio)}x{px}" for px in sizes)
    yield f"## `{path.stem}`"
    yield _facts(path, styles[0].recipe, f"crops of {crops_px} px")
    paintings = [f"{style.title}, {style.artist}, {style.year}" for style in styles]
    sources = [style.source for style in styles]
    yield _table({"painting": paintings, "source": sources}, SCORES, styles)
    yield f"Scores on {styles[0].scores['photos']:.0f} photos."
    if "objective_photos" in styles[0].scores:
        yield _table({}, PAPER_SCORES, styles)
        yield f"On {styles[0].scores['objective_photos']:.0f} photos."


def _table(facts: dict[str, list[str]], scores: dict[str, str], styles: list[Style]) -> str:
    """Lays out a row per style: its name, its facts by head, and its scores."""
    columns = ["style", *facts, *scores.values()]
    rows = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for number, style in enumerate(styles):
        cells = [style.name, *(texts[number] for texts in facts.values())]
        cells += [_number(style.scores[name]) for name in scores]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _upscaler(item: Upscaler) -> Iterator[str]:
    recipe = read_model_file(item.path)[1].recipe
    yield f"## `{item.name}` x{item.scale}"
    yield f"{item.title}."
    samples = f"patches of {recipe['patch_px']} px, degradation {recipe['degradation']}"
    yield _facts(item.path, item.recipe, samples)
    rows = [f"| {' | '.join(item.scores)} |", "|" + " --- |" * len(item.scores)]
    yield "\n".join([*rows, f"| {' | '.join(map(_number, item.scores.values()))} |"])


def _facts(path: Path, recipe_name: str, samples: str) -> str:
    """Lists what a model file was made by."""
    metadata, facts = read_model_file(path)[1], _recipe_facts(recipe_name)
    recipe, weights = metadata.recipe, path.with_suffix(".safetensors")
    sizes = ", ".join(f"`{p.name}` {p.stat().st_size / 1e6:.1f} MB" for p in (path, weights))
    return "\n".join(
        [
            f"- Recipe: [`recipes/{recipe_name}`](../recipes/{recipe_name})",
            f"- Schedule run: {recipe['steps_done']:,} steps, {recipe['images_seen']:,} {samples}, "
            f"{recipe['precision']}",
            f"- Hardware: {facts['hardware']}",
            f"- Files: {sizes}, weights' sha256 `{metadata.weights_sha256}`",
            f"- Licence of the weights: {metadata.licence}",
        ]
    )


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
    if value < 10:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 1000 else f"{value:,.0f}"
