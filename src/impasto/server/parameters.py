"""What a request may ask for, in its query or as fields of its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from impasto.dials import (
    Choice,
    Dial,
    Dials,
    Enlarging,
    Number,
    Painting,
    PictureFile,
    Switch,
    Text,
    Writing,
    dial,
    dials_of,
)
from impasto.server.problems import ProblemError

PICTURE: Final = {"type": "string", "format": "binary"}

_LONGEST_TEXT: Final = 1000
_NUMBERS: Final = {float: "number", int: "integer"}

_Parameters = TypeVar("_Parameters", bound=Dials)


@dataclass(frozen=True, kw_only=True)
class StylizeParameters(Painting, Writing):
    """How a photo is painted, and by which style."""

    style: str | None = dial(
        Text(
            "A name of /v1/styles, or a blend such as great_wave:0.7,udnie:0.3.",
            otherwise="the first style",
            longest=_LONGEST_TEXT,
        )
    )


@dataclass(frozen=True, kw_only=True)
class UpscaleParameters(Enlarging, Writing):
    """How a photo is enlarged, and by which model."""

    model: str | None = dial(
        Text(
            "An upscaler of /v1/limits.",
            otherwise="the first one for the scale",
            longest=_LONGEST_TEXT,
        )
    )


def offered(kind: type[Dials]) -> dict[str, Dial]:
    """Returns the dials that a request may have: none of this machine's files and memory."""
    return {name: own for name, own in dials_of(kind).items() if not own.local}


def picture_names(kind: type[Dials]) -> list[str]:
    """Returns the names of the dials that are pictures, which only a form can hold."""
    return [name for name, own in offered(kind).items() if isinstance(own, PictureFile)]


def read_parameters(
    kind: type[_Parameters], texts: Mapping[str, str], files: Mapping[str, bytes] | None = None
) -> _Parameters:
    """Reads the parameters of a query or a form.

    Args:
        kind: of the parameters.
        texts: by name.
        files: of the dials that are pictures, by name.

    Raises:
        ProblemError: there is no such parameter.
        UsageError: a text is none of its dial's values.
    """
    pictures = picture_names(kind)
    for name in texts:
        if name in pictures:
            raise ProblemError(
                422, "bad-parameter", f"{name} must be a file of multipart/form-data, not a text"
            )
        if name not in offered(kind):
            raise ProblemError(
                422, "bad-parameter", f"there is no parameter {name!r:.60}: /docs lists them"
            )
    return replace(kind.from_texts(texts), **(files or {}))


def description_of(kind: type[Dials]) -> dict[str, Any]:
    """Describes, for OpenAPI, a query and a body: a form of the same fields, or a picture alone."""
    fields = {name: _schema(own) for name, own in offered(kind).items()}
    query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in fields.items()
        if name not in picture_names(kind)
    ]
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": PICTURE, **fields},
    }
    content = {"multipart/form-data": {"schema": form}, "image/*": {"schema": PICTURE}}
    return {"parameters": query, "requestBody": {"required": True, "content": content}}


def _schema(own: Dial) -> dict[str, Any]:
    otherwise = f" Else {own.otherwise}." if own.otherwise else ""
    schema: dict[str, Any] = {"type": "string", "description": own.help + otherwise}
    if own.default is not None:
        schema["default"] = own.default
    if isinstance(own, PictureFile):
        schema |= PICTURE
    elif isinstance(own, Number):
        schema |= {"type": _NUMBERS[own.kind], "minimum": own.least}
        schema |= {} if own.most is None else {"maximum": own.most}
    elif isinstance(own, Choice):
        number = isinstance(own.choices[0], int)
        schema |= {"type": "integer" if number else "string", "enum": list(own.choices)}
    elif isinstance(own, Switch):
        schema["type"] = "boolean"
    elif isinstance(own, Text):
        schema["maxLength"] = own.longest
    return schema
