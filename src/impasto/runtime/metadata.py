"""What a model file states about itself.

Every model is one ONNX file. Its ``metadata_props`` hold an entry of ours, key ``METADATA_KEY``,
whose value is JSON with ``format_version`` first. Export writes it from `ModelMetadata`, the
runtime reads it back; nothing is ever guessed from the graph. The refine network of a style, a
second ONNX model, is the entry ``REFINE_KEY``, in base64.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeVar

from impasto.errors import ModelError, NewerFormatError

METADATA_KEY: Final = "impasto"
REFINE_KEY: Final = "impasto.refine"
FORMAT_VERSION: Final = 3

# Smaller pictures are mirrored up to a model's smallest size, so that it costs memory.
LARGEST_MIN_SIZE_PX: Final = 1024
LARGEST_WORKING_PX: Final = 4096
LARGEST_HALO_PX: Final = 256
FORBIDDEN_IN_NAMES: Final = frozenset('/\\:*?"<>|,+')
LONGEST_NAME: Final = 80
MOST_STROKE_SIZES: Final = 16

_KINDS: Final[dict[type, str]] = {dict: "an object", str: "text", bool: "true or false"}
_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class StyleEntry:
    """One style a model file can paint.

    Attributes:
        name: what ``--style`` takes, for example ``"great_wave"``.
        title: the name for people, for example ``"Great Wave"``.
        style_image_sha256: hash of the painting's file, hexadecimal, or ``""`` if unknown.
    """

    name: str
    title: str
    style_image_sha256: str = ""


@dataclass(frozen=True)
class Tiling:
    """Whether a picture may be run in tiles.

    Attributes:
        allowed: False for networks with global statistics such as instance normalisation.
        halo_px: overlap that makes tiles exact, in pixels, or None where tiles are refused.
    """

    allowed: bool = False
    halo_px: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """Everything needed to run a model file, in the order in which the file states it.

    Attributes:
        format_version: version of this layout.
        kind: ``"style"`` or ``"upscale"``.
        scale: output size divided by input size.
        styles: the styles in the file.
        min_size_px: smallest height and width the graph accepts, in pixels.
        value_range: lowest and highest value of input and output.
        tiling: whether a picture may be run in tiles.
        working_px: longer side at which a style's draft is painted; its refine network does the
            rest. None for a network that paints pictures whole, at their own size.
        halo_px: border that the refine network takes off its input; None without one.
        strength: how strength works: ``"fade"`` mixes pixels of photo and result,
            ``"identity"`` goes towards a parameter set that leaves photos as they are.
        network: the network's spec as a dictionary, enough to rebuild it.
        weights_sha256: hash of the plain ``.safetensors`` weights of the same network.
        recipe: the training configuration and what it saw.
        licence: SPDX identifier of the weights.
        scores: measured quality, may be empty.
        stroke_sizes: of files up to format 2: sizes of strokes, of which each style has a
            parameter set; the first ones paint.
    """

    format_version: int = FORMAT_VERSION
    kind: str = "style"
    scale: int = 1
    styles: tuple[StyleEntry, ...]
    min_size_px: int
    value_range: tuple[float, float] = (0.0, 1.0)
    tiling: Tiling = field(default_factory=Tiling)
    working_px: int | None = None
    halo_px: int | None = None
    strength: str = "fade"
    network: dict[str, object]
    weights_sha256: str
    recipe: dict[str, object] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    scores: dict[str, object] = field(default_factory=dict)
    stroke_sizes: tuple[float, ...] = (1.0,)

    @property
    def parameter_sets(self) -> int:
        """Sets of scales and shifts in the graph: each style at each size, then the identity."""
        return len(self.styles) * len(self.stroke_sizes) + (self.strength == "identity")

    def to_json(self) -> str:
        """Returns the metadata as JSON text, ``format_version`` first."""
        values = asdict(self)
        if len(self.stroke_sizes) == 1:
            del values["stroke_sizes"]
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelMetadata:
        """Reads metadata from what ``to_json`` returned; unknown keys are ignored.

        Raises:
            NewerFormatError: ``format_version`` is above `FORMAT_VERSION`.
            ModelError: the text is not our metadata.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"the model's metadata is not valid JSON ({error})") from error
        if not isinstance(values, dict):
            raise ModelError("the model's metadata is not a JSON object")
        version = _integer(values, "format_version", 1)
        if version > FORMAT_VERSION:
            raise NewerFormatError(
                f"made by a newer impasto (model format {version}, this one reads up to "
                f"{FORMAT_VERSION}): update impasto"
            )
        if values.get("value_range") != [0.0, 1.0]:
            raise _bad("value_range", "[0.0, 1.0]", values.get("value_range"))
        # An upscaler, or a style that is painted whole, has neither.
        refines = (values.get("working_px"), values.get("halo_px")) != (None, None)
        return cls(
            format_version=version,
            kind=_choice(values, "kind", ("style", "upscale")),
            scale=_integer(values, "scale", 1),
            styles=_styles(values),
            min_size_px=_integer(values, "min_size_px", 1, LARGEST_MIN_SIZE_PX),
            tiling=_tiling(values),
            working_px=_integer(values, "working_px", 1, LARGEST_WORKING_PX) if refines else None,
            halo_px=_integer(values, "halo_px", 0, LARGEST_HALO_PX) if refines else None,
            strength=_choice(values, "strength", ("fade", "identity")),
            network=_typed(values, "network", dict),
            weights_sha256=_typed(values, "weights_sha256", str),
            recipe=_typed(values, "recipe", dict),
            licence=_typed(values, "licence", str),
            scores=_typed(values, "scores", dict),
            stroke_sizes=_stroke_sizes(values),
        )


