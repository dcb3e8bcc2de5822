"""ICC profiles for tests, written from the published primaries and curves of colour spaces.

`expected_srgb` and `expected_own` compute with the same definitions in floating point, so that
tests compare what a colour engine did with arithmetic that does not use one.
"""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
D65_XY = (0.3127, 0.3290)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

# Primaries (x, y) of red, green and blue, the white point, and the curve from value to light:
# an exponent, or the five parameters (g, a, b, c, d) of
#   light = (a * value + b) ** g  for value >= d,  c * value  below.
SRGB = (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65_XY, SRGB_CURVE)
DISPLAY_P3 = (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65_XY, SRGB_CURVE)
ADOBE_RGB = (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65_XY, (563 / 256,))
PROPHOTO = (
    ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
    (0.3457, 0.3585),
    (1.8, 1.0, 0.0, 1 / 16, 0.03125),
)
SPACES = {"Display P3": DISPLAY_P3, "Adobe RGB": ADOBE_RGB, "ProPhoto": PROPHOTO}

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def rgb_profile(space):
    """Returns a matrix/TRC display profile, version 4."""
    matrix = _to_d50(space)
    curve = _curve_tag(space[2])
    tags = {b"wtpt": _xyz_tag(D50)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True):
        tags[name] = _xyz_tag(column)
    tags |= {name: curve for name in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(exponent):
    """Returns a grey profile whose light is value ** exponent."""
    return _profile(
        b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz_tag(D50), b"kTRC": _curve_tag((exponent,))}
    )


def cmyk_profile(corner_lab):
    """Returns a printer profile that interpolates between the sixteen full overprints.

    Args:
        corner_lab: maps (c, m, y, k), each 0 or 1, to (L*, a*, b*).
    """
    table = bytearray()
    for corner in np.ndindex(2, 2, 2, 2):
        lightness, a, b = corner_lab(*corner)
        table += bytes((round(lightness * 255 / 100), round(a) + 128, round(b) + 128))
    identity = bytes(range(256))
    unit = struct.pack(">9i", *(np.eye(3).ravel() * 65536).astype(int))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + unit + identity * 4 + bytes(table) + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz_tag(D50), b"A2B0": lut})


def expected_srgb(values, space):
    """Converts 0..255 values of a space to sRGB levels, unrounded and clipped to 0..255."""
    return _convert(values, space, SRGB)


def expected_own(values, space):
    """Converts 0..255 sRGB values to levels of a space, unrounded and clipped to 0..255."""
    return _convert(values, SRGB, space)


def _convert(values, source, target):
    light = _decode(np.asarray(values) / 255, source[2])
    light = light @ (np.linalg.inv(_to_d50(target)) @ _to_d50(source)).T
    return 255 * _encode(np.clip(light, 0, 1), target[2])


def _decode(values, curve):
    g, a, b, c, d = (*curve, 1.0, 0.0, 0.0, 0.0) if len(curve) == 1 else curve
    return np.where(values >= d, np.maximum(a * values + b, 0) ** g, c * values)


def _encode(light, curve):
    g, a, b, c, d = (*curve, 1.0, 0.0, 1.0, 0.0) if len(curve) == 1 else curve
    return np.where(light >= c * d, (light ** (1 / g) - b) / a, light / c)


def _to_d50(space):
    """Returns the matrix from linear RGB to XYZ, adapted to D50 by Bradford's method."""
    primaries, white, _ = space
    columns = np.array([_xyz(*xy) for xy in primaries]).T
    matrix = columns * np.linalg.solve(columns, _xyz(*white))
    cones = (_BRADFORD @ D50) / (_BRADFORD @ _xyz(*white))
    return np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix


def _xyz(x, y):
    return np.array((x / y, 1.0, (1 - x - y) / y))


def _xyz_tag(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _curve_tag(curve):
    kind = 0 if len(curve) == 1 else 3
    numbers = (round(value * 65536) for value in curve)
    return struct.pack(f">4sIHH{len(curve)}i", b"para", 0, kind, 0, *numbers)


def _text_tag(text):
    data = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(data), 28) + data


def _profile(kind, colours, connection, tags):
    tags = {b"desc": _text_tag("a test's profile"), b"cprt": _text_tag("no rights"), **tags}
    directory, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        directory += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s4s",
        start + len(body), b"\0\0\0\0", 0x04300000, kind, colours, connection,
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0), b"acsp", b"\0\0\0\0",
    )  # fmt: skip
    header = header.ljust(68, b"\0") + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + directory + body
