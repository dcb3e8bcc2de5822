import pytest
import torch

from impasto.errors import UsageError
from impasto.losses import STYLE_LAYERS, gram_matrix
from impasto.paper import feature_objective, gram_objective, noise, optimize, style_grams


def psnr(image, other):
    return -10 * torch.log10((image - other).square().mean()).item()


def test_low_layers_hold_more_of_a_picture(vgg, pictures):
    photo, _ = pictures
    start = noise(32, 40)
    found = {}
    for layer, iterations in (("relu1_2", 60), ("relu4_3", 40)):
        result = optimize(feature_objective(vgg, photo, layer), start, iterations=iterations)
        found[layer] = psnr(result.image, photo)
    assert psnr(start, photo) < 12
    assert found["relu1_2"] > 30
    assert found["relu1_2"] > found["relu4_3"] + 8


def test_distances_are_relative(vgg, pictures):
    photo, _ = pictures
    image = noise(32, 40)
    before, after = vgg(photo, ["relu2_2"])["relu2_2"], vgg(image, ["relu2_2"])["relu2_2"]
    objective = feature_objective(vgg, photo, "relu2_2", tv_scale=0.5)
    expected = ((after - before).square().sum() / before.square().sum()).item()
    assert objective.values(image).content == pytest.approx(expected, rel=1e-4)
    assert objective.values(photo).total == pytest.approx(0.5, rel=1e-4)

    grams = style_grams(vgg, photo, ("relu1_2", "relu3_3"))
    objective = gram_objective(vgg, grams, tv_weight=1e-6)
    features = vgg(image, grams)
    expected = [
        ((gram_matrix(features[layer]) - gram).norm() / gram.norm()).square().item()
        for layer, gram in grams.items()
    ]
    assert objective.values(image).style == pytest.approx(sum(expected) / 2, rel=1e-4)
    assert objective.values(photo).style == 0
    assert objective.loss.tv_weight == 1e-6


def test_style_is_rebuilt_in_another_place(vgg, pictures):
    """A picture and its mirror image have nearly the same Gram matrices."""
    _, painting = pictures
    objective = gram_objective(vgg, style_grams(vgg, painting, STYLE_LAYERS))
    result = optimize(objective, noise(36, 48), iterations=40)
    assert result.total < 0.1 * result.curve[0].values.total


def test_a_black_picture_can_be_looked_for(vgg):
    black = torch.zeros(1, 3, 32, 32)
    result = optimize(feature_objective(vgg, black, "relu1_1"), noise(32, 32), iterations=5)
    assert result.total < result.curve[0].values.total


def test_unknown_layers_are_told(vgg, pictures):
    with pytest.raises(UsageError, match=r"no layer 'relu5_3'; it has relu1_1, .*relu4_3"):
        feature_objective(vgg, pictures[0], "relu5_3")
