import pytest
import torch

from impasto.errors import UsageError
from impasto.losses import STYLE_LAYERS, PerceptualLoss, total_variation_loss
from impasto.paper import Objective, noise, style_grams


@pytest.fixture
def criterion(vgg):
    return PerceptualLoss(
        content_weight=0.7,
        style_weight={"relu1_2": 3.0, "relu2_2": 0.5, "relu3_3": 2.0, "relu4_3": 9.0},
        tv_weight=1e-4,
        loss_network=vgg,
    )


@pytest.fixture
def objective(vgg, criterion, pictures):
    photo, painting = pictures
    grams = style_grams(vgg, painting, STYLE_LAYERS)
    return Objective(
        vgg,
        content_image=photo,
        content_weight=0.7,
        style_targets=grams,
        style_weights={layer: [weight] for layer, weight in criterion.style_weights.items()},
        tv_weight=1e-4,
    )


def test_terms_are_those_of_training(objective, criterion, pictures):
    photo, painting = pictures
    image = noise(32, 40).requires_grad_()
    expected = criterion.terms(image, photo, criterion.style_targets(painting))
    found = objective.terms(image)
    for name in found._fields:
        assert getattr(found, name).item() == pytest.approx(getattr(expected, name).item())
    (gradient,) = torch.autograd.grad(expected.total, image)
    values, ours = objective.gradient(image)
    assert values == pytest.approx([term.item() for term in found[:4]])
    assert found.lattice == 0
    assert torch.allclose(ours, gradient, rtol=1e-4, atol=1e-6 * gradient.abs().max().item())
    assert not image.grad
    assert objective.values(image) == pytest.approx(values)


def test_an_evaluation_is_one_pass_of_the_loss_network(objective, vgg, monkeypatch):
    calls = []
    forward = type(vgg).forward
    monkeypatch.setattr(type(vgg), "forward", lambda *args: calls.append(args[2]) or forward(*args))
    objective.gradient(noise(32, 40))
    assert calls == [set(STYLE_LAYERS)]


def test_several_styles_add_up(vgg, pictures):
    photo, painting = pictures
    layers = ("relu1_2", "relu2_2")
    styles = [style_grams(vgg, image, layers) for image in (painting, photo)]
    weights = [{"relu1_2": 2.0, "relu2_2": 1.0}, {"relu1_2": 0.0, "relu2_2": 5.0}]
    image = noise(32, 40)
    alone = [
        Objective(vgg, style_targets=grams, style_weights={k: [v] for k, v in by_layer.items()})
        for grams, by_layer in zip(styles, weights, strict=True)
    ]
    alone = [objective.values(image) for objective in alone]
    both = Objective(
        vgg,
        style_targets={layer: torch.cat([grams[layer] for grams in styles]) for layer in layers},
        style_weights={layer: [by_layer[layer] for by_layer in weights] for layer in layers},
    ).values(image)
    assert both.style == pytest.approx(alone[0].style + alone[1].style)
    assert both.total == both.style
    assert both.content == both.total_variation == 0


def test_parts_can_be_left_out(vgg, pictures):
    photo, _ = pictures
    image = noise(32, 40)
    content = Objective(vgg, content_image=photo, content_layer="relu1_2").values(image)
    expected = (vgg(image, ["relu1_2"])["relu1_2"] - vgg(photo, ["relu1_2"])["relu1_2"]).square()
    assert content.total == content.content == pytest.approx(expected.mean().item())
    smooth = Objective(vgg, content_image=photo, content_layer="relu1_2", tv_weight=0.5)
    expected = 0.5 * total_variation_loss(image).item()
    assert smooth.values(image).total_variation == pytest.approx(expected)


def test_what_does_not_fit_is_told(vgg, pictures):
    photo, _ = pictures
    with pytest.raises(UsageError, match="needs content or style"):
        Objective(vgg)
    with pytest.raises(UsageError, match=r"no layer 'relu5_3'; it has relu1_1, .*relu4_3"):
        Objective(vgg, content_image=photo, content_layer="relu5_3")
    objective = Objective(vgg, content_image=photo, content_layer="relu2_2")
    with pytest.raises(UsageError, match=r"relu2_2 is \(1, 128, 16, 16\) and the content image's"):
        objective.values(noise(32, 32))
