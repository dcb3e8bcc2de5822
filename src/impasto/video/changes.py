"""What is done to each frame of a clip: painting, or upscaling."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from impasto.images.reading import Photo
from impasto.runtime.steady import SteadyModel
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.upscaler import UpscaleModel
from impasto.video.frames import Floats, Frame, Picture
from impasto.video.steadiness import Steadiness
from impasto.video.timeline import Timeline


class Change(Protocol):
    """What is done to each frame, in their order and from one thread.

    Attributes:
        steadiness: how frames are kept steady; None is not at all.
        scale: how many times as wide and high a result is.
    """

    steadiness: Steadiness | None
    scale: int

    def apply(self, frame: Frame) -> Frame:
        """Changes a frame."""
        ...

    def go_on(self, averages: Mapping[str, Mapping[str, Floats]]) -> None:
        """Takes what was remembered after the frame before the next one."""
        ...

    def settings(self) -> dict[str, Any]:
        """Returns all that its results depend on; JSON-ready."""
        ...


@dataclass
class Painting:
    """Paints frames; implements `Change`.

    Attributes:
        model: the styles; a `SteadyModel` where statistics are smoothed.
        timeline: the dials.
        keep_colors: as for `StyleModel.paint`.
        mask: likewise.
        memory: likewise.
        steadiness: how frames are kept steady; None is not at all.
        digest: of the model's file.
        scale: 1.
    """

    model: StyleModel
    timeline: Timeline
    keep_colors: bool = False
    mask: Picture | None = None
    memory: int | None = None
    steadiness: Steadiness | None = None
    digest: str = ""
    scale: int = 1

    def apply(self, frame: Frame) -> Frame:
        """Paints a frame; after a scene cut without statistics of the scene before."""
        dials = self.timeline.at(float(frame.time_s))
        steady = self.model if isinstance(self.model, SteadyModel) else None
        if steady is not None and frame.motion is None:
            steady.restart()
        frame.rgb = self.model.with_blend(dials.blend).paint(
            frame.rgb,
            strength=dials.strength,
            stroke_size=dials.stroke_size,
            keep_colors=self.keep_colors,
            mask=self.mask,
            memory=self.memory,
        )
        if steady is not None:
            frame.averages = steady.averages
        return frame

    def go_on(self, averages: Mapping[str, Mapping[str, Floats]]) -> None:
        """Goes on with the statistics that were smoothed so far."""
        if isinstance(self.model, SteadyModel):
            self.model.averages = {kind: dict(values) for kind, values in averages.items()}

    def settings(self) -> dict[str, Any]:
        """Returns the model's digests and all dials."""
        mask = None if self.mask is None else zlib.crc32(self.mask.tobytes())
        return {
            "model": [self.digest, self.model.metadata.weights_sha256],
            "timeline": repr(self.timeline),
            "keep_colors": self.keep_colors,
            "mask": mask,
            "memory": self.memory,
            "steadiness": repr(self.steadiness),
        }


@dataclass
class Upscaling:
    """Enlarges frames; implements `Change`.

    Attributes:
        model: the network.
        scale: how many times as wide and high a result is.
        steadiness: how frames are kept steady; None is not at all.
    """

    model: UpscaleModel
    scale: int
    steadiness: Steadiness | None = None

    def apply(self, frame: Frame) -> Frame:
        """Enlarges a frame, with its transparency."""
        photo = self.model.upscale_photo(Photo(frame.rgb, frame.alpha), scale=self.scale)
        frame.rgb, frame.alpha = np.ascontiguousarray(photo.rgb), photo.alpha
        return frame

    def go_on(self, averages: Mapping[str, Mapping[str, Floats]]) -> None:
        """Needs nothing of the frames before."""

    def settings(self) -> dict[str, Any]:
        """Returns the model's digest and the scale."""
        return {
            "model": self.model.metadata.weights_sha256,
            "scale": self.scale,
            "steadiness": repr(self.steadiness),
        }
