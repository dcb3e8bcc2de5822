"""What several commands have in common: arguments, options, their checks, missing packages."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import typer

from impasto.dials import Choice, Count, Dial, Enlarging, Number, Switch, dials_of
from impasto.errors import ImpastoError, MissingExtraError, UsageError
from impasto.runtime.cores import check_threads

Given: TypeAlias = dict[str, Any]
"""The dials that a command line gave, by name, each a value of its dial."""

KeyFrames: TypeAlias = dict[str, list[str]]
"""Key frames such as ``12.5:0.8`` that a command line gave, by the name of their dial."""

AT_LEAST_ONE: Final = Count("")
_SCALE: Final = dials_of(Enlarging)["scale"]
# Of a docstring: a name, what may stand in brackets after it, and a text of several lines.
_OPTION: Final = re.compile(r"^    (\w+)(?: \((.*?)\))?: (.*(?:\n {8}.*)*)", re.MULTILINE)


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


@dataclass(frozen=True)
class Voice:
    """How much a run says."""

    as_json: bool = False  # JSON on stdout, in place of the results' paths
    quiet: bool = False  # nothing but errors
    verbose: bool = False  # what is done and how long it takes

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


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Makes Typer's arguments and options of a command's parameters and its docstring.

    A line ``output (OUT, -o, --output): The result.`` of the docstring's section ``Options`` is
    the help of a parameter. The brackets hold the word for its values, then its names where they
    are others than ``--output``, and a variable of the environment that may hold the value, such
    as ``IMPASTO_PORT``. Parameters before ``*`` are arguments. Where a type is `Annotated` with a
    function, that completes the value in the shell; one `Annotated` with Typer's own description
    needs no line.

    A parameter ``painting: Annotated[Given, Painting]`` becomes one option for each field of
    `Painting`, which stand in its place in the help; the command is given those that the command
    line gave. Names that follow the class are of dials that are left out. `KeyFrames` in place of
    `Given` makes an option such as ``--strength-at`` for each dial that is a number. With a list
    of parameters in place of the class, it is given all of their values.
    """
    hints = get_type_hints(command, include_extras=True)
    text, _, section = (inspect.getdoc(command) or "").partition("\n\nOptions:\n")
    described = {name: (shown, told) for name, shown, told in _OPTION.findall(section)}
    groups: dict[str, dict[str, Dial | None]] = {}
    parameters: list[inspect.Parameter] = []
    for item in inspect.signature(command).parameters.values():
        hint = hints[item.name]
        if item.name in described:
            kind, complete = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
            hint = Annotated[kind, _description(item, kind, complete, *described[item.name])]
        if get_origin(hint) is Annotated and get_args(hint)[0] in (Given, KeyFrames):
            own = _group(*get_args(hint))
            parameters += [parameter for parameter, _ in own]
            groups[item.name] = {parameter.name: dial for parameter, dial in own}
        else:
            parameters.append(item.replace(annotation=hint))

    @functools.wraps(command)
    def taking(**values: Any) -> None:
        for group, own in groups.items():
            given = {name: values.pop(name) for name in own}
            values[group] = {
                name.removesuffix("_at"): value if dial is None else _value(name, dial, value)
                for name, value in given.items()
                if (dial := own[name]) is None or value not in (None, False, [])
            }
        command(**values)

    taking.__doc__ = text
    taking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    taking.__annotations__ = {item.name: item.annotation for item in parameters}
    return taking


def _description(item: inspect.Parameter, kind: Any, complete: Any, shown: str, told: str) -> Any:
    """Makes Typer's description of a parameter of what its docstring tells."""
    words = shown.split(", ") if shown else []
    names = [word for word in words if word.startswith("-")]
    variable = next((word for word in words if word.startswith("IMPASTO_")), None)
    values = next((word for word in words if word not in (*names, variable)), None)
    text = re.sub(r"\s+", " ", told.strip())
    if item.kind is not inspect.Parameter.KEYWORD_ONLY:
        return typer.Argument(metavar=values, help=text, autocompletion=complete)
    if kind is bool:  # with a name of its own it has no opposite
        names = names or [flag(item.name)]
    return option(values, text, *names, envvar=variable, autocompletion=complete)


def _group(wanted: Any, source: Any, *left_out: str) -> list[tuple[inspect.Parameter, Dial | None]]:
    """Returns the options that stand in the place of one parameter, and their dials."""
    if isinstance(source, list):
        return [(parameter, None) for parameter in source]
    dials = {name: dial for name, dial in dials_of(source).items() if name not in left_out}
    if wanted == KeyFrames:
        gradual = {name: dial for name, dial in dials.items() if _is_gradual(dial)}
        return [(_key_frames(f"{name}_at", dial), dial) for name, dial in gradual.items()]
    return [(_parameter(name, dial), dial) for name, dial in dials.items()]


def keyword(name: str, kind: Any, described: Any, default: Any = None) -> inspect.Parameter:
    """Makes a parameter of a type, with Typer's description of its option or argument."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, described]
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


def dial_option(dial: Dial, name: str, text: str = "") -> Any:
    """Describes a dial's option: by the dial's help and default, or by a text of its own."""
    if not text:
        default = dial.otherwise or ("" if dial.default is None else f"{dial.default:g}")
        text = f"{dial.help} [default: {default}]" if default else dial.help
    words = [str(choice) for choice in dial.choices] if isinstance(dial, Choice) else []

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, lambda: words)

    return option(dial.values, text, name, autocompletion=complete if words else None)


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
