"""The arguments and options that several commands have in common."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import typer

from impasto.cli.completion import complete_device, complete_style
from impasto.dials import Choice, Dial, Enlarging, Number, Switch, dials_of
from impasto.errors import UsageError

Given: TypeAlias = dict[str, Any]
"""The dials that a command line gave, by name, each a value of its dial."""

KeyFrames: TypeAlias = dict[str, list[str]]
"""Key frames such as ``12.5:0.8`` that a command line gave, by the name of their dial."""

_SCALE: Final = dials_of(Enlarging)["scale"]

Inputs: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Photos, and folders of photos; - is a photo from stdin."),
]
StyleName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--style",
        "-s",
        metavar="NAME",
        help="A style of `impasto styles`, or a model file. [default: the first one]",
        autocompletion=complete_style,
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|coreml|directml|openvino",
        help="Where to compute; `impasto info` lists what there is.",
        autocompletion=complete_device,
    ),
]
Threads: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="CPU threads. [default: all cores]")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON line per file.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is done and how long it takes.")
]


def takes_dials(command: Callable[..., None]) -> Callable[..., None]:
    """Makes options of dials.

    A parameter ``painting: Annotated[Given, Painting]`` becomes one option for each field of
    `Painting`, which stand in its place in the help; the command is given those that the command
    line gave. Names that follow the class are of dials that are left out. `KeyFrames` in place of
    `Given` makes an option such as ``--strength-at`` for each dial that is a number.

    Args:
        command: a command for Typer.
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
        known = dials_of(kind).items()
        if wanted == KeyFrames:
            own = {f"{name}_at": dial for name, dial in known if _is_gradual(dial)}
            parameters += [_key_frames(name, dial) for name, dial in own.items()]
        else:
            own = {name: dial for name, dial in known if name not in left_out}
            parameters += [_parameter(name, dial) for name, dial in own.items()]
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

    taking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    taking.__annotations__ = {item.name: item.annotation for item in parameters}
    return taking


def _value(name: str, dial: Dial, given: Any) -> Any:
    """Reads what an option was given; key frames are read with their times."""
    return given if isinstance(given, bool | list) else dial.read(flag(name), str(given))


def flag(name: str) -> str:
    """Returns the option of a dial."""
    return "--" + name.replace("_", "-")


def _is_gradual(dial: Dial) -> bool:
    return isinstance(dial, Number) and dial.kind is float


def _parameter(name: str, dial: Dial) -> inspect.Parameter:
    """Makes the option of a dial; what it is given is read later, in the words of all fronts."""
    if isinstance(dial, Switch):
        return _keyword(name, False, bool, dial_option(dial, flag(name)))
    return _keyword(name, None, str | None, dial_option(dial, flag(name)))


def _key_frames(name: str, dial: Dial) -> inspect.Parameter:
    option = typer.Option(
        flag(name),
        metavar=f"TIME:{dial.values}",
        help=f"A {flag(name.removesuffix('_at'))} from this second on; can be given again, as "
        "--style-at.",
    )
    return _keyword(name, None, list[str] | None, option)


def _keyword(name: str, default: Any, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


def dial_option(dial: Dial, option: str, help_text: str = "", **more: Any) -> Any:
    """Returns Typer's description of a dial's option.

    Args:
        dial: its values, and its help.
        option: with its dashes.
        help_text: in place of the dial's help.
        **more: of ``typer.Option``.
    """
    text = help_text or dial.help
    if isinstance(dial, Switch):
        return typer.Option(option, help=text)
    default = dial.otherwise or ("" if dial.default is None else f"{dial.default:g}")
    if default and not help_text:
        text += f" [default: {default}]"
    words = [str(choice) for choice in dial.choices] if isinstance(dial, Choice) else []

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return typer.Option(
        option, metavar=dial.values, help=text, autocompletion=complete if words else None, **more
    )


Upscale: TypeAlias = Annotated[
    str | None, dial_option(_SCALE, "--upscale", "Enlarge by this in place of painting.")
]


def read_upscale(text: str | None, painting: Iterable[str], enlarging: Given) -> Enlarging | None:
    """Reads ``--upscale``, which takes the place of painting, and the dials that belong to it.

    Args:
        text: that was given.
        painting: dials of painting that were given.
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
