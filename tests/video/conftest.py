import pytest

from impasto.runtime.stylizer import StyleModel
from impasto.video.changes import Painting
from impasto.video.timeline import Dials, Timeline


@pytest.fixture
def negative(tiny_model):
    """Paints the negative of each frame."""
    return Painting(StyleModel(tiny_model, threads=1), Timeline(Dials({"negative": 1.0})))
