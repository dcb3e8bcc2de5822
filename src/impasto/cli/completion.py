"""What the shell offers for an option's value."""

from __future__ import annotations

from impasto.errors import ImpastoError


def complete_style(incomplete: str) -> list[str]:
    """Returns the names of styles that begin with what was typed."""
    from impasto.runtime.styles import list_styles

    try:
        return _beginning(incomplete, [style.name for style in list_styles()])
    except ImpastoError:  # a damaged installation is told when the command runs
        return []


def complete_own_style(incomplete: str) -> list[str]:
    """Likewise, the user's own styles only."""
    from impasto.catalog.own import own_models

    return _beginning(incomplete, list(own_models()))


def complete_upscaler(incomplete: str) -> list[str]:
    """Returns the names of upscaling models that begin with what was typed."""
    from impasto.catalog import list_upscalers

    try:
        names = [upscaler.name for upscaler in list_upscalers()]
    except ImpastoError:
        return []
    return _beginning(incomplete, list(dict.fromkeys(names)))


def complete_device(incomplete: str) -> list[str]:
    """Returns the devices of this ONNX Runtime that begin with what was typed."""
    from impasto.runtime.session import available_devices

    return _beginning(incomplete, ["auto", *available_devices()])


def _beginning(incomplete: str, values: list[str]) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]
