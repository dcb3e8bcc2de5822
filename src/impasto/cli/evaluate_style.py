"""``impasto evaluate style``: painted, kept, and what no painter would leave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import optimizing, options
from impasto.cli.completion import complete_style
from impasto.cli.console import (
    Screen,
    own_stderr,
    print_error,
    print_note,
    print_result,
    progress_bar,
)
from impasto.cli.evaluate_baseline import ITERATIONS, SIZE_PX, show_baseline
from impasto.cli.extras import needs_extra
from impasto.cli.measure_tables import PhotoTable, means_table
from impasto.errors import ImageError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from impasto.evaluation import PhotoMeasures, StyleMeasures, StyleMeter
    from impasto.evaluation.faces import Boxes
    from impasto.evaluation.pixels import Picture
    from impasto.images.reading import Photo
    from impasto.losses import LossNetwork
    from impasto.runtime.stylizer import StyleModel
    from impasto.training.pictures import Painting


def style(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A style's name or a model file.",
            autocompletion=complete_style,
        ),
    ],
    *,
    photos: Annotated[Path, typer.Option("--photos", metavar="FOLDER", help="A folder of photos.")],
    painting: Annotated[
        Path,
        typer.Option(
            "--painting",
            metavar="STYLE_IMAGE",
            help="The painting of the style; for --baseline also a file of its style targets.",
        ),
    ],
    style_name: Annotated[
        str | None,
        typer.Option("--style", metavar="NAME", help="A style of the file. [default: its first]"),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Boxes of faces on the photos, .csv with photo,x0,y0,x1,y1 in pixels. "
            "[default: those of our validation photos]",
        ),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="The paper's objective instead, and iterations of L-BFGS that the style is worth.",
        ),
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help=f"Longer side of the photos beside the baseline. [default: {SIZE_PX}]",
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            metavar="N", help=f"Iterations of the baseline at most. [default: {ITERATIONS}]"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object in place of the tables.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="|".join(optimizing.DEVICES), help="Of the baseline. [default: auto]"),
    ] = None,
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
    """
    from impasto.cli.plan import find_pictures

    if not baseline:
        given = {"size": size, "iterations": iterations, "device": device}
        for name, value in given.items():
            if value is not None:
                raise UsageError(f"--{name} is for --baseline: give that too")
    elif faces is not None:
        raise UsageError("--faces is not for --baseline: leave one of them out")
    size = SIZE_PX if size is None else size
    iterations = ITERATIONS if iterations is None else iterations
    device = "auto" if device is None else device
    optimizing.check_numbers(iterations=iterations, size_px=size, seed=0, threads=threads)
    optimizing.one_of("device", device, optimizing.DEVICES)
    found = find_pictures("photos", photos)
    with needs_extra("train", "impasto evaluate style"):
        from impasto.paper.descent import find_device
        from impasto.paper.objective import weights_of_model

        device = find_device(device if baseline else "cpu", threads)
        path, painter, image = _load(model, style_name, painting, threads)
    if baseline:
        weights = weights_of_model(path, painter.name)
        _note_another_painting(painter, image)
        show_baseline(
            painter,
            path,
            weights,
            image,
            found,
            size=size,
            iterations=iterations,
            device=device,
            as_json=as_json,
        )
        return
    if image.photo is None:
        raise UsageError(f"{painting} holds style targets: the measures need the painting itself")
    about = {"model": str(path), "style": painter.name, "painting": str(painting)}
    judge = _Judge.of(painter, image.photo.rgb, faces)
    _note_another_painting(painter, image)
    _show(judge, found, about, as_json=as_json)


def _load(
    model: str, style_name: str | None, painting: Path, threads: int | None
) -> tuple[Path, StyleModel, Painting]:
    """Loads the model file and its painting.

    Raises:
        ImpastoError: one of them cannot be used.
    """
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


