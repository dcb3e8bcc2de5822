"""A request id, a log line and metrics for every request; nothing of its content."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impasto.server.pool import WorkerPool
from impasto.server.problems import ProblemError

_LOG: Final = logging.getLogger(__name__)
_REQUEST_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_METHODS: Final = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# Scripts and styles come from this server alone. Pictures may also be made by the page itself
# (blob:), and the page of the documentation has its icons inside its style sheet (data:).
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class JsonLines(logging.Formatter):
    """Writes a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line; what stands in the record's ``fields`` goes into it."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class Metrics:
    """The figures for Prometheus, in a registry of their own."""

    def __init__(self, pool: WorkerPool) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "impasto_requests",
            "Requests that were answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "impasto_request_seconds",
            "From a request's first byte to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "impasto_stage_seconds",
            "Of the stages of work on a picture.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        taken = Gauge(
            "impasto_places_taken", "Requests at work or waiting.", registry=self.registry
        )
        taken.set_function(lambda: pool.taken)
        places = Gauge(
            "impasto_places", "Requests that may be at work or wait.", registry=self.registry
        )
        places.set(pool.places)

    def count(self, route: str, method: str, status: int, elapsed_s: float) -> None:
        """Counts a request that was answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(elapsed_s)

    def count_stages(self, times_s: dict[str, float]) -> None:
        """Counts the stages of a picture's work."""
        for stage, elapsed_s in times_s.items():
            self._stages.labels(stage).observe(elapsed_s)


class Observer:
    """The outermost layer: every answer passes here, and no error goes on from here."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Has a request answered, counts and logs it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = Headers(scope=scope).get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):  # none of a proxy's
            request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        start, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers.setdefault("Cache-Control", "no-store")
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _LOG.exception("failed", extra={"fields": {"request_id": request_id}})
            if status == 0:
                problem = ProblemError(
                    500, "failed", f"something failed here: the log has {request_id}"
                )
                await problem.response(request_id)(scope, receive, send_with_headers)
        elapsed_s = time.perf_counter() - start
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count(route, method, status, elapsed_s)
        fields = {
            "request_id": request_id,
            "method": method,
            "path": scope["path"],
            "status": status,
            "elapsed_ms": round(elapsed_s * 1000, 1),
            **scope["state"].get("log", {}),
        }
        _LOG.info("request", extra={"fields": fields})


def log_fields(state: Any, **fields: object) -> None:
    """Adds to the log line of a request with this state."""
    state.log = {**getattr(state, "log", {}), **fields}
