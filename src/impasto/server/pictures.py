"""What a worker does for a request: a file in, a file out."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from impasto.runtime.changes import Painter
from impasto.server.pool import Task
from impasto.work import Work


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


def change(data: bytes, work: Work, task: Task) -> Picture:
    """Paints or enlarges a photo.

    Args:
        data: its file.
        work: what is done with it.
        task: what the stages are told to.

    Raises:
        ImpastoError: the picture cannot be used.
        AbandonedError: nobody waits for it.
    """
    with task.stage("decode"):
        photo = work.read(data, name="the upload")
    file_format = work.file_format(photo)
    work.check(photo, file_format)
    with task.stage("paint" if isinstance(work.change, Painter) else "upscale"):
        photo = work.change(photo, task.check)
    with task.stage("encode"):
        result = work.encode(photo, file_format)
    height, width = photo.rgb.shape[:2]
    return Picture(result, Image.MIME[file_format], width, height)
