"""The endpoints for programs, which the page uses too: everything under ``/v1``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from impasto.dials import FORMATS, Dial, Number, Painting
from impasto.runtime.changes import Change, Enlarger, Painter
from impasto.server.parameters import (
    PICTURE,
    StylizeParameters,
    UpscaleParameters,
    description_of,
    offered,
)
from impasto.server.problems import ProblemError
from impasto.server.service import Service


class StyleEntry(BaseModel):
    """One style."""

    name: str
    title: str
    artist: str
    year: str
    licence: str
    thumbnail: str
    blends_with: list[str]


class StyleList(BaseModel):
    """All styles; the first one is the default."""

    styles: list[StyleEntry]


class UpscalerEntry(BaseModel):
    """One upscaling model and what it can enlarge by."""

    name: str
    scales: list[int]


class Control(BaseModel):
    """A dial of painting that has a position: a slider, or a switch where it has no ends."""

    name: str
    default: float | bool
    least: float | None = None
    most: float | None = None
    by_factors: bool = False


class Limits(BaseModel):
    """What the service takes on."""

    max_upload_bytes: int
    max_pixels: int
    time_limit_s: float
    formats: list[str]
    upscalers: list[UpscalerEntry]
    dials: list[Control]


class State(BaseModel):
    """How the service is."""

    status: Literal["ok", "ready", "starting", "busy"]


_PROBLEM: Final = {
    "description": "What is wrong, in one line.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "status": {"type": "integer"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "request_id": {"type": "string"},
                },
            }
        }
    },
}
_STATUSES: Final = (400, 401, 413, 415, 422, 500, 503, 504)
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The picture. The header Server-Timing says how long each stage took.",
        "content": {f"image/{name}": {"schema": PICTURE} for name in FORMATS},
    },
    **dict.fromkeys(_STATUSES, _PROBLEM),
}


def api_routes(service: Service) -> APIRouter:
    """Returns the endpoints of one service."""
    router = APIRouter()
    for tag, add in (("Pictures", _add_pictures), ("Lists", _add_lists), ("Health", _add_health)):
        part = APIRouter(tags=[tag])
        add(part, service)
        router.include_router(part)
    return router


def _add_pictures(router: APIRouter, service: Service) -> None:
    settings = service.settings

    @router.post(
        "/v1/stylize",
        summary="Paint a photo in a style, or in a blend of styles",
        response_class=Response,
        responses=_ANSWERS,
        openapi_extra=description_of(StylizeParameters),
    )
    async def stylize(request: Request) -> Response:
        def prepare(asked: StylizeParameters) -> Change:
            dials = replace(asked, memory=settings.picture_memory)
            return Painter(service.gallery.painter(asked.style), dials, settings.max_pixels)

        return await service.picture(request, StylizeParameters, prepare)

    @router.post(
        "/v1/upscale",
        summary="Enlarge a photo",
        response_class=Response,
        responses={**_ANSWERS, 501: _PROBLEM},
        openapi_extra=description_of(UpscaleParameters),
    )
    async def upscale(request: Request) -> Response:
        def prepare(asked: UpscaleParameters) -> Change:
            model = service.gallery.upscaler(asked.model, asked.scale)
            return Enlarger(model, asked, settings.max_pixels)

        return await service.picture(request, UpscaleParameters, prepare)


def _add_lists(router: APIRouter, service: Service) -> None:
    gallery = service.gallery

    @router.get("/v1/styles", summary="List the styles")
    async def styles() -> StyleList:
        return StyleList(
            styles=[
                StyleEntry(
                    name=style.name,
                    title=style.title,
                    artist=style.artist,
                    year=style.year,
                    licence=style.licence,
                    thumbnail=f"v1/styles/{quote(style.name)}/thumbnail",
                    blends_with=gallery.blends_with(style.name),
                )
                for style in gallery.styles.values()
            ]
        )

    @router.get(
        "/v1/styles/{name}/thumbnail",
        summary="Show the example photo in a style",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {"schema": PICTURE}}}, 404: _PROBLEM},
    )
    async def thumbnail(name: str) -> Response:
        if name not in gallery.styles:
            raise ProblemError(404, "unknown-style", f"there is no style {name!r:.100}")
        data = await asyncio.shield(asyncio.wrap_future(gallery.thumbnail(name)))
        return Response(
            data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
        )

    @router.get("/v1/example", summary="Get the photo of the thumbnails", response_class=Response)
    async def example() -> FileResponse:
        return FileResponse(service.settings.example_photo)

    @router.get("/v1/limits", summary="Say what the service takes on, and its upscaling models")
    async def limits() -> Limits:
        scales: dict[str, list[int]] = {}
        for name, scale in gallery.upscalers:
            scales.setdefault(name, []).append(scale)
        return Limits(
            max_upload_bytes=service.settings.max_upload_bytes,
            max_pixels=service.settings.max_pixels,
            time_limit_s=service.settings.time_limit_s,
            formats=list(FORMATS),
            upscalers=[UpscalerEntry(name=name, scales=known) for name, known in scales.items()],
            dials=[
                _control(name, own)
                for name, own in offered(Painting).items()
                if own.default is not None
            ],
        )


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("/healthz", summary="Say that the service is alive")
    async def healthz() -> State:
        return State(status="ok")

    @router.get(
        "/readyz",
        summary="Say whether the service takes on work",
        description="Not before all thumbnails are painted, nor while no place is free.",
        responses={503: {"model": State}},
    )
    async def readyz(response: Response) -> State:
        if service.gallery.waiting_thumbnails:
            response.status_code = 503
            return State(status="starting")
        if service.pool.taken >= service.pool.places:
            response.status_code = 503
            return State(status="busy")
        return State(status="ready")


def _control(name: str, own: Dial) -> Control:
    if not isinstance(own, Number):
        return Control(name=name, default=own.default)
    return Control(
        name=name,
        default=own.default,
        least=own.least,
        most=own.most,
        by_factors=own.by_factors,
    )
