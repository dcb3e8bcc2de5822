import pytest

from impasto.runtime.stylizer import StyleModel
from impasto.video.changes import FramePainter, Timeline


@pytest.fixture
def negative(tiny_model):
    """Paints the negative of each frame."""
    return FramePainter(StyleModel(tiny_model, threads=1), Timeline({"negative": 1.0}))
