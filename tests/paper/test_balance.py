import dataclasses

import pytest
import torch

from impasto.errors import TrainingError, UsageError
from impasto.losses import STYLE_LAYERS, total_variation_loss
from impasto.losses.balancing import References, balanced_weights
from impasto.paper import TrainedWeights, balanced_objective, style_grams, trained_objective
from impasto.paper.objective import check_shares, tv_reference
from impasto.training import style_losses


@pytest.fixture
def grams(vgg, pictures):
    return style_grams(vgg, pictures[1], STYLE_LAYERS)


def test_the_untouched_photo_has_what_the_dials_say(vgg, pictures, grams):
    photo, _ = pictures
    values = balanced_objective(vgg, photo, [grams], style_scale=5, tv_scale=0.25).values(photo)
    assert values.content == 0
    assert values.style == pytest.approx(5, rel=1e-5)
    assert values.total_variation == pytest.approx(0.25, rel=1e-5)


def test_every_layer_and_the_content_count_alike(vgg, pictures, grams):
    photo, _ = pictures
    objective = balanced_objective(vgg, photo, [grams], style_scale=2, content_layer="relu2_2")
    before = style_grams(vgg, photo, STYLE_LAYERS)
    for layer, (weight,) in objective.style_weights.items():
        distance = (before[layer] - grams[layer]).square().sum().item()
        assert weight * distance == pytest.approx(2 / 4, rel=1e-5)
    features = vgg(photo, ["relu2_2"])["relu2_2"]
    assert objective.loss.content_layer == "relu2_2"
    assert objective.loss.content_weight == pytest.approx(1 / features.square().mean().item())


def test_shares_are_divided_by_their_sum(vgg, pictures, grams):
    photo, painting = pictures
    other = style_grams(vgg, painting.flip(1), STYLE_LAYERS)
    objective = balanced_objective(vgg, photo, [grams, other], shares=[6, 2], style_scale=4)
    alone = balanced_objective(vgg, photo, [other], style_scale=1)
    assert objective.values(photo).style == pytest.approx(4, rel=1e-5)
    even = balanced_objective(vgg, photo, [grams, other], style_scale=2)
    for layer, (weight,) in alone.style_weights.items():
        # The loss is a mean over the two.
        assert objective.style_weights[layer][1] / 2 == pytest.approx(weight.item())
        assert even.style_weights[layer][1] / 2 == pytest.approx(weight.item())
        assert torch.equal(objective.style_targets[layer], torch.cat([grams[layer], other[layer]]))


def test_a_model_s_weights_are_taken_as_they_are(vgg, pictures, grams):
    photo, _ = pictures
    weights = TrainedWeights("relu2_2", 0.5, {"relu1_2": 2.0, "relu3_3": 4.0}, 1e-6, 384)
    objective = trained_objective(vgg, photo, [grams, grams], weights, shares=[1, 3])
    assert objective.loss.content_layer == "relu2_2"
    assert objective.loss.content_weight == 0.5
    # The loss is a mean over the two.
    assert {layer: (w / 2).tolist() for layer, w in objective.style_weights.items()} == {
        "relu1_2": [0.5, 1.5],
        "relu3_3": [1.0, 3.0],
    }
    assert objective.loss.tv_weight == 1e-6
    foreign = dataclasses.replace(weights, style={"relu2_1": 1.0})
    with pytest.raises(UsageError, match="trained at relu2_1, and the style targets have relu1_2"):
        trained_objective(vgg, photo, [grams], foreign)


def test_shares():
    assert check_shares(None, 4) == [0.25] * 4
    assert check_shares([7, 3], 2) == [0.7, 0.3]
    for shares, message in [
        ([1], "the style weights are 1; give one for each of 2 paintings"),
        ([1, -1], "the style weights are 1,-1; give numbers of 0 or more, not all 0"),
        ([0, 0], "the style weights are 0,0; give numbers of 0 or more, not all 0"),
        ([float("nan"), 1], "the style weights are nan,1; give numbers"),
    ]:
        with pytest.raises(UsageError, match=message):
            check_shares(shares, 2)


def test_a_photo_of_one_colour_has_a_total_variation_to_divide_by(pictures):
    photo, _ = pictures
    assert tv_reference(photo) == pytest.approx(total_variation_loss(photo).item())
    assert tv_reference(torch.full((1, 3, 8, 9), 0.5)) == 3 * 8 * 9


def test_a_photo_and_its_own_painting_cannot_be_balanced(vgg, pictures):
    photo, _ = pictures
    with pytest.raises(TrainingError, match="look the same"):
        balanced_objective(vgg, photo, [style_grams(vgg, photo, STYLE_LAYERS)])


def test_training_and_optimisation_share_their_balance():
    assert style_losses.References is References
    assert style_losses.balanced_weights is balanced_weights
