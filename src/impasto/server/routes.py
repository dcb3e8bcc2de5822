"""The endpoints beside those of pictures: lists, health, and the pages that people open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import fastapi_offline
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from impasto.dials import FORMATS, Dial, Number, Painting
from impasto.server.guard import COOKIE, SIGN_IN, is_token, session_of
from impasto.server.pictures import PICTURE, Service, offered, read_form
from impasto.server.problems import PROBLEM, ProblemError

_PAGE_FOLDER: Final = Path(__file__).parent / "page"

# Of FastAPI's own documentation page, which would load them from another machine.
_SWAGGER_FOLDER: Final = Path(fastapi_offline.__file__).parent / "static"
_SWAGGER_FILES: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
_LONGEST_FORM_BYTES: Final = 10_000
_FORM_TIME_LIMIT_S: Final = 10.0
_WRONG: Final = '<p role="alert">That is not the token. <span lang="zh">令牌不对。</span></p>'


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


def list_routes(service: Service) -> APIRouter:
    """Returns the endpoints that say what a service has and takes on."""
    router = APIRouter(tags=["Lists"])
    gallery, settings = service.gallery, service.settings

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
        responses={200: {"content": {"image/jpeg": {"schema": PICTURE}}}, 404: PROBLEM},
    )
    async def thumbnail(name: str) -> Response:
        if name not in gallery.styles:
            raise ProblemError(404, "unknown-style", f"there is no style {name!r:.100}")
        data = await asyncio.shield(asyncio.wrap_future(gallery.thumbnails[name]))
        return Response(
            data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
        )

    @router.get("/v1/example", summary="Get the photo of the thumbnails", response_class=Response)
    async def example() -> FileResponse:
        return FileResponse(settings.example_photo)

    @router.get("/v1/limits", summary="Say what the service takes on, and its upscaling models")
    async def limits() -> Limits:
        scales: dict[str, list[int]] = {}
        for name, scale in gallery.upscalers:
            scales.setdefault(name, []).append(scale)
        dials = offered(Painting).items()
        return Limits(
            max_upload_bytes=settings.max_upload_bytes,
            max_pixels=settings.max_pixels,
            time_limit_s=settings.time_limit_s,
            formats=list(FORMATS),
            upscalers=[UpscalerEntry(name=name, scales=known) for name, known in scales.items()],
            dials=[_control(name, own) for name, own in dials if own.default is not None],
        )

    return router


def _control(name: str, own: Dial) -> Control:
    ends: dict[str, Any] = {}
    if isinstance(own, Number):
        ends = {"least": own.least, "most": own.most, "by_factors": own.by_factors}
    return Control(name=name, default=own.default, **ends)


def health_routes(service: Service) -> APIRouter:
    """Returns the endpoints that say whether a service lives and takes on work."""
    router = APIRouter(tags=["Health"])

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
        starting = not all(thumbnail.done() for thumbnail in service.gallery.thumbnails.values())
        if not starting and service.pool.taken < service.pool.places:
            return State(status="ready")
        response.status_code = 503
        return State(status="starting" if starting else "busy")

    return router


def page_routes(service: Service) -> APIRouter:
    """Returns the web page of a service, its documentation, its metrics, and signing in."""
    router = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=_PAGE_FOLDER)

    async def page_file(request: Request, name: str = "index.html") -> Response:
        response = await files.get_response(name, request.scope)
        response.headers["Cache-Control"] = "no-cache"  # asked each time whether it has changed
        return response

    _add_sign_in(router, service.settings.token)

    @router.get("/docs")
    async def docs() -> FileResponse:
        return FileResponse(_PAGE_FOLDER / "docs.html")

    @router.get("/docs/{name}")
    async def docs_file(name: str) -> FileResponse:
        if name not in _SWAGGER_FILES:
            raise ProblemError(404, "not-found", "there is no such file")
        return FileResponse(_SWAGGER_FOLDER / name)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    for path in ("/", "/{name}"):  # the last ones: any name that is none of the others
        router.add_api_route(path, page_file, methods=["GET", "HEAD"])
    return router


def _add_sign_in(router: APIRouter, token: str | None) -> None:
    @router.get(SIGN_IN)
    async def sign_in() -> HTMLResponse:
        return _sign_in_page()

    @router.post(SIGN_IN)
    async def signed_in(request: Request) -> Response:
        given = await _given_token(request)
        if token is not None and not is_token(given, token):
            return _sign_in_page(_WRONG, 401)
        response = RedirectResponse(request.scope.get("root_path", "") + "/", 303)
        if token is not None:
            response.set_cookie(
                COOKIE,
                session_of(token),
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return response


async def _given_token(request: Request) -> str:
    """Reads the form, which anybody may send; it may be slow, too large or no text."""
    try:
        async with (
            asyncio.timeout(_FORM_TIME_LIMIT_S),
            read_form(request, _LONGEST_FORM_BYTES) as form,
        ):
            return str(form.get("token", ""))
    except TimeoutError as error:
        raise ProblemError(
            504,
            "time-limit",
            f"the form took longer than the limit of {_FORM_TIME_LIMIT_S:g} s: send it again",
        ) from error


def _sign_in_page(message: str = "", status: int = 200) -> HTMLResponse:
    page = (_PAGE_FOLDER / "sign_in.html").read_text(encoding="utf-8")
    return HTMLResponse(page.replace("<!-- message -->", message), status)
