import dataclasses
import json

import pytest

from impasto.errors import UsageError
from impasto.networks import PAPER, RELEASED, SHIPPED, NetworkSpec, spec_from_dict


@pytest.mark.parametrize("spec", [PAPER, RELEASED, SHIPPED, NetworkSpec(width=3, norm="batch")])
def test_a_spec_survives_json(spec):
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_the_presets_are_those_of_the_paper_and_of_the_released_code():
    assert PAPER.to_dict() == {
        "architecture": "johnson",
        "width": 32,
        "residual_blocks": 5,
        "norm": "batch",
        "upsampling": "transposed",
        "padding": "reflection_start",
        "output": "tanh_0_255",
    }
    assert RELEASED.to_dict() == PAPER.to_dict() | {
        "width": 16,
        "norm": "instance",
        "output": "tanh_150",
    }
    assert PAPER.start_padding_px == RELEASED.start_padding_px == 40


def test_what_is_shipped_pads_no_zeros():
    assert SHIPPED.padding in ("reflection", "replicate")
    assert SHIPPED.upsampling != "transposed"  # it has no other padding than zeros


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0),
        ("width", 1025),
        ("width", 8.5),
        ("width", "16"),
        ("residual_blocks", 0),
        ("residual_blocks", None),
        ("norm", "layer"),
        ("upsampling", "cubic"),
        ("padding", "circular"),
        ("output", "sigmoid"),
        ("norm", ["batch"]),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name, value):
    with pytest.raises(UsageError) as caught:
        spec_from_dict({name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is {value!r}; allowed are ")
    assert "\n" not in message


def test_a_spec_without_an_architecture_is_one_of_the_first_format():
    assert spec_from_dict({"width": 8}) == NetworkSpec(width=8)


@pytest.mark.parametrize("name", ["vit", "fast"])  # the second is that of format 2's gallery
def test_an_unknown_architecture_is_refused(name):
    with pytest.raises(UsageError, match=f"architecture '{name}' is not known to this version"):
        spec_from_dict({"architecture": name})


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="dropout, heads are not known"):
        spec_from_dict({"width": 16, "heads": 8, "dropout": 0.1})


def test_a_spec_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAPER.width = 64
