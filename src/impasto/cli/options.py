"""What several commands have in common: arguments, options, their checks, missing packages."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import typer

from impasto.dials import Choice, Dial, Enlarging, Number, Switch, dials_of
from impasto.errors import ImpastoError, MissingExtraError, UsageError
from impasto.runtime.cores import check_threads

Given: TypeAlias = dict[str, Any]
"""The dials that a command line gave, by name, each a value of its dial."""

KeyFrames: TypeAlias = dict[str, list[str]]
"""Key frames such as ``12.5:0.8`` that a command line gave, by the name of their dial."""

AT_LEAST_ONE: Final = Number("", kind=int, least=1)
_SCALE: Final = dials_of(Enlarging)["scale"]


def argument(values: str, text: str, **more: Any) -> Any:
    """Describes an argument: how the help shows it, and what it is."""
    return typer.Argument(metavar=values, help=text, **more)


def option(values: str | None, text: str, *names: str, **more: Any) -> Any:
    """Describes an option: the values that its help shows, what it does, its names."""
    return typer.Option(*names, metavar=values, help=text, **more)


def switch(name: str, text: str, *names: str) -> Any:
    """Describes an option without a value, which cannot be turned off again."""
    return typer.Option(name, *names, help=text)


def complete_style(incomplete: str) -> list[str]:
    """Returns the names of styles that begin with what was typed."""
    from impasto.runtime.styles import list_styles

    return _beginning(incomplete, lambda: [style.name for style in list_styles()])


def complete_own_style(incomplete: str) -> list[str]:
    """Returns the names of the user's own styles that begin so."""
    from impasto.catalog.own import own_models

    return _beginning(incomplete, lambda: list(own_models()))


def complete_upscaler(incomplete: str) -> list[str]:
    """Returns the names of upscaling models that begin so."""
    from impasto.catalog import list_upscalers

    return _beginning(incomplete, lambda: [item.name for item in list_upscalers()])


def complete_device(incomplete: str) -> list[str]:
    """Returns the devices of this ONNX Runtime that begin so."""
    from impasto.runtime.session import available_devices

    return _beginning(incomplete, lambda: ["auto", *available_devices()])


def _beginning(incomplete: str, words: Callable[[], list[str]]) -> list[str]:
    try:
        return [word for word in dict.fromkeys(words()) if word.startswith(incomplete)]
    except ImpastoError:  # a damaged installation is told when the command runs
        return []


Inputs: TypeAlias = Annotated[
    list[str], argument("INPUT", "Photos, and folders of photos; - is a photo from stdin.")
]
StyleName: TypeAlias = Annotated[
    str | None,
    option(
        "NAME",
        "A style of `impasto styles`, or a model file. [default: the first one]",
        *("--style", "-s"),
        autocompletion=complete_style,
    ),
]
Device: TypeAlias = Annotated[
    str,
    option(
        "auto|cpu|cuda|coreml|directml|openvino",
        "Where to compute; `impasto info` lists what there is.",
        autocompletion=complete_device,
    ),
]
Threads: TypeAlias = Annotated[int | None, option("N", "CPU threads. [default: all cores]")]
AsJson: TypeAlias = Annotated[bool, switch("--json", "One JSON line per file.")]
OneJson: TypeAlias = Annotated[bool, switch("--json", "One JSON object.")]
JsonTable: TypeAlias = Annotated[bool, switch("--json", "One JSON object in place of the table.")]
Quiet: TypeAlias = Annotated[bool, switch("--quiet", "Print only errors.", "-q")]
Verbose: TypeAlias = Annotated[
    bool, switch("--verbose", "Say what is done and how long it takes.", "-v")
]


def model_file(text: str, values: str = "FILE", **more: Any) -> Any:
    """Describes ``--model``."""
    return option(values, text, "--model", "-m", **more)


def picture_output(default: str) -> Any:
    """Describes ``--output`` of a command that changes pictures, by the name used without it."""
    return option(
        "OUTPUT",
        "A file, in the format of its ending; or a folder if it ends in /, exists as one, or there "
        f"are several inputs; - is stdout. [default: {default} beside the photo, stdout for -]",
        *("--output", "-o"),
    )


