import dataclasses

import numpy as np
import pytest

from impasto.errors import UnknownStyleError, UsageError
from impasto.runtime.metadata import ModelMetadata, StyleEntry
from impasto.runtime.mixing import check_names, covered_stroke_size, mixture, parse_blend


def model(strength="identity", sizes=(1.0, 2.0)):
    return ModelMetadata(
        styles=(StyleEntry("wave", "Wave"), StyleEntry("night", "Night")),
        min_size_px=8,
        network={},
        weights_sha256="",
        stroke_sizes=sizes,
        strength=strength,
    )


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("wave", {"wave": 1.0}),
        ("wave:0.7,night:0.3", {"wave": 0.7, "night": 0.3}),
        ("wave:3, night:1", {"wave": 0.75, "night": 0.25}),
        ("wave,night", {"wave": 0.5, "night": 0.5}),
    ],
)
def test_shares_add_up_to_one(text, shares):
    assert parse_blend(text) == pytest.approx(shares)


@pytest.mark.parametrize(
    "text", ["", "wave:", ":1", "wave:0", "wave:-1", "wave:nan", "wave:inf", "wave,wave", "a:b"]
)
def test_what_is_no_blend_is_refused(text):
    with pytest.raises(UsageError, match="is no blend: give each name once, with a share above 0"):
        parse_blend(text)


def test_each_style_has_a_set_per_stroke_size_and_the_identity_is_last():
    metadata = model()
    assert metadata.parameter_sets == 5
    assert mixture(metadata, {"wave": 1.0}).tolist() == [1, 0, 0, 0, 0]
    assert mixture(metadata, {"night": 1.0}, stroke_size=2.0).tolist() == [0, 0, 0, 1, 0]
    assert mixture(metadata, {"night": 1.0}, strength=0.0).tolist() == [0, 0, 0, 0, 1]
    mixed = mixture(metadata, {"wave": 0.75, "night": 0.25}, stroke_size=1.5, strength=0.5)
    np.testing.assert_allclose(mixed, [0.1875, 0.1875, 0.0625, 0.0625, 0.5])


def test_a_model_without_identity_has_no_such_set():
    metadata = model("fade", (1.0,))
    assert mixture(metadata, {"night": 1.0}).tolist() == [0, 1]


def test_stroke_sizes_beyond_those_of_the_model_are_left_to_resampling():
    sizes = (0.5, 1.3, 4.0)
    assert [covered_stroke_size(model(), size, 512) for size in sizes] == [1.0, 1.3, 2.0]


@pytest.mark.parametrize(
    ("factor", "longer_side_px", "covered"),
    # A picture of any size with its strokes as on one of 1024 px, then twice as large.
    [
        *[(0.5, 512, 1), (1.5, 1536, 1.5), (2, 2048, 2), (2.5, 2560, 1.5), (3, 3072, 1)],
        *[(9, 9216, 1), (2, 1024, 2), (4, 2048, 2), (8, 4096, 2), (3, 640, 2)],
    ],
)
def test_large_pictures_are_painted_with_the_sets_of_the_reference_size(
    factor, longer_side_px, covered
):
    metadata = dataclasses.replace(model(), reference_px=1024)
    assert covered_stroke_size(metadata, factor, longer_side_px) == covered


def test_unknown_names_are_refused_with_the_known_ones():
    check_names(model(), ["wave", "night"])
    with pytest.raises(UnknownStyleError, match="no style 'nigth': did you mean night"):
        check_names(model(), ["wave", "nigth"])
