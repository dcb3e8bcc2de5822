"""A photo over HTTP, from the request to the answer: its parameters, its upload, the work on it.

Parameters stand in the query or in the fields of a form; the photo is the body, or the file of
the form. Nothing that a request says about the photo is trusted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from PIL import Image
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from impasto.dials import (
    FORMATS,
    Choice,
    Dial,
    Dials,
    Enlarging,
    Number,
    Painting,
    PictureFile,
    Switch,
    Text,
    Writing,
    dial,
    dials_of,
)
from impasto.runtime.changes import Change, Enlarger, Painter
from impasto.server.gallery import Gallery
from impasto.server.observing import Metrics, log_fields
from impasto.server.pool import AbandonedError, Task, WorkerPool
from impasto.server.problems import PROBLEM, ProblemError
from impasto.server.settings import ServerSettings
from impasto.work import Work

PICTURE: Final = {"type": "string", "format": "binary"}

_LONGEST_TEXT: Final = 1000
_NUMBERS: Final = {float: "number", int: "integer"}
_MAX_FIELDS: Final = 20
_MAX_FIELD_BYTES: Final = 10_000

_STATUSES: Final = (400, 401, 413, 415, 422, 500, 503, 504)
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The picture. The header Server-Timing says how long each stage took.",
        "content": {f"image/{name}": {"schema": PICTURE} for name in FORMATS},
    },
    **dict.fromkeys(_STATUSES, PROBLEM),
}

# What nginx writes into its log of a request whose sender has left; nobody reads the answer.
_CLIENT_GONE: Final = 499
_RESTART_S: Final = 10


@dataclass(frozen=True, kw_only=True)
class StylizeParameters(Painting, Writing):
    """How a photo is painted, and by which style."""

    style: str | None = dial(
        Text(
            "A name of /v1/styles, or a blend such as great_wave:0.7,udnie:0.3.",
            otherwise="the first style",
            longest=_LONGEST_TEXT,
        )
    )


@dataclass(frozen=True, kw_only=True)
class UpscaleParameters(Enlarging, Writing):
    """How a photo is enlarged, and by which model."""

    model: str | None = dial(
        Text(
            "An upscaler of /v1/limits.",
            otherwise="the first one for the scale",
            longest=_LONGEST_TEXT,
        )
    )


_Parameters = TypeVar("_Parameters", bound=Writing)


@dataclass(frozen=True)
class Service:
    """The parts of the service."""

    settings: ServerSettings
    gallery: Gallery
    pool: WorkerPool
    metrics: Metrics


def picture_routes(service: Service) -> APIRouter:
    """Returns the endpoints of a service that paint and enlarge."""
    router = APIRouter(tags=["Pictures"])
    settings, gallery = service.settings, service.gallery

    def painter(asked: StylizeParameters) -> Change:
        dials = replace(asked, memory=settings.picture_memory)
        return Painter(gallery.painter(asked.style), dials, settings.max_pixels)

    def enlarger(asked: UpscaleParameters) -> Change:
        model = gallery.upscaler(asked.model, asked.scale)
        return Enlarger(model, asked, settings.max_pixels)

    @router.post(
        "/v1/stylize",
        summary="Paint a photo in a style, or in a blend of styles",
        response_class=Response,
        responses=_ANSWERS,
        openapi_extra=description_of(StylizeParameters),
    )
    async def stylize(request: Request) -> Response:
        return await _answer(service, request, StylizeParameters, painter)

    @router.post(
        "/v1/upscale",
        summary="Enlarge a photo",
        response_class=Response,
        responses={**_ANSWERS, 501: PROBLEM},
        openapi_extra=description_of(UpscaleParameters),
    )
    async def upscale(request: Request) -> Response:
        return await _answer(service, request, UpscaleParameters, enlarger)

    return router


async def _answer(
    service: Service,
    request: Request,
    kind: type[_Parameters],
    prepare: Callable[[_Parameters], Change],
) -> Response:
    """Reads a request's photo, has a worker change it and answers with the result."""
    settings, state, task = service.settings, request.state, Task()
    query = dict(request.query_params)
    read_parameters(kind, query)  # what is wrong there is told before the photo is sent
    try:
        async with asyncio.timeout(settings.time_limit_s):
            with service.pool.place() as place:
                photo, fields, files = await read_upload(
                    request, settings.max_upload_bytes, known=picture_names(kind)
                )
                log_fields(state, bytes_in=len(photo))
                given = read_parameters(kind, query | fields, files)
                asked = replace(given, max_pixels=settings.max_pixels)
                work = partial(change, photo, Work(prepare(asked), asked))
                data, media_type, sides = await place.run(work, task, request.is_disconnected)
    except TimeoutError as error:
        raise ProblemError(
            504,
            "time-limit",
            f"the picture took longer than the limit of {settings.time_limit_s:g} s: send a "
            "smaller one, or give the service a larger --time-limit",
        ) from error
    except asyncio.CancelledError as error:  # the server stops and waits no longer
        raise ProblemError(
            503,
            "stopping",
            "the service stops before the picture is finished: send it again later",
            {"Retry-After": str(_RESTART_S)},
        ) from error
    except (AbandonedError, ClientDisconnect):
        return Response(status_code=_CLIENT_GONE)
    finally:
        times_s = dict(task.times_s)
        service.metrics.count_stages(times_s)
        stages_ms = {name: round(1000 * s, 1) for name, s in times_s.items()}
        log_fields(state, stages_ms=stages_ms)
    log_fields(state, bytes_out=len(data), **sides)
    timing = ", ".join(f"{name};dur={elapsed}" for name, elapsed in stages_ms.items())
    return Response(data, media_type=media_type, headers={"Server-Timing": timing})