@dataclass(frozen=True)
class _Judge:
    """Measures a style and the controls, photo by photo.

    Attributes:
        painter: the style.
        painting: ``(H, W, 3)`` uint8.
        boxes: of faces, by the photo's file name.
        loss_network: VGG-16.
        style: measures the style.
        controls: measure each control, by name.
    """

    painter: StyleModel
    painting: Picture
    boxes: Mapping[str, Boxes]
    loss_network: LossNetwork
    style: StyleMeter
    controls: Mapping[str, StyleMeter]

    @classmethod
    def of(cls, painter: StyleModel, painting: Picture, faces: Path | None) -> _Judge:
        """Looks at the painting.

        Raises:
            DataError: the file of faces cannot be used.
            ImageError: the painting is too narrow.
        """
        from impasto.evaluation import StyleMeter, read_boxes
        from impasto.evaluation.controls import CONTROLS
        from impasto.evaluation.features import see_painting
        from impasto.losses import LossNetwork

        boxes, network = read_boxes(faces), LossNetwork()
        target = see_painting(network, painting)
        controls = {name: StyleMeter(target, network) for name in CONTROLS}
        return cls(painter, painting, boxes, network, StyleMeter(target, network), controls)

    def measure(self, name: str, path: Path) -> Iterator[PhotoMeasures]:
        """Measures one photo; yields the style's figures and then those of each control.

        Raises:
            ImageError: it cannot be read or is too narrow.
            MissingExtraError: reading it needs an extra.
            DataError: its boxes of faces are those of another picture.
        """
        from impasto.evaluation import PreparedPhoto
        from impasto.evaluation.controls import CONTROLS
        from impasto.images.reading import read_image

        photo = read_image(path)
        prepared = PreparedPhoto.of(photo.rgb, self.loss_network)
        boxes = self.boxes.get(path.name)
        written = _as_written(photo, self.painter.paint(photo.rgb))
        yield self.style.add(name, prepared, written, boxes)
        for control, meter in self.controls.items():
            yield meter.add(name, prepared, CONTROLS[control](photo.rgb, self.painting), boxes)


def _as_written(photo: Photo, rgb: Picture) -> Picture:
    """Returns a result as it is read from the file that `impasto stylize` writes."""
    from impasto.images.reading import read_image
    from impasto.images.writing import encode_image

    return read_image(encode_image(replace(photo, rgb=rgb), photo.format)).rgb


def _show(
    judge: _Judge, photos: Mapping[str, Path], about: Mapping[str, Any], *, as_json: bool
) -> None:
    """Measures all photos, and prints the tables.

    Raises:
        typer.Exit: some photos could not be measured.
    """
    title = f"{judge.painter.name}, as `impasto stylize` writes it"
    table = None if as_json else PhotoTable(title, photos)
    steps = len(photos) * (1 + len(judge.controls))
    with own_stderr(), progress_bar(steps, shown=True, doing="measuring") as screen:
        failed = _measure_all(judge, photos, table, screen)
    if len(failed) < len(photos):
        measures = judge.style.finish()
        controls = {name: meter.finish() for name, meter in judge.controls.items()}
        if as_json:
            print_result(_json(about, measures, controls, failed))
        else:
            print_result("")
            for line in means_table(judge.painter.name, measures, controls):
                print_result(line)
    for message in failed.values():
        print_error(message)
    if failed:
        raise typer.Exit(1 if len(failed) < len(photos) else 2)


def _measure_all(
    judge: _Judge, photos: Mapping[str, Path], table: PhotoTable | None, screen: Screen
) -> dict[str, str]:
    """Measures each photo; returns the messages of those that could not be."""
    failed: dict[str, str] = {}
    for name, path in photos.items():
        left = 1 + len(judge.controls)
        try:
            for number, measures in enumerate(judge.measure(name, path)):
                if number == 0 and table is not None:
                    table.show(name, measures.to_dict(), screen.result)
                left -= 1
                screen.advance()
        except (ImageError, MissingExtraError) as error:
            failed[name] = str(error) if str(path) in str(error) else f"{path}: {error}"
        for _ in range(left):
            screen.advance()
    return failed


def _json(
    about: Mapping[str, Any],
    measures: StyleMeasures,
    controls: Mapping[str, StyleMeasures],
    failed: Mapping[str, str],
) -> str:
    from impasto.evaluation.controls import failed_measures

    def means(found: StyleMeasures) -> dict[str, Any]:
        return {**found.to_dict(), "fails": failed_measures(found)}

    photos = [{"name": name, **found.to_dict()} for name, found in measures.photos.items()]
    return json.dumps(
        {
            **about,
            "photos": photos,
            "mean": means(measures),
            "controls": {name: means(found) for name, found in controls.items()},
            "failed": dict(failed),
        }
    )
