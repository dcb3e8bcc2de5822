import numpy as np
import pytest

from impasto.errors import UnknownStyleError, UsageError
from impasto.runtime.metadata import ModelMetadata, StyleEntry
from impasto.runtime.mixing import check_names, mixture, painted_share, parse_blend


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
    assert mixture(metadata, {"night": 1.0}).tolist() == [0, 0, 1, 0, 0]  # its first size
    assert mixture(metadata, {"night": 1.0}, strength=0.0).tolist() == [0, 0, 0, 0, 1]
    mixed = mixture(metadata, {"wave": 0.75, "night": 0.25}, strength=0.5)
    np.testing.assert_allclose(mixed, [0.375, 0, 0.125, 0, 0.5])
    beyond = mixture(metadata, {"wave": 1.0}, strength=1.5)
    np.testing.assert_allclose(beyond, [1.5, 0, 0, 0, -0.5])


def test_a_model_without_identity_has_no_such_set():
    metadata = model("fade", (1.0,))
    assert mixture(metadata, {"night": 1.0}).tolist() == [0, 1]


def test_the_photo_takes_over_at_little_strength():
    shares = [painted_share(model(), s) for s in (0, 0.05, 0.125, 0.2, 0.25, 0.5, 1.5)]
    np.testing.assert_allclose(shares, [0, 0.36, 0.75, 0.96, 1, 1, 1])
    assert [painted_share(model("fade"), s) for s in (0, 0.3, 1.5)] == [0, 0.3, 1.5]


def test_unknown_names_are_refused_with_the_known_ones():
    check_names(model(), ["wave", "night"])
    with pytest.raises(UnknownStyleError, match="no style 'nigth': did you mean night"):
        check_names(model(), ["wave", "nigth"])
