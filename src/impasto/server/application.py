"""The application: its layers, its answers to errors, and what happens at its start and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from impasto._version import __version__
from impasto.errors import ImpastoError
from impasto.server.api import api_routes
from impasto.server.gallery import Gallery
from impasto.server.guard import Guard
from impasto.server.observing import Metrics, Observer
from impasto.server.pool import WorkerPool
from impasto.server.problems import ProblemError, problem_of
from impasto.server.service import Service
from impasto.server.settings import ServerSettings
from impasto.server.site import site_routes

_DESCRIPTION: Final = (
    "Paints photos in the style of a painting. A picture is sent as the body of a request, or as "
    "the file of a form, with parameters in the query or in the form's fields."
)

# FastAPI can send traces, metrics and logs to a collector that the environment names.
_NO_TELEMETRY: Final[Any] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


def create_app(settings: ServerSettings) -> FastAPI:
    """Makes the service.

    Args:
        settings: where it listens, whom it answers and how much it takes on.

    Returns:
        An ASGI application.

    Raises:
        UsageError: a setting cannot be used.
        ModelError: a model file cannot be used.
    """
    settings.check()
    pool = WorkerPool(settings.worker_count, settings.queue)
    service = Service(settings, Gallery(settings), pool, Metrics(pool))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.gallery.start_thumbnails(pool, settings.example_photo)
        yield
        await asyncio.to_thread(pool.close)

    app = FastAPI(
        title="Impasto",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        exception_handlers=_exception_handlers(),
        telemetry=_NO_TELEMETRY,
    )
    app.include_router(api_routes(service))
    app.include_router(site_routes(service))
    app.add_middleware(Guard, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Server-Timing", "X-Request-ID", "Retry-After"],
        )
    app.add_middleware(Observer, metrics=service.metrics)
    return app


def _exception_handlers() -> dict[Any, Any]:
    def answer(request: Request, problem: ProblemError) -> Response:
        return problem.response(request.state.request_id)

    def own(request: Request, error: ProblemError) -> Response:
        return answer(request, error)

    def ours(request: Request, error: ImpastoError) -> Response:
        return answer(request, problem_of(error))

    def plain(request: Request, error: HTTPException) -> Response:
        code = "not-found" if error.status_code == 404 else "bad-request"
        headers = dict(error.headers or {})
        return answer(request, ProblemError(error.status_code, code, str(error.detail), headers))

    return {
        ProblemError: own,
        ImpastoError: ours,
        HTTPException: plain,
    }
