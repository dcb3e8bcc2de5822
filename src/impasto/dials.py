"""The dials: everything that a caller may choose about a picture, each in one field.

`Painting`, `Enlarging` and `Writing` hold them. Default, range, unit and help stand in the field,
and every front reads them there: the options of the commands, the parameters of the HTTP service
and its description, the controls of the web page, and the keyword arguments of the Python calls.
All of them check by `Dial.check`, so that the same fault has the same words everywhere.

To add a dial, add its field here, to the class and to its keywords, and use it where pictures are
painted, enlarged or written. The page also needs its name in ``server/page/texts.js``.
"""

from __future__ import annotations

import inspect
import math
import numbers
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    ClassVar,
    Final,
    Self,
    TypeAlias,
    TypedDict,
    TypeVar,
)

from impasto.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

MaskSource: TypeAlias = (
    "str | Path | bytes | BinaryIO | Image | NDArray[np.uint8] | NDArray[np.bool_]"
)

FORMATS: Final = ("jpeg", "png", "webp", "tiff", "avif", "bmp")
_TRUTHS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on", "y", "t"), True),
    **dict.fromkeys(("false", "0", "no", "off", "n", "f"), False),
}
_UNIT_BYTES: Final = {"M": 2**20, "G": 2**30}

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Dial(ABC):
    """What a dial does and which values it takes.

    Attributes:
        help: what it does, in a sentence.
        default: the value where none is given.
        otherwise: what the default None stands for, in words.
        local: of the machine that does the work, such as a file on it; not offered over HTTP.
    """

    help: str
    default: Any = None
    _: KW_ONLY
    otherwise: str = ""
    local: bool = False
    word: ClassVar[str] = ""
    """What stands for the values in a help, where it does not list them."""

    @property
    def values(self) -> str:
        """The values as a help shows them: ``0..1.5``, ``2|4|8``, ``PX``."""
        return self.word

    def read(self, name: str, text: str) -> Any:
        """Turns the text of a command line or a request into a value.

        Args:
            name: of the dial, as the caller wrote it: ``--stroke-size`` or ``stroke_size``.
            text: what was given.

        Raises:
            UsageError: it is none of the dial's values.
        """
        try:
            value = self._parsed(text)
        except ValueError:
            value = text
        return self.check(name, value)

    def check(self, name: str, value: Any) -> Any:
        """Returns a value, a number as Python's own; None only where that is the default.

        Raises:
            UsageError: it is none of the dial's values; the message begins with ``name``.
        """
        if value is None and self.default is None:
            return None
        value = self._own(value)
        if rule := self._broken(value):
            raise UsageError(f"{name} must {rule}, not {value!r:.60}")
        return value

    def _parsed(self, text: str) -> Any:
        """Reads text; a ValueError says that it is none of the kind."""
        return text

    def _own(self, value: Any) -> Any:
        """Returns Python's own form of a value of another library's."""
        return value

    @abstractmethod
    def _broken(self, value: Any) -> str:
        """Says what a value must do and does not; nothing where it is one of the dial's."""


@dataclass(frozen=True)
class Number(Dial):
    """A number.

    Attributes:
        kind: float or int.
        least: lowest value.
        most: highest value; None sets no limit.
        unit: what it counts.
        by_factors: equal steps multiply by equal factors, as from 1 by way of 2 to 4.
    """

    _: KW_ONLY
    kind: type[float] | type[int] = float
    least: float = 0
    most: float | None = None
    unit: str = "n"
    by_factors: bool = False

    @property
    def values(self) -> str:
        """The range, or else the unit."""
        if self.word:
            return self.word
        return self.unit.upper() if self.most is None else f"{self.least:g}..{self.most:g}"

    def _own(self, value: Any) -> Any:
        wanted = numbers.Real if self.kind is float else numbers.Integral
        is_number = isinstance(value, wanted) and not isinstance(value, bool)
        return self.kind(value) if is_number else value

    def _parsed(self, text: str) -> Any:
        return self.kind(text)

    def _broken(self, value: Any) -> str:
        least, most = f"{self.least:g}", "" if self.most is None else f"{self.most:g}"
        if not isinstance(value, self.kind) or isinstance(value, bool):
            kind = "a number" if self.kind is float else "a whole number"
            return f"be {kind} from {least} to {most}" if most else f"be {kind} of at least {least}"
        if self.least <= value <= (self.most or math.inf):
            return ""
        return f"lie between {least} and {most}" if most else f"be at least {least}"


