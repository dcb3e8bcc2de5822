"""What a request may ask for, in its query or as fields of its form."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from impasto.images.writing import FORMAT_BY_SUFFIX
from impasto.runtime.dials import LARGEST_STRENGTH, LARGEST_STROKE_SIZE, SMALLEST_STROKE_SIZE
from impasto.server.problems import problem_of_parameters

FormatName: TypeAlias = Literal["jpeg", "png", "webp", "tiff", "avif", "bmp"]

_LONGEST_TEXT: Final = 1000

_Parameters = TypeVar("_Parameters", bound=BaseModel)


def _whole_number(value: object) -> object:
    """Reads the text of a query, which is no literal number yet."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class Output(BaseModel):
    """How a result is written."""

    model_config = ConfigDict(extra="forbid")

    format: FormatName | None = Field(None, description="Of the result; else the photo's own.")
    quality: int | None = Field(
        None, ge=1, le=100, description="Of jpeg, webp and avif; else 95, and 90 for avif."
    )

    def format_for(self, photo_format: str) -> str:
        """Returns Pillow's name of the result's format."""
        return photo_format if self.format is None else FORMAT_BY_SUFFIX[f".{self.format}"]


class StylizeParameters(Output):
    """How a photo is painted: the dials of ``impasto stylize``."""

    style: str | None = Field(
        None,
        max_length=_LONGEST_TEXT,
        description="A name of /v1/styles, or a blend such as great_wave:0.7,udnie:0.3; "
        "else the first style.",
    )
    strength: float = Field(
        1.0,
        ge=0,
        le=LARGEST_STRENGTH,
        description="0 is the photo, 1 the painting; beyond it there is more of it.",
    )
    stroke_size: float = Field(
        1.0,
        ge=SMALLEST_STROKE_SIZE,
        le=LARGEST_STROKE_SIZE,
        description="Multiplies the brush strokes.",
    )
    keep_colors: bool = Field(False, description="Keep the photo's colours.")
    max_size: int | None = Field(
        None, ge=1, le=65_500, description="Make a larger photo smaller: no side above this."
    )


class UpscaleParameters(Output):
    """How a photo is enlarged: the dials of ``impasto upscale``."""

    scale: Annotated[Literal[2, 4, 8], BeforeValidator(_whole_number)] = Field(
        2, description="How many times as wide and high."
    )
    model: str | None = Field(
        None,
        max_length=_LONGEST_TEXT,
        description="An upscaler of /v1/limits; else the first one for the scale.",
    )
    match_histogram: bool = Field(
        False, description="Give the result the photo's distribution of colours."
    )


def with_fields(parameters: _Parameters, fields: dict[str, str]) -> _Parameters:
    """Returns the parameters of a query with those of a form, which go before them.

    Raises:
        ProblemError: a field is none of the parameters, or out of its range.
    """
    if not fields:
        return parameters
    stated: dict[str, Any] = {
        name: getattr(parameters, name) for name in parameters.model_fields_set
    }
    try:
        return type(parameters).model_validate(stated | fields)
    except ValidationError as error:
        raise problem_of_parameters(error.errors()) from error
