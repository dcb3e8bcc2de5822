"""Names that are imported when they are first asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any


def lazy_names(package: str, *modules: str) -> Callable[[str], Any]:
    """Makes the ``__getattr__`` of a package whose heavy modules load on demand.

    Args:
        package: the package's ``__name__``; its ``__all__`` says which names it has.
        modules: its modules that need PyTorch or more, looked through in this order.
    """

    def get(name: str) -> Any:
        if name in sys.modules[package].__all__:
            for module in modules:
                names = vars(importlib.import_module(f"{package}.{module}"))
                if name in names:
                    return names[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
