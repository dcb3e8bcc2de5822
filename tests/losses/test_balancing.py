import json
from dataclasses import asdict

import pytest
import torch

from impasto.errors import TrainingError
from impasto.losses import gram_matrix
from impasto.losses.balancing import References, balanced_weights, measure_references


class ColourNetwork:
    """Stands for the loss network: its layers are the picture and twice its first channel."""

    def __init__(self):
        self.batches = []

    def __call__(self, images, layers):
        self.batches.append(len(images))
        features = {"relu1_2": images, "relu3_3": 2 * images[:, :1]}
        return {name: features[name] for name in layers}


def plain(*colour):
    return torch.tensor(colour).view(3, 1, 1).expand(3, 4, 4)


def test_references_by_hand():
    photos = [plain(1.0, 0.0, 0.0), plain(0.0, 1.0, 0.0)]
    targets = {"relu1_2": torch.zeros(1, 3, 3), "relu3_3": torch.tensor([1.0, 2.0]).view(2, 1, 1)}
    found = measure_references(ColourNetwork(), photos, targets, "relu3_3")
    # relu3_3 is 2 for the first photo and 0 for the second: mean square (4 + 0) / 2.
    assert found.content == pytest.approx(2.0)
    # One Gram entry of 1 * 16 / (3 * 16) in each photo, squared.
    assert found.style["relu1_2"] == [pytest.approx(1 / 9)]
    # (4 - 1)^2 and (0 - 1)^2; (4 - 2)^2 and (0 - 2)^2
    assert found.style["relu3_3"] == [pytest.approx((9 + 1) / 2), pytest.approx((4 + 4) / 2)]


def test_references_are_means_over_photos_whatever_the_batches():
    torch.manual_seed(0)
    photos = [torch.rand(3, 6, 6) for _ in range(11)]
    targets = {"relu1_2": torch.rand(1, 3, 3)}
    network = ColourNetwork()
    found = measure_references(network, photos, targets, "relu3_3")
    assert sum(network.batches) == 11
    assert len(network.batches) > 1
    content = [4 * photo[0].square().mean().item() for photo in photos]
    style = [
        (gram_matrix(photo[None]) - targets["relu1_2"]).square().sum().item() for photo in photos
    ]
    assert found.content == pytest.approx(sum(content) / 11, rel=1e-5)
    assert found.style["relu1_2"] == [pytest.approx(sum(style) / 11, rel=1e-5)]


def test_weights_make_every_layer_count_the_same():
    references = References(content=200.0, style={"relu1_2": [4.0, 8.0], "relu2_2": [0.5, 0.1]})
    content, style = balanced_weights(references, style_scales=[3.0, 6.0])
    assert content == pytest.approx(1 / 200)
    # loss = content / 200 + 3 * mean(a / 4, b / 0.5)
    assert style["relu1_2"] == pytest.approx([3 / 8, 6 / 16])
    assert style["relu2_2"] == pytest.approx([3.0, 30.0])
    for number, scale in enumerate([3.0, 6.0]):
        untouched = sum(style[name][number] * references.style[name][number] for name in style)
        assert untouched == pytest.approx(scale)


def test_references_survive_saving():
    references = References(content=1.5, style={"relu1_2": [2.0], "relu4_3": [1e-9]})
    assert References(**json.loads(json.dumps(asdict(references)))) == references


@pytest.mark.parametrize("photo", [plain(0.0, 0.0, 0.0), plain(1.0, 0.0, 0.0)])
def test_nothing_to_learn_is_refused(photo):
    targets = {"relu1_2": gram_matrix(photo[None])}
    with pytest.raises(TrainingError, match="look the same"):
        measure_references(ColourNetwork(), [photo], targets, "relu3_3")
