import pytest
import torch

import impasto.losses
from impasto.errors import UsageError
from impasto.losses import (
    STYLE_LAYERS,
    PerceptualLoss,
    feature_reconstruction_loss,
    gram_matrix,
    lattice_loss,
    style_reconstruction_loss,
    total_variation_loss,
)

CHANNELS = {"relu1_2": 64, "relu2_2": 128, "relu3_3": 256, "relu4_3": 512}


@pytest.fixture
def pictures():
    torch.manual_seed(0)
    return torch.rand(2, 3, 32, 40), torch.rand(2, 3, 32, 40), torch.rand(1, 3, 48, 32)


def test_public_names():
    assert set(impasto.losses.__all__) == {
        "LAYERS",
        "STYLE_LAYERS",
        "LossNetwork",
        "PerceptualLoss",
        "PerceptualTerms",
        "StyleTarget",
        "feature_correlation",
        "feature_reconstruction_loss",
        "gram_matrix",
        "lattice_loss",
        "load_style_targets",
        "pixel_loss",
        "save_style_targets",
        "style_reconstruction_loss",
        "total_variation_loss",
    }
    for name in impasto.losses.__all__:
        assert getattr(impasto.losses, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'ssim'"):
        _ = impasto.losses.ssim


def test_the_paper_s_style_layers():
    assert tuple(CHANNELS) == STYLE_LAYERS


@pytest.mark.parametrize("content_layer", ["relu2_2", "relu3_3"])
def test_terms_equal_the_functions(vgg, pictures, content_layer):
    output, photos, painting = pictures
    loss = PerceptualLoss(
        content_layer=content_layer,
        content_weight=0.7,
        style_weight=3.0,
        style_reduction="sum",
        tv_weight=1e-4,
        lattice_weight=0.2,
        loss_network=vgg,
    )
    targets = loss.style_targets(painting)
    terms = loss.terms(output, photos, targets)

    layers = [content_layer, *STYLE_LAYERS]
    after, before, style = vgg(output, layers), vgg(photos, layers), vgg(painting, layers)
    content = 0.7 * feature_reconstruction_loss(after[content_layer], before[content_layer])
    distances = [
        style_reconstruction_loss(gram_matrix(after[layer]), gram_matrix(style[layer]))
        for layer in STYLE_LAYERS
    ]
    assert terms.content.item() == pytest.approx(content.item(), rel=1e-5)
    assert terms.style.item() == pytest.approx(3 * sum(distances).item(), rel=1e-5)
    variation = 1e-4 * total_variation_loss(output)
    assert terms.total_variation.item() == pytest.approx(variation.item(), rel=1e-5)
    assert terms.lattice.item() == pytest.approx(0.2 * lattice_loss(output).item(), rel=1e-5)
    total = terms.content + terms.style + terms.total_variation + terms.lattice
    assert terms.total.item() == pytest.approx(total.item(), rel=1e-6)
    assert loss(output, photos, targets).item() == terms.total.item()


def test_the_loss_vanishes_where_everything_is_reached(vgg, pictures):
    _, photos, _ = pictures
    loss = PerceptualLoss(loss_network=vgg)
    terms = loss.terms(photos, photos, loss.style_targets(photos))
    assert terms.content.item() == terms.style.item() == terms.total.item() == 0


@pytest.mark.parametrize("layer", STYLE_LAYERS)
def test_mean_is_sum_divided_by_channels_squared(vgg, pictures, layer):
    output, photos, painting = pictures
    styles = []
    for reduction in ("sum", "mean"):
        loss = PerceptualLoss(
            style_layers=[layer], style_weight=5.0, style_reduction=reduction, loss_network=vgg
        )
        styles.append(loss.terms(output, photos, loss.style_targets(painting)).style.item())
    assert styles[0] == pytest.approx(styles[1] * CHANNELS[layer] ** 2, rel=1e-5)


def test_one_weight_per_layer(vgg, pictures):
    output, photos, painting = pictures

    def style(weights):
        loss = PerceptualLoss(
            style_layers=weights, style_weight=weights, style_reduction="sum", loss_network=vgg
        )
        return loss.terms(output, photos, loss.style_targets(painting)).style.item()

    first, second = style({"relu1_2": 1.0}), style({"relu2_2": 1.0})
    assert style({"relu1_2": 2.0, "relu2_2": 0.25}) == pytest.approx(
        2 * first + second / 4, rel=1e-5
    )


def test_weights_that_are_zero_switch_terms_off(vgg, pictures):
    output, photos, painting = pictures
    loss = PerceptualLoss(content_weight=0, style_weight=0, loss_network=vgg)
    terms = loss.terms(output, photos, loss.style_targets(painting))
    assert [term.item() for term in terms] == [0] * 5


def test_a_target_per_picture(vgg, pictures):
    output, photos, _ = pictures
    loss = PerceptualLoss(loss_network=vgg)
    paintings = torch.rand(2, 3, 32, 32)
    both = loss.terms(output, photos, loss.style_targets(paintings)).style.item()
    single = [
        loss.terms(
            output[i : i + 1], photos[i : i + 1], loss.style_targets(paintings[i : i + 1])
        ).style.item()
        for i in range(2)
    ]
    assert both == pytest.approx(sum(single) / 2, rel=1e-4)


def test_the_content_target_stops_at_its_layer(vgg, pictures):
    _, photos, _ = pictures
    loss = PerceptualLoss(content_layer="relu2_2", loss_network=vgg)
    called = []
    hooks = [
        conv.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, conv in vgg.convolutions.items()
    ]
    target = loss.content_target(photos.requires_grad_())
    for hook in hooks:
        hook.remove()
    assert called == ["1_1", "1_2", "2_1", "2_2"]
    assert target.shape == (2, 128, 16, 20)
    assert not target.requires_grad


def test_only_the_output_gets_gradients(vgg, pictures):
    output, photos, painting = (x.requires_grad_() for x in pictures)
    loss = PerceptualLoss(loss_network=vgg)
    loss(output, photos, loss.style_targets(painting)).backward()
    assert output.grad.abs().max() > 0
    assert photos.grad is None
    assert painting.grad is None
    assert all(p.grad is None for p in loss.parameters())
    assert not [p for p in loss.parameters() if p.requires_grad]


def test_it_trains_in_anyone_s_loop(vgg, pictures):
    _, photos, painting = pictures
    loss = PerceptualLoss(style_weight=100.0, loss_network=vgg)
    targets = loss.style_targets(painting)
    result = photos[:1].clone().requires_grad_()
    optimizer = torch.optim.Adam([result], lr=0.02)
    values = []
    for _ in range(8):
        optimizer.zero_grad()
        value = loss(result, photos[:1], targets)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.7 * values[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"content_layer": "relu9_9"}, "no layer 'relu9_9'; it has relu1_1, relu1_2"),
        ({"style_layers": ["relu1_2", "conv2_2"]}, "no layer 'conv2_2'"),
        ({"style_reduction": "median"}, "style_reduction is 'median'; allowed are sum, mean"),
        ({"style_weight": {"relu1_2": 1.0}}, "style_weight names .*relu1_2.* the style layers are"),
    ],
)
def test_bad_settings_are_refused(vgg, settings, message):
    with pytest.raises(UsageError, match=message):
        PerceptualLoss(loss_network=vgg, **settings)


def test_weights_may_be_given_as_a_path(tmp_path, vgg, pictures):
    from impasto.losses.loss_network import shipped_weights

    output, photos, painting = pictures
    by_path, by_default = PerceptualLoss(loss_network=shipped_weights()), PerceptualLoss()
    targets = by_path.style_targets(painting)
    assert by_path(output, photos, targets).item() == by_default(output, photos, targets).item()
