"""``impasto evaluate style``: painted, kept, and what no painter would leave."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from impasto.cli import optimizing, options
from impasto.cli.console import one_line, print_note
from impasto.cli.measuring import MEAN, exit_if_failed, growing_table, measure_all, tell
from impasto.cli.options import complete_style, takes_options
from impasto.cli.plan import find_pictures
from impasto.errors import UsageError
from impasto.markdown import table_lines

if TYPE_CHECKING:
    from impasto.evaluation import PhotoMeasures, StyleMeasures
    from impasto.paper.comparison import StyleJudge
    from impasto.runtime.stylizer import StyleModel
    from impasto.training.pictures import Painting

SIZE_PX: Final = 256
ITERATIONS: Final = 150

_PHOTO_HEADS: Final = ("painted", "kept", "repainted", "follow", "faces", "lattice 2", "lattice 4")
"""Of the columns of a photo; the keys are the same with an underscore."""

_MEAN_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "painted": ("painted",),
    "at 512, 256, 128 px": ("balanced_1", "balanced_2", "balanced_4"),
    "kept": ("kept",),
    "at 512, 256, 128": ("correlation_1", "correlation_2", "correlation_4"),
    "repainted": ("repainted",),
    "follow": ("follow",),
    "faces": ("faces",),
    "ghost": ("ghost",),
    "halo": ("halo",),
    "grid": ("grid",),
    "period": ("grid_period_px",),
    "lattice 2": ("lattice_2",),
    "lattice 4": ("lattice_4",),
}
"""Heads of the columns of means, and the keys of what stands in each."""

_ONE_DIGIT: Final = ("halo", "grid", "grid_period_px")

_BASELINE_COLUMNS: Final = {
    "content": "content",
    "style": "style",
    "total_variation": "variation",
    "objective": "objective",
    "objective_of_photo": "photo's own",
    "style_ratio": "style ratio",
    "balanced_ratio": "balanced",
    "correlation": "correlation",
    "from_noise": "from noise",
    "from_photo": "from photo",
}
"""The keys of a row of ``--baseline``, and the heads of their columns."""

_COUNTS: Final = ("from_noise", "from_photo")

Row: TypeAlias = dict[str, Any]
"""What was found on one photo beside the baseline, or the means; JSON-ready."""


@takes_options
def style(
    model: Annotated[str, complete_style],
    *,
    photos: Path,
    painting: Path,
    style_name: str | None = None,
    faces: Path | None = None,
    baseline: bool = False,
    size: int | None = None,
    iterations: int | None = None,
    as_json: bool = False,
    device: str | None = None,
    threads: options.Threads = None,
) -> None:
    """Measure a style: is it painted, and is the photo kept.

    Photos are painted as `impasto stylize` writes them. Seen at 512, 256 and 128 px, painted is
    the distance of Gram matrices to the painting's as a share of the untouched photo's (0 is
    the painting, 1 the photo), and kept the correlation of relu3_3 with the photo's. Repainted
    is what the best recolouring of the photo leaves unexplained of the coarse colours, follow
    how strokes run along the photo's edges (.64 at random), faces what is kept inside faces.
    Ghost is the share that all photos have at the same place (1/N is none), halo the overshoot
    beside edges in levels, grid the highest peak of the spectrum (1 is none), lattice the
    deviation of a 2x2 and a 4x4 grid in levels. Below stand results without a painter, and which
    of the measures each fails. docs/measures.md defines all of them.

    Options:
        model (MODEL): A style's name or a model file.
        photos (FOLDER): A folder of photos.
        painting (STYLE_IMAGE): The painting of the style; for --baseline also a file of its style
            targets.
        style_name (NAME, --style): A style of the file. [default: its first]
        faces (FILE): Boxes of faces on the photos, .csv with photo,x0,y0,x1,y1 in pixels. [default:
            those of our validation photos]
        baseline: The paper's objective instead, and iterations of L-BFGS that the style is worth.
        size (PX): Longer side of the photos beside the baseline. [default: 256]
        iterations (N): Iterations of the baseline at most. [default: 150]
        as_json (--json): One JSON object in place of the tables.
        device (auto|cpu|cuda|mps): Of the baseline. [default: auto]
    """
    if not baseline:
        for name, value in {"size": size, "iterations": iterations, "device": device}.items():
            if value is not None:
                raise UsageError(f"--{name} is for --baseline: give that too")
    elif faces is not None:
        raise UsageError("--faces is not for --baseline: leave one of them out")
    size = SIZE_PX if size is None else size
    iterations = ITERATIONS if iterations is None else iterations
    device = "auto" if device is None else device
    optimizing.check_numbers(iterations=iterations, size_px=size, threads=threads, device=device)
    found = find_pictures("photos", photos)
    with options.needs_extra("train", "impasto evaluate style"):
        from impasto.paper.descent import find_device

        device = find_device(device if baseline else "cpu", threads)
        path, painter, image = _load(model, style_name, painting, threads)
    about: dict[str, Any] = {
        "model": str(path),
        "style": painter.name,
        "painting": str(painting),
    }
    if baseline:
        about |= {"size_px": size, "iterations": iterations}
        _show_baseline(painter, image, device, found, about, as_json=as_json)
    else:
        _show_measures(painter, image, faces, found, about, as_json=as_json)


def _load(
    model: str, style_name: str | None, painting: Path, threads: int | None
) -> tuple[Path, StyleModel, Painting]:
    """Loads the model file and its painting."""
    from impasto.runtime.loading import load_model, model_path
    from impasto.training.pictures import read_painting

    path = model_path(model)
    painter = load_model(model, threads=threads)
    if style_name is not None:
        painter = painter.with_blend({style_name: 1.0})
    if len(painter.blend) > 1:
        raise UsageError(f"{model} is a blend: name one style")
    return path, painter, read_painting(painting, painter.name)


def _note_another_painting(painter: StyleModel, painting: Painting) -> None:
    stated = {entry.name: entry.style_image_sha256 for entry in painter.metadata.styles}
    if stated[painter.name] not in ("", painting.sha256):
        print_note(f"{painting.path} is not the very file that {painter.name} was trained on")


# --- Our measures ---------------------------------------------------------------------------


def _show_measures(
    painter: StyleModel,
    painting: Painting,
    faces: Path | None,
    photos: Mapping[str, Path],
    about: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Measures a style and the controls on all photos, and prints the tables."""
    from impasto.evaluation import PreparedPhoto, StyleMeter, read_boxes
    from impasto.evaluation.controls import CONTROLS
    from impasto.evaluation.features import see_painting
    from impasto.images.reading import read_image
    from impasto.images.writing import encode_image
    from impasto.losses import LossNetwork

    if painting.photo is None:
        raise UsageError(
            f"{painting.path} holds style targets: the measures need the painting itself"
        )
    image = painting.photo.rgb
    boxes, network = read_boxes(faces), LossNetwork()
    target = see_painting(network, image)
    meter = StyleMeter(target, network)
    controls = {name: StyleMeter(target, network) for name in CONTROLS}
    _note_another_painting(painter, painting)

    def measure(name: str, path: Path, step: Callable[[], None]) -> PhotoMeasures:
        photo = read_image(path)
        prepared = PreparedPhoto.of(photo.rgb, network)
        painted = replace(photo, rgb=painter.paint(photo.rgb))
        written = read_image(encode_image(painted, photo.format)).rgb
        found = meter.add(name, prepared, written, boxes.get(path.name))
        for control, own in controls.items():
            step()
            own.add(name, prepared, CONTROLS[control](photo.rgb, image), boxes.get(path.name))
        return found

    lines = growing_table(
        f"{painter.name}, as `impasto stylize` writes it",
        ("photo", *_PHOTO_HEADS),
        [photos],
        [len("0.000")] * len(_PHOTO_HEADS),
    )

    def row(name: str, measures: PhotoMeasures) -> Iterator[str]:
        values = measures.to_dict()
        return lines([(name, *(_cell(head.replace(" ", "_"), values) for head in _PHOTO_HEADS))])

    found, failed = measure_all(photos, measure, None if as_json else row, steps=1 + len(controls))
    result: Any = ()
    if found:
        means = {name: each.finish() for name, each in {painter.name: meter, **controls}.items()}
        result = _measures_json(about, means) if as_json else _means(means)
    tell(result, found, failed)
    exit_if_failed(found, failed)


