import hashlib

import numpy as np
import pytest
import torch

from impasto.catalog import shipped_styles
from impasto.export import load_weights
from impasto.losses import load_style_targets
from impasto.networks import spec_from_dict
from impasto.runtime.model_file import read_model_file
from impasto.runtime.session import ModelSession

STYLES = shipped_styles()
GALLERY = [style for style in STYLES if style.path == STYLES[0].path]
MODELS = sorted({style.path for style in STYLES})
LARGEST = {"gallery": 4e6, "paper_great_wave": 4e6}


def test_the_gallery_comes_first_and_holds_thirteen_styles():
    names = [style.name for style in GALLERY]
    assert names[0] == "great_wave"
    assert len(names) == 13
    assert sorted(names) == [style.name for style in read_model_file(STYLES[0].path)[1].styles]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_the_plain_weights_are_those_of_the_model(path):
    data, metadata = read_model_file(path)
    weights = path.with_suffix(".safetensors")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == metadata.weights_sha256
    assert max(path.stat().st_size, weights.stat().st_size) <= LARGEST[path.stem]
    network = load_weights(weights)
    assert network.spec == spec_from_dict(metadata.network)
    session = ModelSession(data, threads=1)
    sets = session.parameter_sets
    mixture = {}
    if sets is not None:
        shares = np.random.default_rng(1).dirichlet(np.ones(sets), 1)[0].astype(np.float32)
        mixture = {"style_weights": shares}
    photos = np.random.default_rng(0).random((1, 3, 61, 75), np.float32)
    with torch.no_grad():
        expected = network(
            torch.from_numpy(photos), *map(torch.from_numpy, mixture.values())
        ).numpy()
    assert np.abs(session.run(photos, **mixture) - expected).max() < 1e-3


def test_the_targets_are_those_of_the_paintings():
    path = STYLES[-1].path
    targets = load_style_targets(path.with_suffix(".targets.safetensors"))
    stated = {style.name: style.style_image_sha256 for style in read_model_file(path)[1].styles}
    assert {name: target.sha256 for name, target in targets.items()} == stated
    for target in targets.values():
        assert [gram.shape[-1] for gram in target.grams[256].values()] == [64, 128, 256, 512]


@pytest.mark.parametrize("style", GALLERY, ids=lambda style: style.name)
def test_the_scores_are_those_of_a_painting(style):
    """No filter: the coarse picture is painted anew, along what is there and without a grid."""
    assert style.scores["lattice_2"] <= 0.3
    assert style.scores["lattice_4"] <= 1.0
    assert 0.25 <= style.scores["repainted"] <= 0.8
    assert style.scores["follow"] >= 0.9
    assert style.scores["kept"] >= 0.5
    assert style.scores["painted"] <= 0.5
    assert style.scores["ghost"] <= 0.3


def test_the_gallery_is_nearer_to_its_paintings_than_the_one_before():
    """Means of the thirteen styles; that of November 2026 had .495."""
    assert np.mean([style.scores["painted"] for style in GALLERY]) < 0.4
