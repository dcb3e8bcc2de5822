"""A change that is a function of the test."""

from impasto.runtime.changes import Change
from impasto.runtime.session import nothing


class Plain(Change):
    def __init__(self, function, *, scale=1, largest_px=None):
        self.function, self._scale, self.largest_px = function, scale, largest_px

    @property
    def scale(self):
        return self._scale

    def __call__(self, photo, progress=nothing):
        return self.function(photo)

    def result_px(self, side_px):
        return min(super().result_px(side_px), self.largest_px or 10**9)