def _bad(name: str, wanted: str, value: object) -> ModelError:
    return ModelError(
        f"the model's metadata is damaged: {name} must be {wanted}, not {value!r:.60}"
    )


def _typed(values: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    value = values.get(name)
    if not isinstance(value, kind):
        raise _bad(name, _KINDS[kind], value)
    return value


def _choice(values: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = _typed(values, name, str)
    if value not in allowed:
        raise _bad(name, " or ".join(allowed), value)
    return value


def _integer(values: Mapping[str, Any], name: str, least: int, most: int | None = None) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _bad(name, f"a whole number of at least {least}", value)
    if most is not None and value > most:
        raise _bad(name, f"at most {most}", value)
    return value


def _styles(values: Mapping[str, Any]) -> tuple[StyleEntry, ...]:
    rows = values.get("styles")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _bad("styles", "a list of objects", rows)
    styles = tuple(
        StyleEntry(
            _style_name(row), _typed(row, "title", str), _typed(row, "style_image_sha256", str)
        )
        for row in rows
    )
    if values.get("kind") == "style" and not styles:
        raise _bad("styles", "a list of one style or more", rows)
    names = [style.name for style in styles]
    if len(set(names)) < len(names):
        raise _bad("styles", "a list of styles of different names", names)
    return styles


def _style_name(row: Mapping[str, Any]) -> str:
    # The name becomes part of file names, so it must not lead out of a folder.
    name = _typed(row, "name", str)
    if not name.isprintable() or set(name) & FORBIDDEN_IN_NAMES or name.strip(" .") != name:
        raise _bad("a style's name", "usable in a file name", name)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise _bad("a style's name", f"1 to {LONGEST_NAME} characters long", name)
    return name


def _stroke_sizes(values: Mapping[str, Any]) -> tuple[float, ...]:
    sizes = values.get("stroke_sizes", [1.0])
    if (
        not isinstance(sizes, list)
        or not 1 <= len(sizes) <= MOST_STROKE_SIZES
        or not all(isinstance(size, int | float) and math.isfinite(size) for size in sizes)
        or sizes[0] != 1
        or any(a >= b for a, b in pairwise(sizes))
    ):
        raise _bad("stroke_sizes", "a list of ascending numbers that begins with 1", sizes)
    return tuple(map(float, sizes))


def _tiling(values: Mapping[str, Any]) -> Tiling:
    stated = _typed(values, "tiling", dict)
    named = {f"tiling.{name}": value for name, value in stated.items()}
    allowed = _typed(named, "tiling.allowed", bool)
    if stated.get("halo_px") is None:
        return Tiling(allowed, None)
    return Tiling(allowed, _integer(named, "tiling.halo_px", 0))