def _means(means: Mapping[str, StyleMeasures]) -> Iterator[str]:
    """Yields the table of the style and the controls, and the measures that each fails."""
    from impasto.evaluation.controls import failed_measures

    rows = []
    for name, found in means.items():
        values = found.to_dict()
        cells = [" ".join(_cell(key, values) for key in keys) for keys in _MEAN_COLUMNS.values()]
        failed = ", ".join(failed_measures(found)).replace("_", " ")
        rows.append([one_line(name), *cells, failed or "none"])
    yield ""
    yield from table_lines(
        ["mean", *_MEAN_COLUMNS, "fails"], rows, texts=(0, len(_MEAN_COLUMNS) + 1)
    )


def _cell(key: str, row: Mapping[str, float | None]) -> str:
    value = row[key]
    if value is None:
        return "-"
    return f"{value:.1f}" if key in _ONE_DIGIT else f"{value:.3f}"


def _measures_json(about: Mapping[str, Any], means: Mapping[str, StyleMeasures]) -> dict[str, Any]:
    from impasto.evaluation.controls import failed_measures

    photos = means[about["style"]].photos.items()
    told = {
        name: {**found.to_dict(), "fails": failed_measures(found)} for name, found in means.items()
    }
    return {
        **about,
        "photos": [{"name": name, **found.to_dict()} for name, found in photos],
        "mean": told.pop(about["style"]),
        "controls": told,
    }


