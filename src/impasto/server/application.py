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
from impasto.server.gallery import Gallery
from impasto.server.guard import Guard
from impasto.server.observing import Metrics, Observer
from impasto.server.pictures import Service, picture_routes
from impasto.server.pool import WorkerPool
from impasto.server.problems import ProblemError, problem_of
from impasto.server.routes import health_routes, list_routes, page_routes
from impasto.server.settings import ServerSettings

_DESCRIPTION: Final = (
    "Paints photos in the style of a painting. A picture is sent as the body of a request, or as "
    "the file of a form, with parameters in the query or in the form's fields."
)

# FastAPI can send traces, metrics and logs to a collector that the environment names.
_NO_TELEMETRY: Final[Any] = dict.fromkeys(("tracing", "metrics", "logs", "auto_configure"), False)


def create_app(settings: ServerSettings) -> FastAPI:
    """Makes the service, an ASGI application.

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
        exception_handlers=dict.fromkeys((ProblemError, ImpastoError, HTTPException), _answer),
        telemetry=_NO_TELEMETRY,
    )
    for routes in (picture_routes, list_routes, health_routes, page_routes):
        app.include_router(routes(service))
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


async def _answer(request: Request, error: Any) -> Response:
    return problem_of(error).response(request.state.request_id)
