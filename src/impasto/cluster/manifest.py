"""The manifest of a batch: a Parquet file with one row for each input."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from impasto.cluster import storage
from impasto.cluster.worker import Result

MANIFEST_NAME: Final = "manifest.parquet"

_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),
        ("output", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("attempts", pa.int64()),
        ("worker", pa.string()),
        ("elapsed_s", pa.float64()),
        ("size_bytes", pa.int64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
    ]
)


def write_manifest(folder: str, results: Sequence[Result]) -> str:
    """Writes the manifest whole, in place of the one of an earlier run.

    Args:
        folder: where the results are.
        results: one for each input.

    Returns:
        Its path or URL.

    Raises:
        OutputError: it cannot be written.
    """
    rows = [
        {name: _printable(value) for name, value in dataclasses.asdict(result).items()}
        for result in results
    ]
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), buffer)
    place = storage.join(folder, MANIFEST_NAME)
    storage.write(place, buffer.getvalue().to_pybytes())
    return place


def _printable(value: Any) -> Any:
    """Escapes what a file name on Linux may hold and UTF-8 may not."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
