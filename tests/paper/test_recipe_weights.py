import dataclasses

import pytest

from impasto.catalog import shipped_styles
from impasto.errors import ModelError, UnknownStyleError
from impasto.losses import STYLE_LAYERS
from impasto.paper import trained_weights, weights_of_model
from impasto.runtime.metadata import StyleEntry

RECIPE = {
    "paintings": ["a.jpg", "b.jpg"],
    "content_layer": "relu3_3",
    "style_layers": ["relu1_2", "relu2_2"],
    "content_weight": 2.0,
    "style_weight": "auto",
    "style_scale": [3.0, 6.0],
    "style_reduction": "mean",
    "tv_weight": 1e-6,
    "style_size_px": [384, 192],
    "references": {
        "content": 4.0,
        # Two sizes of a, then two of b.
        "style": {"relu1_2": [10.0, 11.0, 20.0, 21.0], "relu2_2": [5.0, 6.0, 8.0, 9.0]},
    },
}


@pytest.fixture
def stated(metadata):
    """Metadata of a model of the styles a and b, and c, which it took over."""
    styles = tuple(StyleEntry(name, name) for name in "abc")
    return lambda **recipe: dataclasses.replace(
        metadata, styles=styles, recipe={**RECIPE, **recipe}
    )


def test_balanced_weights_by_hand(stated):
    found = trained_weights(stated())
    assert (found.content_layer, found.style_size_px, found.tv) == ("relu3_3", 384, 1e-6)
    assert found.content == pytest.approx(2 / 4)
    # The scale, over the number of layers, over the reference.
    assert found.style == pytest.approx({"relu1_2": 3 / 2 / 10, "relu2_2": 3 / 2 / 5})
    second = trained_weights(stated(), "b")
    assert second.style == pytest.approx({"relu1_2": 6 / 2 / 20, "relu2_2": 6 / 2 / 8})
    assert second.content == found.content


def test_octaves_count_at_one_size(stated):
    """Of a training at three octaves the objective is that of the first, with all of the style."""
    reference = {"content": 4.0, "style": {"relu1_2": [10.0, 20.0], "relu2_2": [5.0, 8.0]}}
    other = {"content": 9.0, "style": {"relu1_2": [1.0, 1.0], "relu2_2": [1.0, 1.0]}}
    found = trained_weights(
        stated(
            style_size_px=448, octaves=3, scales=[1.5, 0.5], references=[reference, other, other]
        ),
        "b",
    )
    assert (found.content, found.style_size_px) == (2 / 4, 448)
    assert found.style == pytest.approx({"relu1_2": 1.5 / 2 / 20, "relu2_2": 1.5 / 2 / 8})


def test_one_scale_is_every_painting_s_and_none_is_the_default(stated):
    assert trained_weights(stated(style_scale=[4.0]), "b").style["relu2_2"] == pytest.approx(0.25)
    assert trained_weights(stated(style_scale=None)).style["relu2_2"] == pytest.approx(0.3)
    assert trained_weights(stated(style_scale=0.0)).style["relu2_2"] == 0


@pytest.mark.parametrize(("reduction", "divisors"), [("sum", (1, 1)), ("mean", (64**2, 128**2))])
def test_weights_that_were_given(stated, reduction, divisors):
    found = trained_weights(stated(style_weight=5.0, style_reduction=reduction, references=None))
    assert found.content == 2.0
    assert list(found.style.values()) == pytest.approx([5 / divisor for divisor in divisors])


def test_the_first_versions_files_are_read(stated):
    old = {
        "painting": "a.jpg",
        "style_size_px": 384,
        "style_scale": 3.0,
        "references": {"content": 4.0, "relu1_2": 10.0, "relu2_2": 5.0},
    }
    metadata = stated(**old)
    del metadata.recipe["paintings"]
    assert trained_weights(metadata) == trained_weights(stated())


@pytest.mark.parametrize("style", shipped_styles(), ids=lambda style: style.name)
def test_shipped_models_state_their_weights(style):
    found = weights_of_model(style.path, style.name)
    assert set(found.style) == set(STYLE_LAYERS)
    assert found.content > 0
    assert found.style_size_px >= 128


def test_styles_that_were_taken_over_are_told(stated):
    with pytest.raises(ModelError, match="the style 'c' was taken over from another model"):
        trained_weights(stated(), "c")
    with pytest.raises(UnknownStyleError, match="there is no style 'd': known are a, b, c"):
        trained_weights(stated(), "d")


@pytest.mark.parametrize(
    "damage",
    [
        {"references": None},
        {"references": {"content": 0.0, "style": RECIPE["references"]["style"]}},
        {"references": {"content": 1.0, "style": {"relu1_2": [1.0]}}},
        {"style_weight": "strong"},
        {"style_weight": -1.0},
        {"style_weight": float("nan")},
        {"style_layers": "relu1_2"},
        {"style_layers": ["relu9_9"]},
        {"style_size_px": []},
        {"style_scale": [True]},
        {"content_weight": None},
        {"content_layer": 3},
        {"tv_weight": "x"},
        {"paintings": 3},
    ],
    ids=str,
)
def test_what_is_not_stated_is_told(stated, damage):
    with pytest.raises(ModelError, match="does not state the weights that it was trained with"):
        trained_weights(stated(**damage))


def test_the_file_is_named(tiny_model):
    with pytest.raises(ModelError, match=r"negative\.onnx: the model does not state the weights"):
        weights_of_model(tiny_model)
    with pytest.raises(ModelError, match="no such model file"):
        weights_of_model(tiny_model.with_name("none.onnx"))
