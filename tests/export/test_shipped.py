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

# Balanced ratio and correlation on the same 15 photos (benchmarks/quality.py).
MICROAST = {
    "composition_1913": (0.394, 0.458),
    "composition_vii": (0.252, 0.525),
    "contrast_of_forms": (0.377, 0.531),
    "delaunay_portrait": (0.391, 0.544),
    "great_wave": (0.379, 0.553),
    "red_chalk": (0.350, 0.604),
    "roman_mosaic": (0.397, 0.485),
    "shipwreck": (0.257, 0.612),
    "starry_night": (0.305, 0.497),
    "the_scream": (0.335, 0.618),
    "udnie": (0.383, 0.601),
    "water_lilies": (0.324, 0.571),
    "woman_with_a_hat": (0.318, 0.603),
}

STYLES = shipped_styles()
GALLERY = [style for style in STYLES if style.path == STYLES[0].path]
MODELS = sorted({style.path for style in STYLES})
LARGEST = {"gallery": 3e6, "paper_great_wave": 4e6}


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
    mixture = [] if sets is None else [np.random.default_rng(1).dirichlet(np.ones(sets), 1)[0]]
    mixture = [part.astype(np.float32) for part in mixture]
    photos = np.random.default_rng(0).random((1, 3, 61, 75), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(photos), *map(torch.from_numpy, mixture)).numpy()
    assert np.abs(session.run(photos, *mixture) - expected).max() < 1e-3


def test_the_targets_are_those_of_the_paintings():
    path = STYLES[0].path
    targets = load_style_targets(path.with_suffix(".targets.safetensors"))
    stated = {style.name: style.style_image_sha256 for style in read_model_file(path)[1].styles}
    assert {name: target.sha256 for name, target in targets.items()} == stated
    for target in targets.values():
        assert sorted(target.grams) == [384, 768]
        assert [gram.shape[-1] for gram in target.grams[384].values()] == [64, 128, 256, 512]


@pytest.mark.parametrize("style", GALLERY, ids=lambda style: style.name)
def test_the_scores_keep_the_promise(style):
    """No grid; nearer to the painting than MicroAST, or as near, and no less of the photo left."""
    assert style.scores["lattice_2"] <= 0.3
    assert style.scores["lattice_4"] <= 1.0
    balanced, correlation = MICROAST[style.name]
    assert style.scores["balanced_ratio"] <= balanced
    assert style.scores["correlation"] >= correlation
