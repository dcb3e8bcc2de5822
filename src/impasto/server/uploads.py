"""Taking a picture out of a request; nothing that the request says about it is trusted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.types import Message

from impasto.server.problems import ProblemError

_MAX_FIELDS: Final = 20
_MAX_FIELD_BYTES: Final = 10_000


class Upload(NamedTuple):
    """What a request brought.

    Attributes:
        picture: the content of the picture's file.
        fields: the form's texts.
        files: the content of the form's files that are parameters.
    """

    picture: bytes
    fields: dict[str, str]
    files: dict[str, bytes]


async def read_upload(request: Request, max_bytes: int, *, known: Collection[str]) -> Upload:
    """Reads the picture that is a request's body, or the one file of its form besides others.

    Args:
        request: of which nothing has been read.
        max_bytes: largest body.
        known: names of files that are parameters.

    Raises:
        ProblemError: the body is too large, or there is not exactly one picture in it.
    """
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    pictures: list[bytes] = []
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        picture = await limited(request, max_bytes).body()
    else:
        async with read_form(request, max_bytes, max_files=1 + len(known)) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields[name] = value
                elif name in known:
                    files[name] = await value.read()
                else:
                    pictures.append(await value.read())
        if len(pictures) > 1:
            raise ProblemError(
                400, "bad-request", f"there are {len(pictures)} pictures: send one at a time"
            )
        picture = pictures[0] if pictures else b""
    if not picture:
        raise ProblemError(
            400,
            "no-picture",
            "there is no picture: send its file as the body, or as a file of multipart/form-data",
        )
    return Upload(picture, fields, files)


@asynccontextmanager
async def read_form(
    request: Request, max_bytes: int, *, max_files: int = 0
) -> AsyncIterator[FormData]:
    """Reads a form of a few short fields.

    Args:
        request: of which nothing has been read.
        max_bytes: largest body.
        max_files: how many files there may be.

    Raises:
        ProblemError: the body is too large, or its text cannot be decoded as it states.
    """
    try:
        form = await limited(request, max_bytes).form(
            max_files=max_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
        )
    except UnicodeError as error:  # some of Python's character sets are not for reading
        raise ProblemError(
            400, "bad-request", "the form's charset cannot be read: send it as utf-8"
        ) from error
    try:
        yield form
    finally:
        await form.close()


def limited(request: Request, max_bytes: int) -> Request:
    """Returns the same request, whose body ends with an error when it grows too long.

    Args:
        request: of which nothing has been read.
        max_bytes: largest body.

    Raises:
        ProblemError: the body is stated to be larger.
    """
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > max_bytes:
            raise _too_long(max_bytes)
        return message

    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > max_bytes:
        raise _too_long(max_bytes)
    return Request(request.scope, receive)


def _too_long(max_bytes: int) -> ProblemError:
    return ProblemError(
        413, "too-large", f"the request is larger than the limit of {max_bytes / 1e6:g} MB"
    )
