"""What is done to each frame of a clip: it is painted, or enlarged.

Both are used from one thread, frame after frame. Their ``settings`` are all that the results
depend on, ready for JSON. ``steadiness`` is the share of the result before that is kept, or None.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from impasto.images.reading import Photo
from impasto.runtime.changes import Enlarger
from impasto.runtime.stylizer import StyleModel
from impasto.video.frames import Frame
from impasto.video.timeline import Timeline


@dataclass
class FramePainter:
    """Paints frames with the dials of a timeline.

    Attributes:
        model: the styles.
        timeline: blend and dials at each time.
        steadiness: one of `MODES`.
        digest: of the model's file.
        scale: how many times as wide and high a result is.
    """

    model: StyleModel
    timeline: Timeline
    steadiness: float | None = None
    digest: str = ""
    scale: ClassVar[int] = 1

    def apply(self, frame: Frame) -> Frame:
        """Paints a frame."""
        blend, dials = self.timeline.at(float(frame.time_s))
        frame.rgb = self.model.with_blend(blend).paint_with(frame.rgb, dials)
        return frame

    def settings(self) -> dict[str, Any]:
        """Returns the model's digests and all dials."""
        dials = vars(self.timeline.dials)
        mask = dials["mask"]
        timeline = (self.timeline.blend, self.timeline.styles, self.timeline.tracks)
        return {
            "model": [self.digest, self.model.metadata.weights_sha256],
            "timeline": repr(timeline),
            "dials": dials | {"mask": None if mask is None else zlib.crc32(mask.tobytes())},
            "steadiness": repr(self.steadiness),
        }


@dataclass
class FrameEnlarger:
    """Enlarges frames, with their transparency."""

    enlarger: Enlarger
    steadiness: float | None = None

    @property
    def scale(self) -> int:
        """How many times as wide and high a result is."""
        return self.enlarger.scale

    def apply(self, frame: Frame) -> Frame:
        """Enlarges a frame."""
        photo = self.enlarger(Photo(frame.rgb, frame.alpha))
        frame.rgb, frame.alpha = np.ascontiguousarray(photo.rgb), photo.alpha
        return frame

    def settings(self) -> dict[str, Any]:
        """Returns the model's digest and the dials."""
        return {
            "model": self.enlarger.model.metadata.weights_sha256,
            **vars(self.enlarger.dials),
            "steadiness": repr(self.steadiness),
        }


Change: TypeAlias = FramePainter | FrameEnlarger