@dataclass(frozen=True)
class Voice:
    """How much a run says.

    Attributes:
        as_json: JSON on stdout, in place of the results' paths.
        quiet: nothing but errors.
        verbose: what is done and how long it takes.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    def check(self, threads: int | None = None) -> None:
        """Refuses ``--quiet`` with ``--verbose``, and a number of threads below 1."""
        check_threads(threads)
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose contradict each other: give one of them")


@contextlib.contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Turns a missing package inside the block into an error that names the extra.

    Raises:
        MissingExtraError: a package outside Impasto cannot be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("impasto"):
            raise
        raise MissingExtraError(extra, purpose) from error


def takes_dials(command: Callable[..., None]) -> Callable[..., None]:
    """Makes options of dials.

    A parameter ``painting: Annotated[Given, Painting]`` becomes one option for each field of
    `Painting`, which stand in its place in the help; the command is given those that the command
    line gave. Names that follow the class are of dials that are left out. `KeyFrames` in place of
    `Given` makes an option such as ``--strength-at`` for each dial that is a number.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, dict[str, Dial]] = {}
    parameters: list[inspect.Parameter] = []
    for item in inspect.signature(command).parameters.values():
        hint = hints[item.name]
        if get_origin(hint) is not Annotated or get_args(hint)[0] not in (Given, KeyFrames):
            parameters.append(item.replace(annotation=hint))
            continue
        wanted, kind, *left_out = get_args(hint)
        own = {name: dial for name, dial in dials_of(kind).items() if name not in left_out}
        if wanted == KeyFrames:
            own = {f"{name}_at": dial for name, dial in own.items() if _is_gradual(dial)}
        make = _key_frames if wanted == KeyFrames else _parameter
        parameters += [make(name, dial) for name, dial in own.items()]
        groups[item.name] = own

    @functools.wraps(command)
    def taking(**values: Any) -> None:
        for parameter, own in groups.items():
            given = {name: values.pop(name) for name in own}
            values[parameter] = {
                name.removesuffix("_at"): _value(name, own[name], value)
                for name, value in given.items()
                if value not in (None, False, [])
            }
        command(**values)

    give_signature(taking, parameters)
    return taking


def give_signature(command: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Makes a function of keyword arguments look as if they were written out, for Typer."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}


def keyword(name: str, kind: Any, described: Any, default: Any = None) -> inspect.Parameter:
    """Makes a parameter of a type, with Typer's description of its option or argument."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, described],
    )


def flag(name: str) -> str:
    """Returns the option of a dial."""
    return "--" + name.replace("_", "-")


def _value(name: str, dial: Dial, given: Any) -> Any:
    """Reads what an option was given; key frames are read with their times."""
    return given if isinstance(given, bool | list) else dial.read(flag(name), str(given))


def _is_gradual(dial: Dial) -> bool:
    return isinstance(dial, Number) and dial.kind is float


def _parameter(name: str, dial: Dial) -> inspect.Parameter:
    """Makes the option of a dial; what it is given is read later, in the words of all fronts."""
    if isinstance(dial, Switch):
        return keyword(name, bool, switch(flag(name), dial.help), False)
    return keyword(name, str | None, dial_option(dial, flag(name)))


def _key_frames(name: str, dial: Dial) -> inspect.Parameter:
    text = f"A {flag(name.removesuffix('_at'))} from this second on; can be given again, as "
    described = option(f"TIME:{dial.values}", f"{text}--style-at.", flag(name))
    return keyword(name, list[str] | None, described)


def dial_option(dial: Dial, name: str, text: str = "", **more: Any) -> Any:
    """Describes a dial's option: by the dial's help and default, or by a text of its own."""
    if not text:
        default = dial.otherwise or ("" if dial.default is None else f"{dial.default:g}")
        text = f"{dial.help} [default: {default}]" if default else dial.help
    words = [str(choice) for choice in dial.choices] if isinstance(dial, Choice) else []

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, lambda: words)

    return option(dial.values, text, name, autocompletion=complete if words else None, **more)


Upscale: TypeAlias = Annotated[
    str | None, dial_option(_SCALE, "--upscale", "Enlarge by this in place of painting.")
]


def read_upscale(text: str | None, painting: Iterable[str], enlarging: Given) -> Enlarging | None:
    """Reads ``--upscale``, which takes the place of painting, and the dials that belong to it.

    Args:
        text: that was given.
        painting: names of the options of painting that were given.
        enlarging: dials of enlarging that were given, but for the scale.

    Raises:
        UsageError: it is no scale, the picture would be painted too, or it is missing.
    """
    if text is None:
        for name in enlarging:
            raise UsageError(f"{flag(name)} is for enlarging: give --upscale too, or leave it out")
        return None
    for name in painting:
        raise UsageError(f"--upscale enlarges in place of painting: leave {flag(name)} out")
    return Enlarging(scale=_SCALE.read("--upscale", text), **enlarging)