def change(data: bytes, work: Work, task: Task) -> tuple[bytes, str, dict[str, int]]:
    """Returns the file of a painted or enlarged photo, its media type and its sides in px."""
    with task.stage("decode"):
        photo = work.read(data, name="the upload")
    file_format = work.file_format(photo)
    work.check(photo, file_format)
    with task.stage("paint" if isinstance(work.change, Painter) else "upscale"):
        photo = work.change(photo, task.check)
    with task.stage("encode"):
        result = work.encode(photo, file_format)
    height, width = photo.rgb.shape[:2]
    return result, Image.MIME[file_format], {"width": width, "height": height}


def offered(kind: type[Dials]) -> dict[str, Dial]:
    """Returns the dials that a request may have: none of this machine's files and memory."""
    return {name: own for name, own in dials_of(kind).items() if not own.local}


def picture_names(kind: type[Dials]) -> list[str]:
    """Returns the names of the dials that are pictures, which only a form can hold."""
    return [name for name, own in offered(kind).items() if isinstance(own, PictureFile)]


def read_parameters(
    kind: type[_Parameters], texts: Mapping[str, str], files: Mapping[str, Any] | None = None
) -> _Parameters:
    """Reads texts and pictures, by their names, as parameters.

    Raises:
        ProblemError: there is no such parameter.
        UsageError: a text is none of its dial's values.
    """
    pictures = picture_names(kind)
    for name in texts:
        if name in pictures:
            raise ProblemError(
                422, "bad-parameter", f"{name} must be a file of multipart/form-data, not a text"
            )
        if name not in offered(kind):
            raise ProblemError(
                422, "bad-parameter", f"there is no parameter {name!r:.60}: /docs lists them"
            )
    return replace(kind.from_texts(texts), **(files or {}))


def description_of(kind: type[Dials]) -> dict[str, Any]:
    """Describes, for OpenAPI, a query and a body: a form of the same fields, or a picture alone."""
    fields = {name: _schema(own) for name, own in offered(kind).items()}
    query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in fields.items()
        if name not in picture_names(kind)
    ]
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": PICTURE, **fields},
    }
    content = {"multipart/form-data": {"schema": form}, "image/*": {"schema": PICTURE}}
    return {"parameters": query, "requestBody": {"required": True, "content": content}}


def _schema(own: Dial) -> dict[str, Any]:
    otherwise = f" Else {own.otherwise}." if own.otherwise else ""
    schema: dict[str, Any] = {"type": "string", "description": own.help + otherwise}
    if own.default is not None:
        schema["default"] = own.default
    if isinstance(own, PictureFile):
        schema |= PICTURE
    elif isinstance(own, Number):
        schema |= {"type": _NUMBERS[own.kind], "minimum": own.least}
        schema |= {} if own.most is None else {"maximum": own.most}
    elif isinstance(own, Choice):
        number = isinstance(own.choices[0], int)
        schema |= {"type": "integer" if number else "string", "enum": list(own.choices)}
    elif isinstance(own, Switch):
        schema["type"] = "boolean"
    elif isinstance(own, Text):
        schema["maxLength"] = own.longest
    return schema


async def read_upload(
    request: Request, max_bytes: int, *, known: Collection[str]
) -> tuple[bytes, dict[str, str], dict[str, bytes]]:
    """Reads the photo that is a request's body, or the one file of its form besides known ones.

    Returns:
        The photo's file, and the texts and the known files of the form, by their names.

    Raises:
        ProblemError: the body is too large, or there is not exactly one photo in it.
    """
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    photos: list[bytes] = []
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        async with read_form(request, max_bytes, max_files=1 + len(known)) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields[name] = value
                elif name in known:
                    files[name] = await value.read()
                else:
                    photos.append(await value.read())
    else:
        photos.append(await _limited(request, max_bytes).body())
    if len(photos) > 1:
        raise ProblemError(
            400, "bad-request", f"there are {len(photos)} pictures: send one at a time"
        )
    if not any(photos):
        raise ProblemError(
            400,
            "no-picture",
            "there is no picture: send its file as the body, or as a file of multipart/form-data",
        )
    return photos[0], fields, files


@asynccontextmanager
async def read_form(
    request: Request, max_bytes: int, *, max_files: int = 0
) -> AsyncIterator[FormData]:
    """Reads a form of a few short fields.

    Raises:
        ProblemError: the body is too large, or its text cannot be decoded as it states.
    """
    try:
        form = await _limited(request, max_bytes).form(
            max_files=max_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
        )
    except UnicodeError as error:  # some of Python's character sets are not for reading
        raise ProblemError(
            400, "bad-request", "the form's charset cannot be read: send it as utf-8"
        ) from error
    try:
        yield form
    finally:
        await form.close()


def _limited(request: Request, max_bytes: int) -> Request:
    """Returns the same request, whose body ends with an error when it grows too long."""
    stated = request.headers.get("content-length", "")
    seen = 0

    def check(size: int) -> None:
        if size > max_bytes:
            limit = f"the request is larger than the limit of {max_bytes / 1e6:g} MB"
            raise ProblemError(413, "too-large", limit)

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        check(seen)
        return message

    check(int(stated[:20]) if stated.isdecimal() else 0)
    return Request(request.scope, receive)
