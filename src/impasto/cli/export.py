"""``impasto export``: the model file of a training run."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from impasto.cli.options import needs_extra, takes_options
from impasto.errors import UsageError


@takes_options
def command(
    run_folder: Path,
    *,
    output: Path | None = None,
    scores: Path | None = None,
    float16: bool = False,
    mix: str | None = None,
    targets: bool = False,
) -> None:
    """Make a model file from the newest checkpoint of a training run.

    The plain weights go beside it as .safetensors.

    Options:
        run_folder (RUN_FOLDER): A folder that `impasto train` wrote.
        output (FILE.onnx, -o, --output): The model file. [default: RUN_FOLDER/PAINTING.onnx]
        scores (FILE.json): Scores to keep in the model, as `impasto evaluate style --json` prints
            them.
        float16: Store the weights in 16 bits: files half as large, as fast, and pictures that
            differ by less than a level on average.
        mix (FILE.onnx:SHARE): Mix in this share of the weights of another model that enlarges, from
            0 to 1: of a faithful one, for sharpness without a grid.
        targets: Also write the paintings' Gram matrices, FILE.targets.safetensors, which `impasto
            train` takes in place of the paintings.
    """
    if output is not None and output.suffix.lower() != ".onnx":
        raise UsageError(f"-o is {output}; a model file ends in .onnx")
    share = _read_share(mix) if mix else None
    with needs_extra("train", "impasto export"):
        from impasto.training import export_run, export_style_targets
    known = _read_scores(scores) if scores else None
    model = export_run(run_folder, output, scores=known, float16=float16, mix=share)
    typer.echo(model)
    if targets:
        typer.echo(export_style_targets(run_folder, model))


def _read_scores(path: Path) -> dict[str, object]:
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--scores {path} cannot be read as JSON: {error}") from error
    if not isinstance(scores, dict):
        raise UsageError(f"--scores {path} holds no JSON object")
    return scores


def _read_share(mix: str) -> tuple[Path, float]:
    model, _, number = mix.rpartition(":")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if not model or not 0 < share < 1:
        raise UsageError(f"--mix is {mix}; it takes FILE.onnx:SHARE, a share between 0 and 1")
    return Path(model), share
