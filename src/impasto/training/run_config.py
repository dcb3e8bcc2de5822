"""The settings that every training run has, whatever it learns."""

from __future__ import annotations

import json
import math
import types
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from impasto.errors import UsageError
from impasto.images.writing import atomic_path
from impasto.networks import SHIPPED, Spec, spec_from_dict

Schedule = Literal["cosine", "wsd", "constant"]
Optimizer = Literal["soap", "adam"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]


_KINDS: Mapping[type, str] = {Path: "a path", bool: "true or false", str: "a word"}
"""Kinds of settings that are neither numbers nor choices, and what they are called."""


def setting(
    default: Any,
    help_text: str,
    *,
    cli: bool = True,
    least: float | None = None,
    most: float = math.inf,
) -> Any:
    """A dataclass field with what the command line shows and checks.

    Args:
        default: its value where none is given.
        help_text: what it does, in a sentence.
        cli: whether it is an option.
        least: lowest value of a number, or of each entry of a list; every number has one.
        most: highest value.
    """
    limits = {} if least is None else {"limits": (least, most)}
    return field(default=default, metadata={"help": help_text, "cli": cli, **limits})


@dataclass(frozen=True, kw_only=True)
class RunConfig(ABC):
    """Where a run happens, how long it is and how its steps are done.

    A subclass adds what is particular to its task.

    Attributes:
        command: the command that starts and resumes such runs.
        networks: the networks by name.
        network_settings: settings that change a field of the network's spec, and that field.
    """

    command: ClassVar[str]
    networks: ClassVar[Mapping[str, Spec]]
    network_settings: ClassVar[Mapping[str, str]]

    photos: Path | None = setting(
        None, "Folder, .zip or .tar of photos; the example photos when omitted.", cli=False
    )
    output: Path | None = setting(None, "Run folder.", cli=False)
    network: Spec = setting(SHIPPED, "The network.", cli=False)

    batch_size: int = setting(4, "Samples per step and device.", least=1, most=1024)
    optimizer: Optimizer = setting(
        "soap",
        "How gradients become steps: soap needs at most half of adam's steps "
        "(adam on Apple's GPUs in any case).",
    )
    learning_rate: float = setting(2e-3, "The optimizer's learning rate.", least=1e-9, most=1)
    schedule: Schedule = setting(
        "wsd",
        "Learning rate over the run: cosine falls all along, wsd over its last fifth, constant "
        "never.",
    )
    clip_gradients: float | None = setting(
        None, "Largest norm of a step's gradients; longer ones are shortened to it.", least=0
    )
    averaging: float = setting(
        0.995, "Decay of the weight average that is exported; 0 for none.", least=0, most=0.999999
    )
    steps: int | None = setting(
        None, "Length of the run in steps, instead of a time.", least=1, most=10**9
    )
    max_time_s: float | None = setting(
        None, "Length of the run in seconds.", cli=False, least=1, most=10**8
    )
    seed: int = setting(0, "Seed of weights and samples.", least=0, most=2**63 - 1)

    validation_photos: Path | None = setting(
        None, "Photos of previews and validation; the example photos when omitted."
    )
    device: DeviceName = setting("auto", "Where to train.")
    devices: int = setting(1, "Number of GPUs.", least=1, most=1024)
    precision: Precision = setting(
        "auto", "Arithmetic of the networks; auto is bfloat16 where that is much faster."
    )
    threads: int | None = setting(None, "CPU threads; all cores when omitted.", least=1, most=1024)
    workers: int | None = setting(
        None,
        "Loading processes; when omitted none on a CPU, up to 8 with a GPU.",
        least=0,
        most=256,
    )
    log_every: int = setting(10, "Steps between points of the curves.", least=1, most=10**9)
    preview_every_s: float = setting(
        60.0, "Seconds between previews and validations.", least=1, most=10**8
    )
    checkpoint_every_s: float = setting(120.0, "Seconds between checkpoints.", least=1, most=10**8)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a value is out of range, or two contradict each other.
        """
        hints = get_type_hints(type(self))
        for item in fields(self):
            value = _checked(item, hints[item.name], getattr(self, item.name))
            object.__setattr__(self, item.name, value)
        if self.steps is not None and self.max_time_s is not None:
            raise UsageError("--steps and --max-time are both given; a run has one length")

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the steps that each part of the run has."""
        return (1.0,)

    @property
    @abstractmethod
    def default_folder(self) -> Path:
        """The run folder where none is named."""

    @property
    @abstractmethod
    def model_name(self) -> str:
        """File name of the exported model, without its suffix."""

    @property
    def run_folder(self) -> Path:
        """Where checkpoints, curves, previews and the model go."""
        return self.output or self.default_folder

    @property
    def model_path(self) -> Path:
        """Where the exported model goes: into the run folder."""
        return self.run_folder / f"{self.model_name}.onnx"

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-ready values; paths become strings, and tuples lists."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        plain = {name: _plain(value) for name, value in values.items()}
        return plain | {"network": self.network.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuilds a config from `to_dict`.

        Raises:
            UsageError: a name that this version does not know, or a network of another task.
        """
        hints = get_type_hints(cls)
        if unknown := sorted(set(values) - {item.name for item in fields(cls)}):
            raise UsageError(f"settings {', '.join(unknown)} are not known to this version")
        values = dict(values)
        for name, value in values.items():
            if (entry := entry_type(hints[name])) and value is not None:
                values[name] = tuple(entry(**v) if isinstance(v, dict) else v for v in value)
        values["network"] = spec = spec_from_dict(values["network"])
        if not isinstance(spec, hints["network"]):
            raise UsageError(f"a network {spec.architecture!r} does another task")
        return cls(**values)

    @classmethod
    def with_spec(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Turns a network's name and the settings of its spec, beside the config's, into the spec.

        Raises:
            UsageError: there is no network of that name, or it has no such setting.
        """
        settings, names = dict(settings), cls.network_settings
        changed = {name: settings.pop(name) for name in names if name in settings}
        spec = settings.get("network", cls.network)
        if not isinstance(spec, Spec):
            if not isinstance(spec, str) or spec not in cls.networks:
                raise UsageError(f"--network is {spec!r}; allowed are {', '.join(cls.networks)}")
            spec = cls.networks[spec]
        known = {item.name for item in fields(spec)}
        if foreign := [name for name in changed if names[name] not in known]:
            raise UsageError(f"{flag(foreign[0])} does not belong to this network: leave it out")
        try:
            spec = replace(spec, **{names[name]: value for name, value in changed.items()})
        except UsageError as error:
            field_name, rest = str(error).split(" ", 1)
            name = next(name for name, own in names.items() if own == field_name)
            raise UsageError(f"{flag(name)} {rest}") from error
        return settings | {"network": spec}


def _checked(item: Field[Any], hint: Any, value: Any) -> Any:
    """Returns a setting's value, texts as paths where it is one or several."""
    shown = f"{flag(item.name)} is {value!r}; allowed"
    if value is None and type(None) in get_args(hint):
        return None
    if words := choices(hint):
        if value not in words:
            raise UsageError(f"{shown} are {', '.join(map(str, words))}")
    elif limits := item.metadata.get("limits"):
        for number in listed(value):
            if not (number == "auto" and "auto" in str(hint)):
                _check_number(flag(item.name), number, "float" not in str(hint), *limits)
    else:
        kind: Any = entry_type(hint)
        kind = kind or next((k for k in _KINDS if k in (hint, *get_args(hint))), object)
        if kind is Path:
            value = tuple(map(_as_path, value)) if isinstance(value, tuple) else _as_path(value)
        if not all(isinstance(entry, kind) for entry in listed(value)):
            raise UsageError(f"{shown} is {_KINDS.get(kind, kind.__name__)}")
    return value


def _as_path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) else value


