"""One picture from its file to the result's: every front does it by these steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from impasto.dials import Writing
from impasto.images.mapping import is_mapped, scratch_folder
from impasto.images.reading import DEFAULT_MAX_PIXELS, Photo, read_image
from impasto.images.regions import can_write, read_huge, write_huge
from impasto.images.writing import (
    check_sides,
    encode_image,
    format_of,
    writable_format,
    write_image,
)
from impasto.runtime.changes import Change


@dataclass(frozen=True)
class Work:
    """What is done with a picture.

    Attributes:
        change: paints or enlarges it.
        writing: how the result is written, and how large both may be.
    """

    change: Change
    writing: Writing

    def read(
        self, source: Path | bytes, target: Path | None = None, *, name: str = "the picture"
    ) -> Photo:
        """Decodes a picture; one too large for memory stays on the disk, from file to file.

        Args:
            source: its path, or its file's content.
            target: where the result goes, if that is a file.
            name: what messages call a picture without a path.

        Raises:
            ImageError: it cannot be read.
        """
        limit = self.writing.max_pixels or DEFAULT_MAX_PIXELS
        if isinstance(source, Path) and target is not None and can_write(format_of(target)):
            huge = read_huge(
                source,
                scratch_folder(target),
                max_pixels=limit,
                memory=self.change.memory,
                scale=self.change.scale,
            )
            if huge is not None:
                return huge
        return read_image(source, max_pixels=limit, name=name)

    def file_format(self, photo: Photo) -> str:
        """Returns Pillow's name of a result's format, where no file's suffix says it."""
        return writable_format(self.writing.pillow_format or photo.format)

    def check(self, photo: Photo, file_format: str) -> None:
        """Refuses, before minutes of work, a result too long for its format (OutputError)."""
        height, width = photo.rgb.shape[:2]
        check_sides(file_format, self.change.result_px(width), self.change.result_px(height))

    def encode(self, photo: Photo, file_format: str) -> bytes:
        """Returns a result's file; OutputError says that the format cannot hold it."""
        return encode_image(photo, file_format, quality=self.writing.quality)

    def write(self, photo: Photo, target: Path) -> None:
        """Writes a result, whole or not at all (OutputError), in the format of its suffix."""
        write = write_huge if is_mapped(photo.rgb) else write_image
        write(target, photo, quality=self.writing.quality)
