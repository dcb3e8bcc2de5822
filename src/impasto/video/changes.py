"""What is done to each frame of a clip: painting, or upscaling."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from impasto.images.reading import Photo
from impasto.runtime.changes import Enlarger
from impasto.runtime.stylizer import StyleModel
from impasto.video.frames import Frame
from impasto.video.steadiness import Steadiness
from impasto.video.timeline import Timeline


class Change(Protocol):
    """What is done to each frame, in their order and from one thread.

    Attributes:
        steadiness: how frames are kept steady; None is not at all.
    """

    steadiness: Steadiness | None

    @property
    def scale(self) -> int:
        """How many times as wide and high a result is."""
        ...

    def apply(self, frame: Frame) -> Frame:
        """Changes a frame."""
        ...

    def settings(self) -> dict[str, Any]:
        """Returns all that its results depend on; JSON-ready."""
        ...


@dataclass
class FramePainter:
    """Paints frames; implements `Change`.

    Attributes:
        model: the styles.
        timeline: the dials.
        steadiness: how frames are kept steady; None is not at all.
        digest: of the model's file.
        scale: 1.
    """

    model: StyleModel
    timeline: Timeline
    steadiness: Steadiness | None = None
    digest: str = ""
    scale: int = 1

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
    """Enlarges frames; implements `Change`.

    Attributes:
        enlarger: what enlarges a picture.
        steadiness: how frames are kept steady; None is not at all.
    """

    enlarger: Enlarger
    steadiness: Steadiness | None = None

    @property
    def scale(self) -> int:
        """How many times as wide and high a result is."""
        return self.enlarger.scale

    def apply(self, frame: Frame) -> Frame:
        """Enlarges a frame, with its transparency."""
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
