"""Makes phone.heic, where an encoder is installed: `python make_heic.py`.

`pip install pillow-heif`: pi-heif, which Impasto reads HEIC with, cannot write it. The picture
is four plain quarters in Display P3. Like a phone's, it lies on its side in the file, and both
the container (irot) and its EXIF block say so: who obeys both turns it twice.
"""

import sys
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent.parent))
from icc_profiles import DISPLAY_P3, rgb_profile  # noqa: E402

ORIENTATION, TURNED_RIGHT = 0x0112, 6

quarters = np.empty((48, 64, 3), np.uint8)
quarters[:24, :32] = (200, 60, 40)
quarters[:24, 32:] = (90, 170, 90)
quarters[24:, :32] = (50, 80, 190)
quarters[24:, 32:] = (128, 128, 128)
exif = Image.Exif()
exif[0x010F] = "Maker"
exif[ORIENTATION] = TURNED_RIGHT
image = Image.fromarray(quarters).transpose(Image.Transpose.ROTATE_90)
pillow_heif.register_heif_opener()
image.save(
    FOLDER / "phone.heic",
    exif=exif.tobytes(),
    icc_profile=rgb_profile(DISPLAY_P3),
    quality=95,
    chroma=444,
)
