"""The styles and upscalers that the service has, each loaded once."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from impasto.catalog import Style, close_name, list_upscalers
from impasto.errors import ModelError, UnknownStyleError, UsageError
from impasto.images.reading import Photo, read_image
from impasto.images.resize import shrink
from impasto.images.writing import encode_image
from impasto.runtime.loading import load_model, load_upscaler
from impasto.runtime.mixing import parse_blend
from impasto.runtime.model_file import read_model_file
from impasto.runtime.styles import list_styles
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.upscaler import UpscaleModel
from impasto.server.pool import Task, WorkerPool
from impasto.server.problems import ProblemError
from impasto.server.settings import ServerSettings

_LOG: Final = logging.getLogger(__name__)

# Painted at the one size and shown at the other: strokes stay in proportion to the picture.
_PAINTED_PX: Final = 512
_THUMBNAIL_PX: Final = 384
_THUMBNAIL_QUALITY: Final = 88


class Gallery:
    """Everything that can be asked for by name.

    Attributes:
        styles: by their names; the first one is the default.
        models: of the styles, by their names.
        upscalers: by name and scale.
        thumbnails: JPEG files that show the styles, by name, once they are painted.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Loads every model; a damaged file of the user's own styles is left out and logged.

        Raises:
            ModelError: a model file of the settings cannot be used.
            UnknownStyleError: there is no style at all.
        """
        self._threads = settings.threads_per_worker
        self.styles: dict[str, Style] = {}
        self.models: dict[str, StyleModel] = {}
        self.upscalers: dict[tuple[str, int], UpscaleModel] = {}
        self.thumbnails: dict[str, Future[bytes]] = {}
        for path in settings.models:
            self._add_file(path)
        self._add_catalogue()
        if not self.styles:
            raise UnknownStyleError("there is no style to serve: give a model file with --model")

    def _add_file(self, path: Path) -> None:
        _, metadata = read_model_file(path)
        if metadata.kind == "upscale":
            model = load_upscaler(path, scale=metadata.scale, threads=self._threads)
            self._add_upscaler(path.stem, model)
            return
        painter = load_model(path, threads=self._threads)
        for entry in metadata.styles:
            style = Style(entry.name, entry.title, "", "", "", metadata.licence, path)
            self._add(style, painter.with_blend({entry.name: 1.0}))

    def _add_catalogue(self) -> None:
        for listed in list_styles():
            try:
                model = load_model(listed.name, threads=self._threads)
            except ModelError as error:
                if listed.origin == "shipped":
                    raise
                _LOG.warning("left out: %s", error)
                continue
            style = listed
            if listed.origin == "own":
                (inner,) = model.blend
                title = next(e.title for e in model.metadata.styles if e.name == inner)
                style = replace(listed, title=title, licence=model.metadata.licence)
            self._add(style, model)
        for item in list_upscalers():
            enlarger = load_upscaler(item.name, scale=item.scale, threads=self._threads)
            self._add_upscaler(item.name, enlarger)

    def _add(self, style: Style, model: StyleModel) -> None:
        self.styles.setdefault(style.name, style)
        self.models.setdefault(style.name, model)

    def _add_upscaler(self, name: str, model: UpscaleModel) -> None:
        for scale in model.scales:
            self.upscalers.setdefault((name, scale), model.with_scale(scale))

    def painter(self, text: str | None) -> StyleModel:
        """Finds the model of a style or a blend, such as ``great_wave:0.7,udnie:0.3``.

        None is the first style.

        Raises:
            UnknownStyleError: there is no style of one of the names.
            UsageError: it is no blend, or no file holds all of its styles.
        """
        known = list(self.models)
        if text is None or text in known:
            return self.models[text or known[0]]
        blend = parse_blend(text)
        for name in blend:
            if name not in known:
                raise UnknownStyleError(
                    f"there is no style {name!r:.100}: {close_name(name, known)}known are "
                    f"{', '.join(known)}"
                )
        models = [self.models[name] for name in blend]
        if len(models) == 1:
            return models[0]
        for model in models:
            if blend.keys() <= _held(model):
                return model.with_blend(blend)
        raise UsageError(
            f"the styles {', '.join(blend)} lie in different model files; only styles of one file "
            "blend"
        )

    def blends_with(self, name: str) -> list[str]:
        """Returns the other styles that blend with one."""
        own = self.models[name]
        return [
            other
            for other, model in self.models.items()
            if other != name and any({name, other} <= _held(one) for one in (own, model))
        ]

    def upscaler(self, name: str | None, scale: int) -> UpscaleModel:
        """Finds the model of a name, or else the first one, for a scale."""
        for (known, gives), model in self.upscalers.items():
            if gives == scale and name in (known, None):
                return model
        if not self.upscalers:
            raise ProblemError(
                501,
                "no-upscaler",
                "this service has no upscaling model: start it with --model FILE, a model of "
                "`impasto train-upscaler`",
            )
        there = ", ".join(f"{known} x{gives}" for known, gives in self.upscalers)
        called = "" if name is None else f" {name!r:.100}"
        raise ProblemError(
            422, "bad-parameter", f"there is no upscaling model{called} x{scale}, there is {there}"
        )

    def start_thumbnails(self, pool: WorkerPool, example: Path) -> None:
        """Has the workers paint a photo in every style, before the first request."""
        photo = shrink(read_image(example), _PAINTED_PX)
        for name, model in self.models.items():
            paint = partial(_thumbnail, photo, model)
            self.thumbnails[name] = pool.submit(paint, Task())


def _held(model: StyleModel) -> set[str]:
    return {style.name for style in model.metadata.styles}


def _thumbnail(photo: Photo, model: StyleModel, task: Task) -> bytes:
    painted = Photo(model.paint(photo.rgb, progress=task.check))
    return encode_image(shrink(painted, _THUMBNAIL_PX), "JPEG", quality=_THUMBNAIL_QUALITY)
