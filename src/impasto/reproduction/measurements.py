"""Measurements that are kept as soon as they are made, so that a report can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from impasto.errors import ResumeError
from impasto.images.writing import atomic_path

Value = TypeVar("Value")

FILE = "measurements.json"


class Measurements:
    """The measurements of one section, in ``<folder>/measurements.json``.

    Args:
        folder: the section's folder; it is made.
        inputs: everything that the measurements depend on, JSON-ready.

    Raises:
        ResumeError: the folder holds measurements of other inputs, or a file that is
            none of ours.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, inputs: dict[str, Any]) -> None:
        self._path = folder / FILE
        self._inputs = json.loads(json.dumps(inputs))
        self._values: dict[str, Any] = {}
        if not self._path.exists():
            return
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            before, self._values = kept["inputs"], dict(kept["values"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ResumeError(
                f"{self._path} cannot be read: remove it, or choose another -o"
            ) from error
        if before != self._inputs:
            names = sorted(
                name
                for name in before.keys() | self._inputs.keys()
                if before.get(name) != self._inputs.get(name)
            )
            raise ResumeError(
                f"{folder} holds measurements with other {', '.join(names)}: choose another -o"
            )

    def get(self, name: str, measure: Callable[[], Value]) -> Value:
        """Returns a measurement, which is made and kept if it is not there yet.

        Args:
            name: what it goes by.
            measure: makes it; what it returns must be JSON-ready.
        """
        if name not in self._values:
            self.keep(name, measure())
        kept: Value = self._values[name]
        return kept

    def holds(self, name: str, value: object) -> bool:
        """Tells whether a measurement is there and is this one."""
        return name in self._values and self._values[name] == json.loads(json.dumps(value))

    def keep(self, name: str, value: object) -> None:
        """Keeps a measurement in place of an earlier one; it must be JSON-ready.

        Raises:
            OutputError: the file cannot be written.
        """
        self._values[name] = json.loads(json.dumps(value))
        text = json.dumps({"inputs": self._inputs, "values": self._values}, indent=1)
        with atomic_path(self._path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
