import hashlib

import numpy as np
import pytest
import torch

import impasto
from impasto.export import load_weights
from impasto.networks import spec_from_dict
from impasto.runtime.model_file import read_model_file
from impasto.runtime.session import ModelSession

STYLES = impasto.list_styles()


def test_two_styles_are_shipped():
    assert {"great_wave", "starry_night"} <= {style.name for style in STYLES}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_the_plain_weights_are_those_of_the_model(style):
    data, metadata = read_model_file(style.path)
    weights = style.path.with_suffix(".safetensors")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == metadata.weights_sha256
    network = load_weights(weights)
    assert network.spec == spec_from_dict(metadata.network)
    photos = np.random.default_rng(0).random((1, 3, 61, 75), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(photos)).numpy()
    output = ModelSession(data, threads=1).run(photos)
    assert np.abs(output - expected).max() < 1e-3


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_the_scores_keep_the_promise(style):
    mean = read_model_file(style.path)[1].scores["mean"]
    assert mean["lattice_2"] <= 0.3
    assert mean["lattice_4"] <= 1.0
    assert mean["balanced_ratio"] < 0.3
    assert mean["correlation"] > 0.5
