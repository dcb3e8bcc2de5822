"""Writes docs/cli.md, api.md and models.md: `python scripts/make_docs.py [--check]`.

With --check nothing is written; a page that is not what the code says is named and the exit
code is 1.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, ForwardRef

from models_page import models_page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
HELP_COLUMNS = 88
# A package, and the classes that its functions return from places that are not public.
PACKAGES = {
    "impasto": ("impasto.runtime.stylizer.StyleModel", "impasto.catalog.Style"),
    "impasto.errors": (),
    "impasto.networks": (),
    "impasto.losses": (),
    "impasto.data": (),
    "impasto.training": (),
    "impasto.export": (),
    "impasto.evaluation": (),
    "impasto.paper": (),
    "impasto.paper.reproduction": (),
}
NOTE = "<!-- Made by scripts/make_docs.py from the code: change the code, not this page. -->"


def main() -> None:
    """Writes the pages, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which pages are stale")
    only_check = parser.parse_args().check
    stale = [path for path, text in pages().items() if not _holds(path, text)]
    for path in stale:
        name = path.relative_to(ROOT).as_posix()
        if only_check:
            print(f"{name} is stale: run `python scripts/make_docs.py`", file=sys.stderr)
        else:
            path.write_text(pages()[path], encoding="utf-8", newline="\n")
            print(name)
    sys.exit(1 if only_check and stale else 0)


def pages() -> dict[Path, str]:
    """Returns the text of each page, the same on every machine."""
    return {
        DOCS / "cli.md": cli_page(),
        DOCS / "api.md": api_page(),
        DOCS / "models.md": models_page(NOTE),
    }


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


# --- the command line -----------------------------------------------------------------------


def cli_page() -> str:
    """Returns every command's help, as the command prints it in a wide terminal."""
    import typer

    from impasto.cli.app import app

    parts = ["# Commands", NOTE, "Each text is what `--help` prints."]
    for name, text in _helps(typer.main.get_command(app), "impasto"):
        parts += [f"## `{name}`", f"```text\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


def _helps(command: Any, name: str) -> Iterator[tuple[str, str]]:
    context = command.make_context(
        name, [], resilient_parsing=True, terminal_width=HELP_COLUMNS, color=False
    )
    lines = command.get_help(context).splitlines()
    yield name, "\n".join(line.rstrip() for line in lines)
    if hasattr(command, "list_commands"):
        for child in command.list_commands(context):
            yield from _helps(command.get_command(context, child), f"{name} {child}")


# --- Python ---------------------------------------------------------------------------------


def api_page() -> str:
    """Returns the public names of the public packages with signatures and docstrings."""
    parts = ["# Python", NOTE]
    for package, returned in PACKAGES.items():
        module = importlib.import_module(package)
        parts += [f"## `{package}`", markdown(inspect.getdoc(module) or "")]
        things = [(name, getattr(module, name)) for name in public_names(module)]
        for path in returned:
            owner, _, name = path.rpartition(".")
            things.append((name, getattr(importlib.import_module(owner), name)))
        for name, thing in things:
            parts += _describe(name, thing)
    return "\n\n".join(part for part in parts if part) + "\n"


def public_names(module: ModuleType) -> list[str]:
    """Returns a module's `__all__`, or else the classes it defines; no dunder names."""
    own_classes = [
        name
        for name, thing in vars(module).items()
        if inspect.isclass(thing) and thing.__module__ == module.__name__
    ]
    return [name for name in getattr(module, "__all__", own_classes) if not name.startswith("__")]


def _describe(name: str, thing: Any) -> list[str]:
    """Returns the Markdown of one public thing."""
    if not callable(thing):
        return [f"### `{name}`", f"```python\n{name} = {thing!r}\n```"]
    if not inspect.isclass(thing):
        return [f"### `{name}`", _code(name, thing), markdown(inspect.getdoc(thing) or "")]
    parts = [f"### `{name}`"]
    bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
    if issubclass(thing, Exception):
        parts.append(f"```python\nclass {name}({bases}): exit_code = {thing.exit_code}\n```")
    elif getattr(thing, "_is_protocol", False):
        parts.append(f"```python\nclass {name}(Protocol)\n```")
    else:
        parts.append(_code(name, thing, "class "))
    parts.append(markdown(inspect.getdoc(thing) or ""))
    for member, value in vars(thing).items():
        parts += _describe_member(name, member, value)
    return parts


def _describe_member(owner: str, name: str, value: Any) -> list[str]:
    """Returns the Markdown of a documented public method or property, nothing for the rest."""
    function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    if not isinstance(function, FunctionType | property) or not function.__doc__:
        return []
    text = markdown(inspect.cleandoc(function.__doc__))
    if name == "__init__":
        return [text]  # its signature is the class's
    if name.startswith("_") and name != "__call__":
        return []
    heading = f"#### `{owner}.{name}`"
    if isinstance(function, property):
        return [heading, text]
    # A call is shown as it is written, on an object with the class's name in small letters.
    shown = f"{owner}.{name}" if name != "__call__" else re.sub(r"\B([A-Z])", r"_\1", owner).lower()
    return [heading, _code(shown, function), text]


def _code(name: str, thing: Any, prefix: str = "") -> str:
    """Returns a signature as a code block, one parameter a line where it is long."""
    signature = inspect.signature(thing)
    parameters: list[str] = []
    kind = None
    for item in signature.parameters.values():
        if item.name in ("self", "cls"):
            continue
        starred = kind in (item.VAR_POSITIONAL, item.KEYWORD_ONLY)
        if item.kind is item.KEYWORD_ONLY and not starred:
            parameters.append("*")
        parameters.append(_parameter(item))
        kind = item.kind
    result = _annotation(signature.return_annotation)
    tail = f" -> {result}" if result and not prefix else ""
    line = f"{prefix}{name}({', '.join(parameters)}){tail}"
    if len(line) > HELP_COLUMNS:
        body = "".join(f"    {parameter},\n" for parameter in parameters)
        line = f"{prefix}{name}(\n{body}){tail}"
    return f"```python\n{line}\n```"


def _parameter(item: inspect.Parameter) -> str:
    stars = {item.VAR_POSITIONAL: "*", item.VAR_KEYWORD: "**"}.get(item.kind, "")
    kind = _annotation(item.annotation)
    text = f"{stars}{item.name}" + (f": {kind}" if kind else "")
    if item.default is item.empty:
        return text
    default = re.sub(r"^<.*>$", "...", repr(item.default))
    return f"{text} = {default}" if kind else f"{text}={default}"


def _annotation(annotation: Any) -> str:
    """Returns an annotation as it is written in the source, whatever Python holds it as."""
    if annotation is inspect.Signature.empty:
        return ""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation
    return inspect.formatannotation(annotation)


SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields")


def markdown(docstring: str) -> str:
    """Turns a Google-style docstring into Markdown."""
    lines: list[str] = []
    section = ""
    for line in docstring.replace("``", "`").splitlines():
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            section = line.rstrip(":")
            lines += [f"**{section}**", ""]
        elif section and line.startswith("    "):
            lines.append(_item(line[4:], section))
        else:
            if line and section:
                section = ""
            lines.append(re.sub(r"::$", ":", line))
    return "\n".join(lines).strip()


def _item(line: str, section: str) -> str:
    """Turns a line of a section into a list item, or into the text of the one before."""
    match = re.match(r"([\w*.]+(?:, [\w.]+)*): (.*)", line)
    if match and section not in ("Returns", "Yields"):
        return f"- `{match[1]}`: {match[2]}"
    return line if not line.startswith("    ") else f"  {line.strip()}"


if __name__ == "__main__":
    main()
