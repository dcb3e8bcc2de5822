"""``impasto evaluate``: how good models are, in numbers."""

from __future__ import annotations

import csv
import inspect
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from impasto.cli.evaluate_style import style
from impasto.cli.evaluate_video import video
from impasto.cli.measuring import MEAN, exit_if_failed, growing_table, measure_all, tell
from impasto.cli.options import JsonTable, complete_upscaler, needs_extra, takes_options
from impasto.cli.plan import exists, find_pictures, is_folder
from impasto.dials import Choice, Writing, dials_of
from impasto.errors import UsageError
from impasto.images.folders import real_path

if TYPE_CHECKING:
    from impasto.evaluation import SuperresScores
    from impasto.evaluation.superres import Upscaler

    ByMethod: TypeAlias = Mapping[str, SuperresScores]

SCALES: Final = (4, 8)
DEGRADATIONS: Final = ("paper", "bicubic", "photo")
# The loss network holds three maps of 64 channels at once: 4 million pixels take 3 GB.
MAX_PIXELS: Final = 4_000_000
_HEADS: Final = ("image", "method", "PSNR", "SSIM", "relu2_2", "relu3_3")
_WIDTHS: Final = (6, 6, 9, 9)
_COLUMNS: Final = ("psnr", "ssim", "feature_relu2_2", "feature_relu3_3")


def command(context: typer.Context) -> None:
    """Measure the quality of models."""
    if context.invoked_subcommand is None:
        for name, function in SUBCOMMANDS.items():
            about = (inspect.getdoc(function) or "").partition("\n")[0]
            typer.echo(f"impasto evaluate {name}  {about}")


@takes_options
def superres(
    *,
    data: Path,
    scale: int = 4,
    model: Annotated[list[str] | None, complete_upscaler] = None,
    degradation: str = "bicubic",
    jpeg: int | None = None,
    match_histogram: bool = False,
    csv_file: Path | None = None,
    as_json: JsonTable = False,
    save: Path | None = None,
    max_pixels: int | None = None,
) -> None:
    """Measure super-resolution: PSNR, SSIM and feature distance.

    Pictures are made small and enlarged again by nearest, bicubic and Lanczos resampling and by
    each model. PSNR and SSIM, by torchmetrics, are those of the Y channel without a border as
    wide as the scale; SSIM has the usual 11x11 Gaussian window. Feature distances are mean
    squared differences of the loss network's maps at relu2_2 and relu3_3.

    Options:
        data (FOLDER): A folder of high-resolution pictures.
        scale (4|8): Enlarge by this.
        model (NAME|FILE, --model, -m): A model to measure: photo, sharp, faithful or a file; can be
            given again.
        degradation (paper|bicubic|photo): How pictures are made small: blurred then bicubic, plain
            bicubic, or as cameras and websites do.
        jpeg (1..100): Then save them as JPEG of this quality.
        match_histogram: Match models' results to the small picture's histogram, as the paper does.
        csv_file (FILE, --csv): Also write the scores to a .csv file.
        save (FOLDER): Write the results there, as PICTURE.METHOD.png.
        max_pixels (N): Refuse pictures with more pixels. [default: 4 million]
    """
    dials = dials_of(Writing)
    Choice("", choices=SCALES).check("--scale", scale)
    dials["quality"].check("--jpeg", jpeg)
    dials["max_pixels"].check("--max-pixels", max_pixels)
    Choice("", choices=DEGRADATIONS).check("--degradation", degradation)
    if match_histogram and not model:
        raise UsageError("--match-histogram is for models: give --model with it")
    _check_outputs(data, csv_file, save)
    pictures = find_pictures("data", data, save)
    with needs_extra("train", "impasto evaluate superres"):
        from impasto.evaluation import mean_scores, resampling_methods
    methods = resampling_methods(scale)
    _add_models(methods, model or [], scale, match_histogram=match_histogram)
    setup = {
        "data": str(data),
        "scale": scale,
        "degradation": degradation,
        "jpeg": jpeg,
        "match_histogram": match_histogram,
    }
    rows = _table(setup, pictures, methods)
    measure = _meter(setup, methods, save, MAX_PIXELS if max_pixels is None else max_pixels)
    scores, failed = measure_all(pictures, measure, None if as_json else rows)
    means = {
        name: mean_scores([one[name] for one in scores.values()]) for name in methods if scores
    }
    tell(_json(setup, scores, means) if as_json else rows(MEAN, means), scores, failed)
    if scores and csv_file is not None:
        _write_csv(csv_file, scores, means)
    exit_if_failed(scores, failed)


SUBCOMMANDS = {"superres": superres, "style": style, "video": video}


def _check_outputs(data: Path, csv_file: Path | None, save: Path | None) -> None:
    """Refuses, before any work, outputs that cannot be written or would replace pictures."""
    if csv_file is not None and csv_file.suffix.lower() != ".csv":
        raise UsageError(f"--csv is {csv_file}; its name must end in .csv")
    if csv_file is not None and is_folder(csv_file):
        raise UsageError(f"--csv takes a file, and {csv_file} is a folder")
    if save is None:
        return
    if exists(save) and not is_folder(save):
        raise UsageError(f"--save takes a folder, and {save} is a file")
    if real_path(data).is_relative_to(real_path(save)):
        raise UsageError(f"--save {save} holds the pictures of --data: choose another folder")


