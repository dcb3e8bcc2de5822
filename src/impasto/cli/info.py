"""``impasto info``: what a report of a problem should hold."""

from __future__ import annotations

import json
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import typer

from impasto._version import __version__
from impasto.cli.console import one_line, print_note
from impasto.cli.options import OneJson
from impasto.errors import install_line

_PACKAGES: Final = ("pillow", "numpy")


def command(as_json: OneJson = False) -> None:
    """Show versions, extras, devices, folders and models."""
    facts = gather()
    if as_json:
        typer.echo(json.dumps(facts))
        return
    names = ("impasto", "python", "onnxruntime", *_PACKAGES, "platform")
    rows = [(name, str(facts[name])) for name in names]
    rows += [
        (f"extra {name}", "installed" if here else f"not installed: {install_line(name)}")
        for name, here in facts["extras"].items()
    ]
    rows += [
        ("devices", ", ".join(facts["devices"])),
        ("device", f"{facts['device']} (chosen by --device auto)"),
        ("cores", str(facts["cores"])),
        ("data folder", facts["data_folder"]),
    ]
    for model in facts["models"]:
        scale = f" x{model['scale']}" if "scale" in model else ""
        rows.append((f"model {model['name']}{scale}", model["path"]))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(one_line(f"{name:{width}}  {value}"))
    for warning in facts["warnings"]:
        print_note(f"warning: {warning}")


def gather() -> dict[str, Any]:
    """Returns the facts under the names of ``--json``."""
    import onnxruntime

    from impasto.catalog import list_styles, list_upscalers
    from impasto.catalog.own import data_folder
    from impasto.runtime.cores import usable_cores
    from impasto.runtime.session import available_devices, choose_device

    return {
        "impasto": __version__,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        **{name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "extras": {
            name: all(_version(package) is not None for package in packages)
            for name, packages in _extras().items()
        },
        "devices": list(available_devices()),
        "providers": onnxruntime.get_available_providers(),
        "device": choose_device(),
        "cores": usable_cores(),
        "data_folder": str(data_folder()),
        "models": [
            {"name": style.name, "origin": style.origin, "path": str(style.path)}
            for style in list_styles()
        ]
        + [
            {"name": item.name, "origin": "shipped", "path": str(item.path), "scale": item.scale}
            for item in list_upscalers()
        ],
        "warnings": _warnings(Path(onnxruntime.__file__).parents[1]),
    }


def _warnings(folder: Path) -> list[str]:
    """Tells of builds of ONNX Runtime that were installed over one another in a folder."""
    found = [metadata.Distribution.at(path) for path in folder.glob("onnxruntime*.dist-info")]
    package = "onnxruntime/__init__.py"
    builds = sorted(item.name for item in found if package in map(str, item.files or ()))
    if len(builds) < 2:
        return []
    return [
        f"{' and '.join(builds)} lie over one another in {folder}, and devices may be missing: "
        f"`pip uninstall -y {' '.join(builds)}`, then install the one that you want"
    ]


def _extras() -> dict[str, list[str]]:
    """Returns the optional parts and the packages of each, as the installation states them."""
    try:
        stated = metadata.metadata("impasto").get_all("Provides-Extra") or []
        required = metadata.requires("impasto") or []
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return {}
    extras: dict[str, list[str]] = {name: [] for name in stated if name != "dev"}
    for line in required:
        package = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra\s*==\s*["']([\w.-]+)["']""", line)
        if package and extra and extra[1] in extras:
            extras[extra[1]].append(package[0])
    return extras


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
