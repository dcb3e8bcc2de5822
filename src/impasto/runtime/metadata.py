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
from typing import Any, Final

from impasto.errors import ModelError, NewerFormatError

METADATA_KEY: Final = "impasto"
REFINE_KEY: Final = "impasto.refine"
FORMAT_VERSION: Final = 3

_KINDS: Final = ("style", "upscale")
# Smaller pictures are mirrored up to a model's smallest size, so that it costs memory.
LARGEST_MIN_SIZE_PX: Final = 1024
LARGEST_WORKING_PX: Final = 4096
LARGEST_HALO_PX: Final = 256
FORBIDDEN_IN_NAMES: Final = frozenset('/\\:*?"<>|,+')
LONGEST_NAME: Final = 80
MOST_STROKE_SIZES: Final = 16


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


@dataclass(frozen=True)
class ModelMetadata:
    """Everything needed to run a model file, read from the file itself.

    Attributes:
        styles: the styles in the file.
        min_size_px: smallest height and width the graph accepts, in pixels.
        network: the network's spec as a dictionary, enough to rebuild it.
        weights_sha256: hash of the plain ``.safetensors`` weights of the same network.
        recipe: the training configuration and what it saw.
        licence: SPDX identifier of the weights.
        scores: measured quality, may be empty.
        kind: ``"style"`` or ``"upscale"``.
        scale: output size divided by input size.
        value_range: lowest and highest value of input and output.
        tiling: whether a picture may be run in tiles.
        working_px: longer side at which a style's draft is painted; its refine network does the
            rest. None for a network that paints pictures whole, at their own size.
        halo_px: border that the refine network takes off its input; None without one.
        stroke_sizes: of files up to format 2: sizes of strokes, of which each style has a
            parameter set; the first ones paint.
        strength: how strength works: ``"fade"`` mixes pixels of photo and result,
            ``"identity"`` goes towards a parameter set that leaves photos as they are.
        format_version: version of this layout.
    """

    styles: tuple[StyleEntry, ...]
    min_size_px: int
    network: dict[str, object]
    weights_sha256: str
    recipe: dict[str, object] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    scores: dict[str, object] = field(default_factory=dict)
    kind: str = "style"
    scale: int = 1
    value_range: tuple[float, float] = (0.0, 1.0)
    tiling: Tiling = field(default_factory=Tiling)
    working_px: int | None = None
    halo_px: int | None = None
    stroke_sizes: tuple[float, ...] = (1.0,)
    strength: str = "fade"
    format_version: int = FORMAT_VERSION

    @property
    def parameter_sets(self) -> int:
        """Sets of scales and shifts in the graph: each style at each size, then the identity."""
        return len(self.styles) * len(self.stroke_sizes) + (self.strength == "identity")

    def to_json(self) -> str:
        """Returns the metadata as JSON text, ``format_version`` first."""
        values = asdict(self)
        order = [
            "format_version",
            "kind",
            "scale",
            "styles",
            "min_size_px",
            "value_range",
            "tiling",
            "working_px",
            "halo_px",
            "strength",
            "network",
            "weights_sha256",
            "recipe",
            "licence",
            "scores",
        ]
        if len(self.stroke_sizes) > 1:
            order.append("stroke_sizes")
        return json.dumps({name: values[name] for name in order}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelMetadata:
        """Reads metadata from JSON text.

        Args:
            text: what ``to_json`` returned. Keys this version does not know are ignored.

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
        version = _integer(values, "format_version", minimum=1)
        if version > FORMAT_VERSION:
            raise NewerFormatError(
                f"made by a newer impasto (model format {version}, this one reads up to "
                f"{FORMAT_VERSION}): update impasto"
            )
        working_px, halo_px = _refining(values)
        return cls(
            styles=_styles(values),
            min_size_px=_min_size(values),
            network=_dictionary(values, "network"),
            weights_sha256=_text(values, "weights_sha256"),
            recipe=_dictionary(values, "recipe"),
            licence=_text(values, "licence"),
            scores=_dictionary(values, "scores"),
            kind=_choice(values, "kind", _KINDS),
            scale=_integer(values, "scale", minimum=1),
            value_range=_value_range(values),
            tiling=_tiling(values),
            working_px=working_px,
            halo_px=halo_px,
            stroke_sizes=_stroke_sizes(values),
            strength=_choice(values, "strength", ("fade", "identity")),
            format_version=version,
        )


def _bad(name: str, wanted: str, value: object) -> ModelError:
    return ModelError(
        f"the model's metadata is damaged: {name} must be {wanted}, not {value!r:.60}"
    )


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise _bad(name, "text", value)
    return value


def _choice(values: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = _text(values, name)
    if value not in allowed:
        raise _bad(name, " or ".join(allowed), value)
    return value


def _integer(values: Mapping[str, Any], name: str, *, minimum: int) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise _bad(name, f"a whole number of at least {minimum}", value)
    return value


def _min_size(values: Mapping[str, Any]) -> int:
    value = _integer(values, "min_size_px", minimum=1)
    if value > LARGEST_MIN_SIZE_PX:
        raise _bad("min_size_px", f"at most {LARGEST_MIN_SIZE_PX}", value)
    return value


def _refining(values: Mapping[str, Any]) -> tuple[int | None, int | None]:
    working_px, halo_px = values.get("working_px"), values.get("halo_px")
    if working_px is None and halo_px is None:  # an upscaler, or a style that is painted whole
        return None, None
    working_px = _integer(values, "working_px", minimum=1)
    halo_px = _integer(values, "halo_px", minimum=0)
    for name, value, largest in (
        ("working_px", working_px, LARGEST_WORKING_PX),
        ("halo_px", halo_px, LARGEST_HALO_PX),
    ):
        if value > largest:
            raise _bad(name, f"at most {largest}", value)
    return working_px, halo_px


def _dictionary(values: Mapping[str, Any], name: str) -> dict[str, object]:
    value = values.get(name)
    if not isinstance(value, dict):
        raise _bad(name, "an object", value)
    return value


def _styles(values: Mapping[str, Any]) -> tuple[StyleEntry, ...]:
    rows = values.get("styles")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _bad("styles", "a list of objects", rows)
    styles = tuple(
        StyleEntry(_style_name(row), _text(row, "title"), _text(row, "style_image_sha256"))
        for row in rows
    )
    if _text(values, "kind") == "style" and not styles:
        raise _bad("styles", "a list of one style or more", rows)
    names = [style.name for style in styles]
    if len(set(names)) < len(names):
        raise _bad("styles", "a list of styles of different names", names)
    return styles


def _stroke_sizes(values: Mapping[str, Any]) -> tuple[float, ...]:
    sizes = values.get("stroke_sizes", [1.0])
    wanted = "a list of ascending numbers that begins with 1"
    if not isinstance(sizes, list) or not 1 <= len(sizes) <= MOST_STROKE_SIZES or sizes[0] != 1:
        raise _bad("stroke_sizes", wanted, sizes)
    numbers = all(isinstance(size, int | float) and math.isfinite(size) for size in sizes)
    if not numbers or any(a >= b for a, b in pairwise(sizes)):
        raise _bad("stroke_sizes", wanted, sizes)
    return tuple(map(float, sizes))


def _style_name(row: Mapping[str, Any]) -> str:
    # The name becomes part of file names, so it must not lead out of a folder.
    name = _text(row, "name")
    if not name.isprintable() or set(name) & FORBIDDEN_IN_NAMES or name.strip(" .") != name:
        raise _bad("a style's name", "usable in a file name", name)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise _bad("a style's name", f"1 to {LONGEST_NAME} characters long", name)
    return name


def _value_range(values: Mapping[str, Any]) -> tuple[float, float]:
    value = values.get("value_range")
    if value != [0.0, 1.0]:
        raise _bad("value_range", "[0.0, 1.0]", value)
    return (0.0, 1.0)


def _tiling(values: Mapping[str, Any]) -> Tiling:
    value = _dictionary(values, "tiling")
    allowed, halo_px = value.get("allowed"), value.get("halo_px")
    if not isinstance(allowed, bool):
        raise _bad("tiling.allowed", "true or false", allowed)
    if halo_px is None:
        return Tiling(allowed, None)
    return Tiling(allowed, _integer({"tiling.halo_px": halo_px}, "tiling.halo_px", minimum=0))
