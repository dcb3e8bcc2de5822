"""What people open beside the page itself: signing in, the documentation, the metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from impasto.server.guard import COOKIE, SIGN_IN, is_token, session_of
from impasto.server.problems import ProblemError
from impasto.server.service import Service
from impasto.server.uploads import read_form

_PAGE_FOLDER: Final = Path(__file__).parent / "page"

# Of FastAPI's own documentation page, which would load them from another machine.
_SWAGGER_FOLDER: Final = Path(fastapi_offline.__file__).parent / "static"
_SWAGGER_FILES: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
_LONGEST_FORM_BYTES: Final = 10_000
_FORM_TIME_LIMIT_S: Final = 10.0
_WRONG: Final = '<p role="alert">That is not the token. <span lang="zh">令牌不对。</span></p>'


def site_routes(service: Service) -> APIRouter:
    """Returns the pages of one service."""
    router = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=_PAGE_FOLDER)

    async def page_file(request: Request, name: str = "index.html") -> Response:
        response = await files.get_response(name, request.scope)
        response.headers["Cache-Control"] = "no-cache"  # asked each time whether it has changed
        return response

    _add_sign_in(router, service)

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


def _add_sign_in(router: APIRouter, service: Service) -> None:
    @router.get(SIGN_IN)
    async def sign_in() -> HTMLResponse:
        return _sign_in_page()

    @router.post(SIGN_IN)
    async def signed_in(request: Request) -> Response:
        token = service.settings.token
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
    """Reads the form, which anybody may send.

    Raises:
        ProblemError: it comes too slowly, is too large or cannot be decoded.
    """
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
