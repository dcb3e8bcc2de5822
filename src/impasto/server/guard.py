"""Who is answered: the Host header, the token, and the origin of what changes or costs something.

A browser shows the token once, on the page of `sign-in`, and then carries a cookie that is made
from it; programs send ``Authorization: Bearer TOKEN``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from impasto.server.problems import ProblemError
from impasto.server.settings import ServerSettings

COOKIE: Final = "impasto_session"
SIGN_IN: Final = "/sign-in"

_HEALTH: Final = ("/healthz", "/readyz")
_WITHOUT_TOKEN: Final = (*_HEALTH, SIGN_IN, "/style.css", "/icon.svg")
_READING: Final = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses requests before anything of them is read but their headers."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app, self._settings = app, settings
        self._hosts = settings.answered_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        answer: ASGIApp | None = None
        if scope["type"] == "http":
            request = Request(scope)
            try:
                answer = self._check(request)
            except ProblemError as problem:
                answer = problem.response(request.state.request_id)
        await (answer or self._app)(scope, receive, send)

    def _check(self, request: Request) -> Response | None:
        """Returns the way to the page of the token, for people; programs get a problem."""
        path = request.scope["path"]
        if path in _HEALTH:  # asked by whatever address a container has
            return None
        if host_of(request.headers.get("host", "")) not in self._hosts:
            raise ProblemError(
                421,
                "unknown-host",
                "this service is not answering to that name: --allow-host NAME lets it",
            )
        if request.method not in _READING and not is_same_origin(
            request, self._settings.cors_origins
        ):
            raise ProblemError(
                403, "foreign-origin", "the request comes from another site's page: it is refused"
            )
        token = self._settings.token
        if token is None or path in _WITHOUT_TOKEN or _carries(request, token):
            return None
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(request.scope.get("root_path", "") + SIGN_IN, 303)
        raise ProblemError(
            401,
            "no-token",
            "this service asks for a token: send it as Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )


def host_of(header: str) -> str:
    """Returns the name in a Host header, in small letters and without the port."""
    name, colon, port = header.lower().rpartition(":")
    return name if colon and port.isdecimal() else header.lower()


def is_same_origin(request: Request, others: Collection[str]) -> bool:
    """Tells whether a request comes from no page, this service's own or one of other origins."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    if origin in others:
        return True
    try:
        place = urlsplit(origin).netloc
    except ValueError:  # brackets without an address between them
        return False
    # Not the scheme, which a proxy that speaks HTTPS for us may not have told.
    return place.lower() == request.headers.get("host", "").lower()


def is_token(given: str, token: str) -> bool:
    """Compares two tokens, in a time that says nothing about where they differ."""
    return hmac.compare_digest(_digest(given), _digest(token))


def session_of(token: str) -> str:
    """Returns the cookie of a browser that has shown the token."""
    return hmac.new(token.encode(), b"impasto session", hashlib.sha256).hexdigest()


def _carries(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and is_token(given.strip(), token):
        return True
    return is_token(request.cookies.get(COOKIE, ""), session_of(token))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
