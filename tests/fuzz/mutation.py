"""Damage that any file can suffer, whatever its format."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

# Edges of the integer types that file formats store.
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
INTEGERS = (">H", "<H", ">I", "<I", "<Q", ">Q")


def edge(rng: Random, fmt: str) -> bytes:
    """Packs an edge value, or a random one, as an integer of the struct format ``fmt``."""
    size = struct.calcsize(fmt)
    value = rng.choice(EDGES) if rng.random() < 0.8 else rng.getrandbits(8 * size)
    return struct.pack(fmt.upper(), value & (256**size - 1))


def mutate(rng: Random, data: bytes, other: bytes = b"") -> tuple[str, bytes]:
    """Applies one to four kinds of damage.

    Args:
        rng: decides everything.
        data: the intact file.
        other: a file to splice with.

    Returns:
        The names of what was done, and the damaged bytes.
    """
    names = []
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        operation = rng.choice(_OPERATIONS)
        data = operation(rng, data, other)
        names.append(operation.__name__.strip("_"))
    return "+".join(names), data


def _flip(rng: Random, data: bytes, _other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 32))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(rng: Random, data: bytes, _other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _remove(rng: Random, data: bytes, _other: bytes) -> bytes:
    start, length = _span(rng, data)
    return data[:start] + data[start + length :]


def _repeat(rng: Random, data: bytes, _other: bytes) -> bytes:
    start, length = _span(rng, data)
    return data[: start + length] + data[start : start + length] * rng.choice((1, 1, 7, 60))


def _overwrite(rng: Random, data: bytes, _other: bytes) -> bytes:
    start, length = _span(rng, data)
    filler = rng.choice((b"\0", b"\xff", b"A", b"\x80"))
    return data[:start] + filler * length + data[start + length :]


def _insert(rng: Random, data: bytes, _other: bytes) -> bytes:
    start, _ = _span(rng, data)
    return data[:start] + rng.randbytes(rng.choice((1, 2, 4, 64, 5000))) + data[start:]


def _splice(rng: Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _length(rng: Random, data: bytes, _other: bytes) -> bytes:
    """Writes an edge value over an integer, most often near the start, where headers are."""
    fmt = rng.choice(INTEGERS)
    reach = len(data) if rng.random() < 0.4 else min(len(data), 256)
    start = rng.randrange(reach + 1)
    return data[:start] + edge(rng, fmt) + data[start + struct.calcsize(fmt) :]


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, rng.randint(1, 1 + min(len(data) - start, rng.choice((4, 64, 4096))))


_OPERATIONS: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _flip,
    _flip,
    _truncate,
    _remove,
    _repeat,
    _overwrite,
    _insert,
    _splice,
    _length,
    _length,
)
