#!/bin/sh
# PyAV 18.1 cannot list the side data of a frame that carries EXIF.
#
# FFmpeg 8.1 hands the EXIF of a Motion JPEG frame on as frame side data of a new kind. The
# enumeration of PyAV 18.1 does not have that kind, and one unknown kind spoils the whole container:
# `frame.side_data` raises ValueError, so that other side data of the same frame, such as a display
# matrix, cannot be reached either. Cameras and time-lapses write such clips.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    av==18.1.0 numpy==2.4.6 pillow==13.0.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import sys
from fractions import Fraction

import av
import numpy as np
from PIL import Image

print(f"PyAV {av.__version__}, Python {sys.version.split()[0]}")


def write_clip(path, exif):
    with av.open(path, "w") as clip:
        stream = clip.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(3):
            file = io.BytesIO()
            grey = np.full((48, 64, 3), 60 * number, np.uint8)
            Image.fromarray(grey).save(file, "JPEG", **({"exif": exif} if exif else {}))
            packet = av.Packet(file.getvalue())
            packet.stream, packet.time_base = stream, Fraction(1, 5)
            packet.pts = packet.dts = number
            clip.mux(packet)


def side_data(path):
    with av.open(path) as clip:
        frame = next(clip.decode(video=0))
        try:
            return f"{len(frame.side_data)} kinds of side data"
        except ValueError as error:
            return f"ValueError: {error}"


exif = Image.Exif()
exif[0x010F] = "a camera"
write_clip("plain.mkv", None)
write_clip("exif.mkv", exif)
plain, with_exif = side_data("plain.mkv"), side_data("exif.mkv")
print(f"a frame without EXIF: {plain}")
print(f"a frame with EXIF:    {with_exif}")
if plain != "0 kinds of side data" or "is not a valid Type" not in with_exif:
    sys.exit("this has changed")
PYTHON
