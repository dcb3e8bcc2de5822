"""The service: its layers and its answers to errors, and running it until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from impasto._version import __version__
from impasto.errors import ImpastoError, UsageError
from impasto.server.gallery import Gallery
from impasto.server.guard import Guard
from impasto.server.observing import JsonLines, Metrics, Observer
from impasto.server.pictures import Service, picture_routes
from impasto.server.pool import WorkerPool
from impasto.server.problems import ProblemError, problem_of
from impasto.server.routes import health_routes, list_routes, page_routes
from impasto.server.settings import ServerSettings

_LOGGERS: Final = ("impasto.server", "uvicorn.error")
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_WAITING_CONNECTIONS: Final = 2048

# Beside the queue, which answers for itself: the page, the metrics, requests still to be refused.
_SPARE_CONNECTIONS: Final = 512

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


class _Server(uvicorn.Server):
    """A server that tells when it answers."""

    def __init__(self, config: uvicorn.Config, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()


def run(
    settings: ServerSettings,
    started: Callable[[str], None],
    *,
    finish_s: float | None = None,
    log_level: int = logging.INFO,
) -> None:
    """Serves until SIGINT or SIGTERM, and then finishes the requests that it has begun.

    Args:
        settings: where to listen, whom to answer and how much to take on.
        started: told the page's address once requests are answered.
        finish_s: limit for those requests; None is that of any request.
        log_level: of the log on stderr.

    Raises:
        UsageError: a setting cannot be used, or the port is taken.
        ModelError: a model file cannot be used.
    """
    settings.check()
    with _listen(settings.host, settings.port) as listener:
        _log_to_stderr(log_level)
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
            limit_concurrency=settings.worker_count + settings.queue + _SPARE_CONNECTIONS,
            timeout_graceful_shutdown=math.ceil(
                settings.time_limit_s if finish_s is None else finish_s
            ),
        )
        address = page_address(settings.host, listener.getsockname()[1])
        server = _Server(config, lambda: started(address))
        with _stopping_is_no_failure():
            server.run(sockets=[listener])


def page_address(host: str, port: int) -> str:
    """Returns the address that a browser on this machine opens."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}/"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_WAITING_CONNECTIONS)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port} ({error.strerror or error}): choose another "
            "--port, or --port 0 for any free one"
        ) from error


@contextmanager
def _stopping_is_no_failure() -> Iterator[None]:
    """Ignores what uvicorn raises again once it has stopped because of it."""
    before = {number: signal.signal(number, lambda *_: None) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
