"""Errors as ``application/problem+json`` (RFC 9457): one clear line, and a code for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from impasto.errors import (
    ImageError,
    ImageTooLargeError,
    ImpastoError,
    MissingExtraError,
    OutputError,
    TemporarySpaceError,
    UnknownStyleError,
    UsageError,
)

PROBLEM: Final = {
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
"""A problem as OpenAPI describes it."""

# Status and code of errors, a kind of errors after its special ones.
_KNOWN: Final = {
    ImageTooLargeError: (413, "too-large"),
    ImageError: (422, "not-a-picture"),
    MissingExtraError: (415, "not-a-picture"),
    UnknownStyleError: (422, "unknown-style"),
    UsageError: (422, "bad-parameter"),
    TemporarySpaceError: (500, "failed"),
    OutputError: (422, "bad-parameter"),
}


class ProblemError(Exception):
    """A problem that is answered in place of a picture.

    Attributes:
        status: of HTTP.
        code: the cause in a word that stays the same, such as ``"busy"``.
        detail: one line for people.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers = dict(headers or {})

    def response(self, request_id: str) -> Response:
        """Returns the answer."""
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
        }
        return Response(
            json.dumps(content, ensure_ascii=False),
            self.status,
            self.headers,
            "application/problem+json",
        )


def problem_of(error: ProblemError | ImpastoError | HTTPException) -> ProblemError:
    """Says whose fault an error is: the sender's, or ours."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        code = "not-found" if error.status_code == 404 else "bad-request"
        return ProblemError(error.status_code, code, str(error.detail), error.headers)
    detail = " ".join(str(error).split())
    status, code = next(
        (known for kind, known in _KNOWN.items() if isinstance(error, kind)), (500, "failed")
    )
    if isinstance(error, MissingExtraError):
        detail += "; or send the picture in another format, such as JPEG"
    return ProblemError(status, code, detail)
