"""``impasto evaluate``: how good models are, in numbers."""

from __future__ import annotations

import inspect
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from impasto.cli.completion import complete_upscaler
from impasto.cli.console import (
    Screen,
    own_stderr,
    print_error,
    print_result,
    progress_bar,
)
from impasto.cli.evaluate_style import style
from impasto.cli.evaluate_video import video
from impasto.cli.extras import needs_extra
from impasto.cli.scores import MEAN, ScoreTable, scores_json, write_csv
from impasto.cli.settings import check_csv
from impasto.dials import Writing, dials_of
from impasto.errors import ImageError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from impasto.cli.scores import ByMethod
    from impasto.data import Degradation
    from impasto.evaluation.pixels import Picture
    from impasto.evaluation.superres import Upscaler
    from impasto.losses import LossNetwork

SCALES: Final = (4, 8)
DEGRADATIONS: Final[tuple[Degradation, ...]] = ("paper", "bicubic", "photo")
# The loss network holds three maps of 64 channels at once: 4 million pixels take 3 GB.
MAX_PIXELS: Final = 4_000_000


@dataclass(frozen=True)
class Setup:
    """What every picture of an evaluation goes through.

    Attributes:
        data: the folder of original pictures.
        scale: 4 or 8.
        degradation: how they are made small.
        jpeg: quality at which the small picture is saved; None does not save it.
        match_histogram: give models' results the colours of the small picture.
        save: the folder that results go to; None keeps none.
        max_pixels: pictures with more are refused.
    """

    data: Path
    scale: int
    degradation: Degradation
    jpeg: int | None
    match_histogram: bool
    save: Path | None
    max_pixels: int

    def title(self) -> str:
        """Says in one line what the numbers mean."""
        from impasto.evaluation.superres import METRICS_SOURCE

        jpeg = "" if self.jpeg is None else f", JPEG {self.jpeg}"
        matched = ", models' histograms matched" if self.match_histogram else ""
        return (
            f"{self.data}, x{self.scale}, degradation {self.degradation}{jpeg}{matched}: PSNR in "
            f"dB and SSIM of Y without a border of {self.scale} px by {METRICS_SOURCE}; squared "
            "feature distances, lower is better"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns what ``--json`` says beside the scores."""
        from impasto.evaluation.superres import METRICS_SOURCE, SSIM_SIGMA_PX, SSIM_WINDOW_PX

        window = f"{SSIM_WINDOW_PX}x{SSIM_WINDOW_PX} Gaussian window, sigma {SSIM_SIGMA_PX}"
        return {
            "data": str(self.data),
            "scale": self.scale,
            "degradation": self.degradation,
            "jpeg": self.jpeg,
            "match_histogram": self.match_histogram,
            "psnr": METRICS_SOURCE,
            "ssim": f"{METRICS_SOURCE}, {window}",
        }


def command(context: typer.Context) -> None:
    """Measure the quality of models."""
    if context.invoked_subcommand is None:
        for name, function in SUBCOMMANDS.items():
            about = (inspect.getdoc(function) or "").partition("\n")[0]
            typer.echo(f"impasto evaluate {name}  {about}")


def superres(
    *,
    data: Annotated[
        Path,
        typer.Option("--data", metavar="FOLDER", help="A folder of high-resolution pictures."),
    ],
    scale: Annotated[int, typer.Option("--scale", metavar="4|8", help="Enlarge by this.")] = 4,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FILE",
            help="A model to measure: photo, sharp, faithful or a file; can be given again.",
            autocompletion=complete_upscaler,
        ),
    ] = None,
    degradation: Annotated[
        str,
        typer.Option(
            "--degradation",
            metavar="|".join(DEGRADATIONS),
            help="How pictures are made small: blurred then bicubic, plain bicubic, or as "
            "cameras and websites do.",
        ),
    ] = "bicubic",
    jpeg: Annotated[
        int | None,
        typer.Option("--jpeg", metavar="1..100", help="Then save them as JPEG of this quality."),
    ] = None,
    match_histogram: Annotated[
        bool,
        typer.Option(
            "--match-histogram",
            help="Match models' results to the small picture's histogram, as the paper does.",
        ),
    ] = False,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Also write the scores to a .csv file."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object in place of the table.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FOLDER", help="Write the results there, as PICTURE.METHOD.png."
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(metavar="N", help="Refuse pictures with more pixels. [default: 4 million]"),
    ] = None,
) -> None:
    """Measure super-resolution: PSNR, SSIM and feature distance.

    Pictures are made small and enlarged again by nearest, bicubic and Lanczos resampling and by
    each model. PSNR and SSIM, by torchmetrics, are those of the Y channel without a border as
    wide as the scale; SSIM has the usual 11x11 Gaussian window. Feature distances are mean
    squared differences of the loss network's maps at relu2_2 and relu3_3.
    """
    from impasto.cli.plan import find_pictures

    _check_numbers(scale, jpeg, max_pixels)
    if match_histogram and not model:
        raise UsageError("--match-histogram is for models: give --model with it")
    _check_outputs(data, csv_file, save)
    setup = Setup(
        data=data,
        scale=scale,
        degradation=_degradation(degradation),
        jpeg=jpeg,
        match_histogram=match_histogram,
        save=save,
        max_pixels=MAX_PIXELS if max_pixels is None else max_pixels,
    )
    pictures = find_pictures("data", data, save)
    with needs_extra("train", "impasto evaluate superres"):
        from impasto.evaluation import mean_scores, resampling_methods
    methods = resampling_methods(scale)
    _add_models(methods, model or [], setup)
    table = ScoreTable(setup.title(), pictures, methods)
    with own_stderr(), progress_bar(len(pictures), shown=True, doing="measuring") as screen:
        scores, failed = _measure_all(
            setup, pictures, methods, table=None if as_json else table, screen=screen
        )
    if scores:
        means = {
            method: mean_scores([one[method] for one in scores.values()]) for method in methods
        }
        if as_json:
            print_result(scores_json(setup.to_dict(), scores, means, failed))
        else:
            table.show(MEAN, means, print_result)
    for message in failed.values():
        print_error(message)
    if scores and csv_file is not None:
        write_csv(csv_file, scores, means)
    if failed:
        raise typer.Exit(1 if scores else 2)


SUBCOMMANDS = {"superres": superres, "style": style, "video": video}


def _check_numbers(scale: int, jpeg: int | None, max_pixels: int | None) -> None:
    if scale not in SCALES:
        raise UsageError(f"--scale must be 4 or 8, not {scale}")
    known = dials_of(Writing)
    known["quality"].check("--jpeg", jpeg)
    known["max_pixels"].check("--max-pixels", max_pixels)


def _degradation(text: str) -> Degradation:
    for name in DEGRADATIONS:
        if name == text:
            return name
    *most, last = DEGRADATIONS
    raise UsageError(f"--degradation must be {', '.join(most)} or {last}, not {text!r}")


def _check_outputs(data: Path, csv_file: Path | None, save: Path | None) -> None:
    """Refuses, before any work, outputs that cannot be written or would replace pictures."""
    from impasto.cli.plan import exists, is_folder
    from impasto.images.folders import real_path

    check_csv(csv_file)
    if save is None:
        return
    if exists(save) and not is_folder(save):
        raise UsageError(f"--save takes a folder, and {save} is a file")
    if real_path(data).is_relative_to(real_path(save)):
        raise UsageError(f"--save {save} holds the pictures of --data: choose another folder")


def _add_models(methods: dict[str, Upscaler], models: list[str], setup: Setup) -> None:
    """Loads models; each goes by its file's name, or by its whole path where that is taken."""
    for given in models:
        from impasto.runtime.loading import load_upscaler

        upscaler = load_upscaler(given, scale=setup.scale)
        short = Path(given).name.removesuffix(".onnx")
        label = given if short in methods else short
        if label in methods:
            raise UsageError(f"--model {given} is given twice")
        methods[label] = partial(
            upscaler.upscale, scale=setup.scale, match_histogram=setup.match_histogram
        )


def _measure_all(
    setup: Setup,
    pictures: Mapping[str, Path],
    methods: Mapping[str, Upscaler],
    *,
    table: ScoreTable | None,
    screen: Screen,
) -> tuple[dict[str, ByMethod], dict[str, str]]:
    """Scores each picture; returns the scores, and the messages of those without."""
    from impasto.losses import LossNetwork

    loss_network = LossNetwork()
    scores: dict[str, ByMethod] = {}
    failed: dict[str, str] = {}
    for name, path in pictures.items():
        try:
            scores[name] = _measure(setup, name, path, methods, loss_network)
        except (ImageError, MissingExtraError) as error:
            failed[name] = str(error) if str(path) in str(error) else f"{path}: {error}"
        else:
            if table is not None:
                table.show(name, scores[name], screen.result)
        screen.advance()
    return scores, failed


def _measure(
    setup: Setup,
    name: str,
    path: Path,
    methods: Mapping[str, Upscaler],
    loss_network: LossNetwork,
) -> ByMethod:
    """Scores every method on one picture.

    Raises:
        ImageError: the picture cannot be read or is too small.
        MissingExtraError: reading it needs an extra.
    """
    import numpy as np

    from impasto.data.degradation import degrade, jpeg
    from impasto.evaluation.superres import crop_to_multiple, score_methods
    from impasto.images.reading import read_image

    rgb = read_image(path, max_pixels=setup.max_pixels).rgb
    original = crop_to_multiple(rgb, setup.scale)
    # What is random depends on the picture's name alone, not on its neighbours in the folder.
    rng = np.random.default_rng(zlib.crc32(name.encode(errors="surrogateescape")))
    low_res = degrade(original, setup.scale, setup.degradation, rng)
    if setup.jpeg is not None:
        low_res = jpeg(low_res, setup.jpeg)
    scores = {}
    for method, result, score in score_methods(
        methods, low_res, original, setup.scale, loss_network
    ):
        scores[method] = score
        if setup.save is not None:
            _save(setup.save / name, method, result)
    return scores


def _save(picture: Path, method: str, result: Picture) -> None:
    from impasto.images.writing import write_image

    safe = re.sub(r"[^\w.-]+", "_", method)
    write_image(picture.with_name(f"{picture.stem}.{safe}.png"), result)