# --- Beside the baseline --------------------------------------------------------------------


def _show_baseline(
    painter: StyleModel,
    painting: Painting,
    device: str,
    photos: Mapping[str, Path],
    about: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Judges a style on photos in the paper's terms, and prints how."""
    from impasto.paper.comparison import StyleJudge
    from impasto.paper.objective import weights_of_model

    weights = weights_of_model(Path(about["model"]), painter.name)
    size_px, iterations = about["size_px"], about["iterations"]
    judge = StyleJudge(
        painter.paint, painting, weights, size_px=size_px, iterations=iterations, device=device
    )
    _note_another_painting(painter, painting)
    lines = growing_table(
        f"{painter.name}, objective at {size_px} px as in its training, and the iteration of "
        "L-BFGS that comes as low",
        ("photo", *_BASELINE_COLUMNS.values()),
        [[MEAN, *photos]],
        [len("999.999")] * len(_BASELINE_COLUMNS),
    )

    def line(name: str, row: Row) -> Iterator[str]:
        return lines([(name, *(_baseline_cell(key, row, iterations) for key in _BASELINE_COLUMNS))])

    rows, failed = measure_all(
        photos,
        lambda _, path, step: _judged(judge, path, step),
        None if as_json else line,
        steps=2 * iterations,
        doing="optimising",
    )
    result: Any = ()
    if rows:
        means = _baseline_means(rows.values(), iterations)
        listed = [{"name": name, **row} for name, row in rows.items()]
        about = {**about, "weights": asdict(weights), "photos": listed, "mean": means}
        result = about if as_json else line(MEAN, means)
    tell(result, rows, failed)
    exit_if_failed(rows, failed)


def _judged(judge: StyleJudge, path: Path, step: Callable[[object], None]) -> Row:
    """Judges one photo."""
    from impasto.images.reading import read_image

    photo = read_image(path)
    found = judge.compare(photo, path, on_iteration=step)
    scores = judge.score(photo)
    return {
        "content": found.network.content,
        "style": found.network.style,
        "total_variation": found.network.total_variation,
        "objective": found.network.total,
        "objective_of_photo": found.photo.total,
        "style_ratio": None if scores is None else scores.style_ratio,
        "balanced_ratio": None if scores is None else scores.balanced_ratio,
        "correlation": None if scores is None else scores.correlation,
        "from_noise": found.from_noise,
        "from_photo": found.from_photo,
    }


def _baseline_means(rows: Collection[Row], iterations: int) -> Row:
    """Returns plain means; a baseline that never came as low counts with all its iterations."""
    means: Row = {"photos": len(rows)}
    for key in _BASELINE_COLUMNS:
        values = [row[key] for row in rows]
        if key in _COUNTS:
            means[f"{key}_reached"] = sum(value is not None for value in values)
            values = [iterations if value is None else value for value in values]
        means[key] = None if None in values else sum(values) / len(values)
    return means


def _baseline_cell(key: str, row: Row, iterations: int) -> str:
    value = row[key]
    if key not in _COUNTS:
        return "-" if value is None else f"{value:.3f}" if value < 1000 else f"{value:,.0f}"
    if value is None:
        return f">{iterations}"
    below = row.get(f"{key}_reached", 0) < row.get("photos", 0)
    return f"{'>' if below else ''}{value:.4g}"