Count: Final = partial(Number, kind=int, least=1)
"""A whole number of at least 1."""


@dataclass(frozen=True)
class Size(Number):
    """A number of bytes, which text gives as MiB or GiB."""

    kind: type[int] = int
    unit: str = "bytes"
    word = "SIZE"

    def read(self, name: str, text: str) -> Any:
        """Turns text such as ``512MiB`` into bytes, at least 1 MiB."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG])iB", text.strip(), re.IGNORECASE)
        size = float(match[1]) * _UNIT_BYTES[match[2].upper()] if match else 0
        if not 2**20 <= size <= 2**50:
            raise UsageError(f"{name} must be a size such as 512MiB or 2GiB, not {text!r:.60}")
        return int(size)


@dataclass(frozen=True)
class Choice(Dial):
    """One of ``choices``, words or whole numbers; ``other_names`` of them are for texts."""

    _: KW_ONLY
    choices: tuple[str, ...] | tuple[int, ...]
    other_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> str:
        """All of them."""
        return "|".join(map(str, self.choices))

    def _parsed(self, text: str) -> Any:
        if isinstance(self.choices[0], int):
            return int(text)
        word = self.other_names.get(text.lower(), text.lower())
        return word if word in self.choices else text

    def _broken(self, value: Any) -> str:
        if type(value) is type(self.choices[0]) and value in self.choices:
            return ""
        *others, last = map(str, self.choices)
        return f"be {', '.join(others)} or {last}"


@dataclass(frozen=True)
class Switch(Dial):
    """True or false."""

    default: bool = False
    word = "true|false"

    def _own(self, value: Any) -> Any:
        return bool(value) if type(value).__name__ in ("bool", "bool_") else value  # NumPy's too

    def _parsed(self, text: str) -> Any:
        return _TRUTHS.get(text.lower(), text)

    def _broken(self, value: Any) -> str:
        return "" if isinstance(value, bool) else "be true or false"


@dataclass(frozen=True)
class Text(Dial):
    """Words of any kind, at most ``longest`` characters."""

    _: KW_ONLY
    longest: int
    word = "TEXT"

    def _broken(self, value: Any) -> str:
        fits = isinstance(value, str) and len(value) <= self.longest
        return "" if fits else f"be a text of at most {self.longest} characters"


@dataclass(frozen=True)
class PictureFile(Dial):
    """The path of a picture; in Python, also a picture of any kind that its reader knows."""

    word = "FILE"

    def _parsed(self, text: str) -> Any:
        return Path(text) if text else text

    def _broken(self, value: Any) -> str:
        return "be the file of a picture" if isinstance(value, str) and value == "" else ""


def dial(own: Dial) -> Any:
    """A dataclass field that is a dial."""
    return field(default=own.default, metadata={"dial": own})


@dataclass(frozen=True, kw_only=True)
class Dials:
    """Base of the dataclasses whose fields are dials."""

    def __post_init__(self) -> None:
        """Checks every field; a value that is none of its dial's is a UsageError."""
        for name, own in dials_of(type(self)).items():
            object.__setattr__(self, name, own.check(name, getattr(self, name)))

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Reads dials by their names; a text that is no value of its dial is a UsageError."""
        known = dials_of(cls)
        return cls(**{name: known[name].read(name, text) for name, text in texts.items()})


@dataclass(frozen=True, kw_only=True)
class Painting(Dials):
    """How a picture is painted."""

    strength: float = dial(
        Number("0 leaves the picture, 1 paints it fully, more is more.", 1.0, most=1.5)
    )
    stroke_size: float = dial(
        Number("Multiplies the brush strokes.", 1.0, least=0.5, most=4, by_factors=True)
    )
    keep_colors: bool = dial(Switch("Keep the picture's own colours."))
    mask: MaskSource | None = dial(
        PictureFile("Paint where this picture is white, leave the other one where it is black.")
    )
    memory: int | None = dial(
        Size(
            "What a picture and its result may take; larger ones are worked on in temporary "
            "files, with the same result.",
            otherwise="1GiB",
            local=True,
        )
    )
    max_size: int | None = dial(
        Count("Make larger pictures smaller: no side above this.", unit="px")
    )


@dataclass(frozen=True, kw_only=True)
class Enlarging(Dials):
    """How a picture is enlarged."""

    scale: int = dial(Choice("How many times as wide and high.", 2, choices=(2, 4, 8)))
    match_histogram: bool = dial(Switch("Give each result its picture's distribution of colours."))
    tile: int | None = dial(
        Count(
            "Work on pieces of this size; smaller ones take less memory and more time.",
            otherwise="by the picture's size",
            unit="px",
            local=True,
        )
    )


@dataclass(frozen=True, kw_only=True)
class Writing(Dials):
    """How a result is written, and how large it may be."""

    format: str | None = dial(
        Choice(
            "Format of the results.",
            otherwise="the picture's own",
            choices=FORMATS,
            other_names={"jpg": "jpeg", "tif": "tiff"},
        )
    )
    quality: int | None = dial(
        Count("Of results in jpeg, webp and avif.", otherwise="95, 90 for avif", most=100)
    )
    max_pixels: int | None = dial(
        Count("Refuse pictures and results with more pixels.", otherwise="200 million", local=True)
    )
    overwrite: bool = dial(Switch("Replace results that are already there.", local=True))

    @property
    def pillow_format(self) -> str | None:
        """Pillow's name of the format of every result; None keeps the picture's."""
        return None if self.format is None else self.format.upper()


class PaintingKeywords(TypedDict, total=False):
    """`Painting` as keyword arguments."""

    strength: float
    stroke_size: float
    keep_colors: bool
    mask: MaskSource | None
    memory: int | None
    max_size: int | None


class CallKeywords(PaintingKeywords, total=False):
    """What a call that also reads the picture takes."""

    max_pixels: int | None


class EnlargingKeywords(TypedDict, total=False):
    """`Enlarging` as keyword arguments, with the limit, for a picture that is read too."""

    scale: int
    match_histogram: bool
    max_pixels: int | None


def without_limit(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Splits a call's keywords into those of its dials, and ``max_pixels``.

    Raises:
        UsageError: ``max_pixels`` is none of its dial's values.
    """
    limit = Writing(max_pixels=keywords.get("max_pixels")).max_pixels
    return {name: value for name, value in keywords.items() if name != "max_pixels"}, limit


