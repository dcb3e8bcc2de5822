"""Errors as ``application/problem+json`` (RFC 9457): one clear line, and a code for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

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


class ProblemError(Exception):
    """What is answered in place of a picture.

    Attributes:
        status: of HTTP.
        code: the cause in a word that stays the same, such as ``"busy"``.
        detail: one line for people.
        headers: that go with it.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Keeps the parts.

        Args:
            status: of HTTP.
            code: the cause in a word.
            detail: one line for people.
            headers: that go with it.
        """
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


def problem_of(error: ImpastoError) -> ProblemError:
    """Says whose fault an error is: that of what was sent, or ours."""
    detail = " ".join(str(error).split())
    if isinstance(error, ImageTooLargeError):
        return ProblemError(413, "too-large", detail)
    if isinstance(error, MissingExtraError):
        return ProblemError(
            415, "not-a-picture", f"{detail}; or send the picture in another format, such as JPEG"
        )
    if isinstance(error, ImageError):
        return ProblemError(422, "not-a-picture", detail)
    if isinstance(error, UnknownStyleError):
        return ProblemError(422, "unknown-style", detail)
    wrong = isinstance(error, (UsageError, OutputError))
    if wrong and not isinstance(error, TemporarySpaceError):
        return ProblemError(422, "bad-parameter", detail)
    return ProblemError(500, "failed", detail)