def _add_models(
    methods: dict[str, Upscaler], models: list[str], scale: int, *, match_histogram: bool
) -> None:
    """Loads models; each goes by its file's name, or by its whole path where that is taken."""
    from impasto.runtime.loading import load_upscaler

    for given in models:
        upscaler = load_upscaler(given, scale=scale)
        short = Path(given).name.removesuffix(".onnx")
        label = given if short in methods else short
        if label in methods:
            raise UsageError(f"--model {given} is given twice")
        methods[label] = partial(upscaler.upscale, scale=scale, match_histogram=match_histogram)


def _meter(
    setup: Mapping[str, Any], methods: Mapping[str, Upscaler], save: Path | None, max_pixels: int
) -> Callable[..., ByMethod]:
    """Makes what scores every method on one picture, by its name and its path."""
    import numpy as np

    from impasto.data.degradation import degrade, jpeg
    from impasto.evaluation.superres import crop_to_multiple, score_methods
    from impasto.images.reading import read_image
    from impasto.images.writing import write_image
    from impasto.losses import LossNetwork

    network, scale = LossNetwork(), setup["scale"]

    def measure(name: str, path: Path, _step: object) -> ByMethod:
        original = crop_to_multiple(read_image(path, max_pixels=max_pixels).rgb, scale)
        # What is random depends on the picture's name alone, not on its neighbours in the folder.
        rng = np.random.default_rng(zlib.crc32(name.encode(errors="surrogateescape")))
        low_res = degrade(original, scale, setup["degradation"], rng)
        if setup["jpeg"] is not None:
            low_res = jpeg(low_res, setup["jpeg"])
        scores = {}
        for method, result, score in score_methods(methods, low_res, original, scale, network):
            scores[method] = score
            if save is not None:
                picture, safe = save / name, re.sub(r"[^\w.-]+", "_", method)
                write_image(picture.with_name(f"{picture.stem}.{safe}.png"), result)
        return scores

    return measure


def _table(
    setup: Mapping[str, Any], pictures: Iterable[str], methods: Iterable[str]
) -> Callable[[str, ByMethod], Iterator[str]]:
    """Makes the lines of a picture's scores, the head above those of the first one."""
    from impasto.evaluation.superres import METRICS_SOURCE

    jpeg = "" if setup["jpeg"] is None else f", JPEG {setup['jpeg']}"
    matched = ", models' histograms matched" if setup["match_histogram"] else ""
    title = (
        f"{setup['data']}, x{setup['scale']}, degradation {setup['degradation']}{jpeg}{matched}: "
        f"PSNR in dB and SSIM of Y without a border of {setup['scale']} px by {METRICS_SOURCE}; "
        "squared feature distances, lower is better"
    )
    lines = growing_table(title, _HEADS, [[MEAN, *pictures], methods], _WIDTHS)

    def rows(name: str, by_method: ByMethod) -> Iterator[str]:
        return lines(
            (
                name,
                method,
                f"{score.psnr:.2f}",
                f"{score.ssim:.4f}",
                f"{score.feature_relu2_2:,.0f}",
                f"{score.feature_relu3_3:,.0f}",
            )
            for method, score in by_method.items()
        )

    return rows


def _json(
    setup: Mapping[str, Any], scores: Mapping[str, ByMethod], means: ByMethod
) -> dict[str, Any]:
    """Returns what ``--json`` prints."""
    from impasto.evaluation.superres import METRICS_SOURCE, SSIM_SIGMA_PX, SSIM_WINDOW_PX

    window = f"{SSIM_WINDOW_PX}x{SSIM_WINDOW_PX} Gaussian window, sigma {SSIM_SIGMA_PX}"
    return {
        **setup,
        "psnr": METRICS_SOURCE,
        "ssim": f"{METRICS_SOURCE}, {window}",
        "images": [{"name": name, "methods": _plain(found)} for name, found in scores.items()],
        "mean": _plain(means),
    }


def _plain(by_method: ByMethod) -> dict[str, dict[str, float | None]]:
    """Returns numbers only: JSON has no infinity, which is the PSNR of equal pictures."""
    return {
        method: {
            name: value if math.isfinite(value) else None for name, value in score.to_dict().items()
        }
        for method, score in by_method.items()
    }


def _write_csv(path: Path, scores: Mapping[str, ByMethod], means: ByMethod) -> None:
    """Writes one row per picture and method, those of the means last."""
    from impasto.images.writing import atomic_path

    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "method", *_COLUMNS))
        for image, by_method in {**scores, MEAN: means}.items():
            for method, score in by_method.items():
                values = score.to_dict()
                writer.writerow((image, method, *(values[column] for column in _COLUMNS)))
