"""What a worker does for a request: a file in, a file out."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from PIL import Image

from impasto.dials import Writing
from impasto.images.reading import Photo, read_image
from impasto.images.writing import check_sides, encode_image, writable_format
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.upscaler import UpscaleModel
from impasto.server.parameters import StylizeParameters, UpscaleParameters
from impasto.server.pool import Task
from impasto.server.settings import ServerSettings


class Picture(NamedTuple):
    """A file for an answer.

    Attributes:
        data: its content.
        media_type: of its format.
        width: in px.
        height: in px.
    """

    data: bytes
    media_type: str
    width: int
    height: int


def stylize(
    data: bytes,
    painter: StyleModel,
    parameters: StylizeParameters,
    settings: ServerSettings,
    task: Task,
) -> Picture:
    """Paints a photo.

    Args:
        data: its file.
        painter: the style.
        parameters: how.
        settings: the limits.
        task: what the stages are told to.

    Raises:
        ImpastoError: the picture cannot be used.
        AbandonedError: nobody waits for it.
    """
    photo = _decode(data, settings, task)
    with task.stage("paint"):
        dials = dataclasses.replace(parameters, memory=settings.picture_memory)
        painted = painter.paint_photo(photo, dials, task.check)
    return _encode(painted, parameters, task)


def upscale(
    data: bytes,
    enlarger: UpscaleModel,
    parameters: UpscaleParameters,
    settings: ServerSettings,
    task: Task,
) -> Picture:
    """Enlarges a photo; arguments and errors as for `stylize`."""
    photo = _decode(data, settings, task)
    height, width = (side * parameters.scale for side in photo.rgb.shape[:2])
    check_sides(_format(photo, parameters), width, height)
    with task.stage("upscale"):
        photo = enlarger.upscale_photo(
            photo,
            scale=parameters.scale,
            match_histogram=parameters.match_histogram,
            max_pixels=settings.max_pixels,
            progress=task.check,
        )
    return _encode(photo, parameters, task)


def _decode(data: bytes, settings: ServerSettings, task: Task) -> Photo:
    with task.stage("decode"):
        return read_image(data, max_pixels=settings.max_pixels, name="the upload")


def _encode(photo: Photo, writing: Writing, task: Task) -> Picture:
    file_format = _format(photo, writing)
    with task.stage("encode"):
        data = encode_image(photo, file_format, quality=writing.quality)
    height, width = photo.rgb.shape[:2]
    return Picture(data, Image.MIME[file_format], width, height)


def _format(photo: Photo, writing: Writing) -> str:
    """Returns Pillow's name of the result's format."""
    return writable_format(writing.pillow_format or photo.format)
