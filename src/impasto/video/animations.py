"""Animated pictures, read and written with Pillow: GIF, WebP and APNG."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageSequence

from impasto.errors import ImageError, OutputError, VideoError
from impasto.images.opening import open_header
from impasto.images.reading import DECODE_ERRORS, photo_from_image
from impasto.images.resize import shrink
from impasto.images.writing import atomic_path
from impasto.video.clips import DEFAULT_COLOUR, Clip
from impasto.video.frames import Frame

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS: Final = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
"""Pillow's name of the format, by suffix."""

MILLISECOND: Final = Fraction(1, 1000)
# What viewers show a frame for that states no time, or next to none.
_USUAL_MS: Final = 100
# The step in which a format holds times, and the least time that viewers keep to, in ms.
_STEPS_MS: Final = {"GIF": (10, 20), "WEBP": (1, 11), "PNG": (1, 11)}
_WEBP_QUALITY: Final = 90


class Animation:
    """An animated picture, or a still one of one frame; its attributes are those of a `Clip`.

    Attributes:
        loop: how often it is shown, 0 for ever; None once.
    """

    time_base, origin_s = MILLISECOND, Fraction(0)
    bits, colour, turns, pixel_shape = 8, DEFAULT_COLOUR, 0, None
    has_sound = False

    def __init__(self, path: Path, *, max_side_px: int | None = None) -> None:
        """Looks at all frames; arguments and errors are those of `Clip`."""
        self.path, self._max_side_px = path, max_side_px
        self.damaged = 0
        self.loop: int | None = None
        durations = []
        for frame in self.frames():
            self.height, self.width = frame.rgb.shape[:2]
            durations.append(frame.duration)
        if not durations:
            raise VideoError(f"{path} holds no frame that can be decoded")
        self.frame_count: int | None = len(durations)
        self.frame_rate = len(durations) / (sum(durations) * MILLISECOND)
        self.damaged = 0

    def frames(self, first_s: Fraction | None = None) -> Iterator[Frame]:
        """Reads the frames that are shown at a time or after it, None for all.

        Reading ends at the first frame that is damaged.
        """
        time_ms = 0
        with _opened(self.path) as image:
            self.loop = image.info.get("loop")
            frames = ImageSequence.Iterator(image)
            while True:
                try:
                    current = next(frames)
                    photo = photo_from_image(current, name=str(self.path))
                except StopIteration:
                    return
                except (*DECODE_ERRORS, ImageError):
                    self.damaged += 1
                    return
                if self._max_side_px is not None:
                    photo = shrink(photo, self._max_side_px)
                stated = round(float(current.info.get("duration") or 0))
                duration = stated if stated > 10 else _USUAL_MS
                time_s = time_ms * MILLISECOND
                if first_s is None or time_s >= first_s:
                    yield Frame(photo.rgb, time_ms, duration, time_s, photo.alpha)
                time_ms += duration


def is_animation(path: Path) -> bool:
    """Tells whether a file's name is that of a kind of picture that may be animated."""
    return path.suffix.lower() in FORMATS


def is_animated(path: Path) -> bool:
    """Tells whether a file is a picture of several frames.

    Raises:
        VideoError: its name says that it may be one, and it is missing or no picture.
    """
    if not is_animation(path):
        return False
    with _opened(path) as image:
        return bool(getattr(image, "is_animated", False))


def open_source(path: Path, *, max_side_px: int | None = None) -> Clip | Animation:
    """Opens a clip or an animated picture, by its name; arguments and errors are theirs."""
    return (Animation if is_animation(path) else Clip)(path, max_side_px=max_side_px)


def write_animation(
    path: Path, frames: Iterator[Frame], *, time_base: Fraction, loop: int | None
) -> int:
    """Writes an animated picture, atomically; none where there are no frames.

    It plays as fast as the frames say: times are rounded to the format's steps, without errors
    that add up, and frames that come too fast for viewers, above 50 a second in a GIF, are left
    out.

    Args:
        path: the file; its suffix is one of `FORMATS`.
        frames: all of the same size.
        time_base: seconds in a unit of their time.
        loop: as in `Animation`.

    Returns:
        How many frames were left out.

    Raises:
        OutputError: it cannot be written.
    """
    file_format = FORMATS[path.suffix.lower()]
    step_ms, least_ms = _STEPS_MS[file_format]

    def rounded_ms(pts: int) -> int:
        return step_ms * round(pts * time_base / MILLISECOND / step_ms)

    # Durations are known only once all frames have come, and so is which colours a GIF needs.
    begins_ms: list[int] = []
    pictures: list[Image.Image] = []
    end_ms = count = 0
    for frame in frames:
        count += 1
        begin_ms, end_ms = rounded_ms(frame.pts), rounded_ms(frame.pts + frame.duration)
        if not begins_ms or begin_ms >= begins_ms[-1] + least_ms:
            begins_ms.append(begin_ms)
            pictures.append(_image(frame))
    if not pictures:
        return 0
    ends_ms = [*begins_ms[1:], max(end_ms, begins_ms[-1] + least_ms)]
    durations = [end - begin for begin, end in zip(begins_ms, ends_ms, strict=True)]
    settings: dict[str, Any] = {"duration": durations, "save_all": True}
    if loop is not None:
        settings["loop"] = loop
    if file_format == "WEBP":
        # The lossy animations that Pillow writes are opaque.
        clear = any(picture.mode == "RGBA" for picture in pictures)
        settings |= {"lossless": True} if clear else {"quality": _WEBP_QUALITY, "method": 4}
    if file_format == "GIF":
        settings["disposal"] = 2
    with atomic_path(path) as temporary:
        try:
            pictures[0].save(temporary, file_format, append_images=pictures[1:], **settings)
        except (ValueError, RuntimeError) as error:
            raise OutputError(f"cannot write {path}: {error}") from error
    return count - len(pictures)


def _image(frame: Frame) -> Image.Image:
    image = Image.fromarray(frame.rgb)
    if frame.alpha is not None and frame.alpha.min() < 255:
        image.putalpha(Image.fromarray(frame.alpha))
    return image


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    try:
        with path.open("rb") as file, open_header(file) as image:
            yield image
    except FileNotFoundError as error:
        raise VideoError(f"no such file: {path}") from error
    except DECODE_ERRORS as error:
        raise VideoError(f"{path} is no animated picture, or a damaged one") from error