def _check_number(name: str, value: Any, whole: bool, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name} is {value!r}; allowed is {kind}")
    if not least <= value <= most or not math.isfinite(value):
        upper = " or more" if most == math.inf else f" to {most:g}"
        raise UsageError(f"{name} is {value:g}; allowed is {least:g}{upper}")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def chosen_settings(recipe: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Puts what was given in place of a recipe's settings, and of those that it contradicts.

    Both hold fields of a config and of its network's spec; None counts as not given.
    """
    given = {name: value for name, value in given.items() if value is not None}
    against = {
        "max_time_s": "steps",
        "crop_px": "crop_shares",
        "style_scale": "style_weight",
        "style_weight": "style_scale",
    }
    if given.get("style_weight") == "auto":
        del against["style_weight"]
    replaced = {other for name, other in against.items() if name in given}
    return {name: value for name, value in recipe.items() if name not in replaced} | given


def choices(hint: Any) -> tuple[Any, ...]:
    """Returns what a ``Literal``, or one that may be None, allows; nothing for other types."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return get_args(kinds[0]) if len(kinds) == 1 and get_origin(kinds[0]) is Literal else ()


def entry_type(hint: Any) -> Any:
    """Returns the type of the entries of a tuple, or of one that may be None; else None."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return next((get_args(kind)[0] for kind in kinds if get_origin(kind) is tuple), None)


def numbers(values: Iterable[float]) -> str:
    """Shows numbers as the command line takes them."""
    return ",".join(f"{value:g}" for value in values)


def listed(value: Any) -> tuple[Any, ...]:
    """Makes one value a list of one."""
    return value if isinstance(value, tuple) else (value,)


def flag(name: str) -> str:
    """Returns the command-line flag of a field."""
    return "--" + name.removesuffix("_s").replace("_", "-")


def save_config(config: RunConfig, references: dict[str, Any] | None, path: Path) -> None:
    """Writes config and balancing references as JSON, for people and for `from_dict`."""
    text = json.dumps({"config": config.to_dict(), "references": references}, indent=2)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