def dials_of(kind: type[Dials]) -> dict[str, Dial]:
    """Returns the dials of a dataclass by their names."""
    return {item.name: item.metadata["dial"] for item in fields(kind) if "dial" in item.metadata}


def shows_dials(
    *kinds: type[Dials], leave_out: tuple[str, ...] = ()
) -> Callable[[_Function], _Function]:
    """Writes dials into the signature and the docstring of a function that takes ``**dials``.

    Args:
        kinds: dataclasses whose fields it takes as keyword arguments.
        leave_out: names of those that it does not take.
    """
    items = [
        (item.name, item.type, item.metadata["dial"])
        for kind in kinds
        for item in fields(kind)
        if item.name not in leave_out
    ]

    def shown(function: _Function) -> _Function:
        signature = inspect.signature(function)
        keywords = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=own.default, annotation=annotation
            )
            for name, annotation, own in items
        ]
        others = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*others, *keywords]
        )
        if function.__doc__:
            function.__doc__ = re.sub(
                r"^( *)\*\*dials:.*\n(?:\1 +.*\n)*",
                lambda found: "".join(_documented(found[1], name, own) for name, _, own in items),
                function.__doc__,
                flags=re.MULTILINE,
            )
        return function

    return shown


def _documented(indent: str, name: str, own: Dial) -> str:
    """Returns a dial's lines of a docstring."""
    text = f"{own.help[:1].lower()}{own.help[1:].rstrip('.')}"
    if isinstance(own, Choice):
        text += f" ({', '.join(map(str, own.choices))})"
    elif isinstance(own, Number) and own.most is not None:
        text += f" ({own.least:g} to {own.most:g})"
    elif isinstance(own, Number) and own.unit != "n":
        text += f" ({own.unit})"
    if own.otherwise:
        text += f"; None is {own.otherwise}"
    lines = [f"{indent}{name}:"]
    for word in f"{text}.".split():  # textwrap takes longer to import than all of this module
        if len(lines[-1]) + len(word) < 98:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}    {word}")
    return "\n".join(lines) + "\n"
