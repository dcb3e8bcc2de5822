import pytest
import torch

from impasto.losses import (
    feature_correlation,
    feature_reconstruction_loss,
    gram_matrix,
    lattice_loss,
    pixel_loss,
    style_reconstruction_loss,
    total_variation_loss,
)

# Two channels of 1x3: [1 2 3] and [0 -1 1], so C H W = 6.
FEATURES = torch.tensor([[[[1.0, 2.0, 3.0]], [[0.0, -1.0, 1.0]]]])
GRAM = torch.tensor([[14.0, 1.0], [1.0, 2.0]]) / 6

LOSSES = [
    (feature_reconstruction_loss, (2, 3, 4, 5), (2, 3, 4, 5)),
    (style_reconstruction_loss, (2, 3, 3), (3, 3)),
    (pixel_loss, (2, 3, 4, 5), (2, 3, 4, 5)),
]


def double(*shape):
    return torch.rand(*shape, dtype=torch.float64, requires_grad=True)


def test_gram_matrix_by_hand():
    assert torch.allclose(gram_matrix(FEATURES), GRAM[None])


def test_gram_matrices_do_not_mix_pictures_and_know_no_positions():
    features = torch.randn(3, 4, 5, 6)
    grams = gram_matrix(features)
    assert grams.shape == (3, 4, 4)
    assert torch.allclose(grams, grams.transpose(1, 2))
    assert torch.allclose(grams[1:2], gram_matrix(features[1:2]))
    assert torch.allclose(grams, gram_matrix(features.flip(2).transpose(2, 3)), atol=1e-6)
    assert torch.allclose(grams, gram_matrix(features.repeat(1, 1, 2, 3)), atol=1e-6)


def test_gram_matrices_of_half_precision_are_summed_in_float32():
    features = torch.full((1, 2, 64, 64), 100.0)
    for dtype in (torch.bfloat16, torch.float16):
        grams = gram_matrix(features.to(dtype))
        assert grams.dtype == torch.float32
        assert torch.allclose(grams, torch.full((1, 2, 2), 5000.0))


def test_autocast_leaves_gram_matrices_in_float32():
    features = torch.rand(1, 4, 32, 32) * 100
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gram_matrix(features), gram_matrix(features.clone()).float())
        inside = gram_matrix(features)
    assert torch.equal(inside, gram_matrix(features))


def test_feature_reconstruction_by_hand():
    target = torch.zeros_like(FEATURES)
    # (1 + 4 + 9 + 0 + 1 + 1) / (C H W = 6)
    assert feature_reconstruction_loss(FEATURES, target).item() == pytest.approx(16 / 6)
    batch = torch.cat([FEATURES, target])
    assert feature_reconstruction_loss(batch, torch.zeros_like(batch)).item() == pytest.approx(
        16 / 6 / 2
    )


def test_feature_correlation_by_hand():
    target = torch.tensor([[[[1.0, 2.0, 3.0]]], [[[1.0, 2.0, 3.0]]], [[[1.0, 2.0, 3.0]]]])
    features = torch.stack([2 * target[0] + 7, -target[1], torch.tensor([[[1.0, -2.0, 1.0]]])])
    found = feature_correlation(features, target)
    torch.testing.assert_close(found, torch.tensor([1.0, -1.0, 0.0]))
    # A constant beside each channel says nothing of what is there.
    shifted = features + torch.tensor(100.0)
    torch.testing.assert_close(feature_correlation(shifted, target), found)
    assert feature_correlation(torch.ones(1, 1, 1, 3), target[:1]) == 0


def test_style_reconstruction_by_hand():
    gram = torch.tensor([[[1.0, 2.0], [2.0, 5.0]]])
    target = torch.tensor([[0.0, 1.0], [1.0, 2.0]])
    # 1 + 1 + 1 + 9, a sum over C x C
    assert style_reconstruction_loss(gram, target).item() == 12
    assert style_reconstruction_loss(gram, target[None]).item() == 12
    both = torch.cat([gram, target[None]])
    assert style_reconstruction_loss(both, target).item() == 6  # a mean over the batch
    assert style_reconstruction_loss(both, both).item() == 0


def test_total_variation_by_hand():
    image = torch.tensor([[0.0, 1.0, 3.0], [0.0, 0.0, 5.0]]) / 255
    images = torch.zeros(1, 3, 2, 3)
    images[0, 1] = image
    # rows: 0 + 1 + 4; columns: 1 + 4 and 0 + 25; half of the sum
    assert total_variation_loss(images).item() == pytest.approx(35 / 2)
    assert total_variation_loss(images.repeat(4, 1, 1, 1)).item() == pytest.approx(35 / 2)
    assert total_variation_loss(images + 0.3).item() == pytest.approx(35 / 2, rel=1e-4)


def test_pixel_loss_counts_grey_levels():
    images = torch.full((2, 3, 4, 4), 10 / 255)
    assert pixel_loss(images, torch.zeros_like(images)).item() == pytest.approx(100)


def test_lattice_loss_by_hand():
    images = torch.zeros(1, 3, 8, 8)
    images[:, :, ::2, ::2] = 4 / 255
    # A quarter of the phases has mean 4: variance 4^2 * 1/4 * 3/4.
    assert lattice_loss(images, 2).item() == pytest.approx(3)
    assert lattice_loss(images, 4).item() == pytest.approx(3)
    assert lattice_loss(torch.full((1, 3, 17, 18), 0.4)).item() == pytest.approx(0, abs=1e-6)
    assert lattice_loss(torch.cat([images, torch.zeros_like(images)]), 2).item() == pytest.approx(
        1.5
    )


def test_a_photo_has_less_lattice_than_the_same_photo_with_a_grid():
    torch.manual_seed(0)
    photo = torch.rand(1, 3, 64, 64) * 0.5
    gridded = photo.clone()
    gridded[:, :, 1::4, 2::4] += 10 / 255
    assert lattice_loss(gridded) > lattice_loss(photo) + 1


@pytest.mark.parametrize(("loss", "shape", "target_shape"), LOSSES)
def test_losses_are_scalars_that_vanish_on_their_target(loss, shape, target_shape):
    target = torch.rand(target_shape)
    assert loss(target.expand(shape), target).item() == 0
    value = loss(torch.rand(shape), target)
    assert value.shape == ()
    assert value > 0


@pytest.mark.parametrize(("loss", "shape", "target_shape"), LOSSES)
def test_gradients_with_a_target(loss, shape, target_shape):
    target = torch.rand(target_shape, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target) / 1000, double(*shape))


@pytest.mark.parametrize("function", [total_variation_loss, gram_matrix])
def test_gradients_without_a_target(function):
    assert torch.autograd.gradcheck(lambda x: function(x) / 1000, double(2, 3, 4, 5))


def test_gradient_of_the_lattice_loss():
    images = torch.rand(1, 3, 8, 8, requires_grad=True)
    lattice_loss(images, 2).backward()
    with torch.no_grad():
        step = 1e-2 * images.grad / images.grad.norm()
        slope = (lattice_loss(images + step, 2) - lattice_loss(images - step, 2)) / 2e-2
    assert slope.item() == pytest.approx(images.grad.norm().item(), rel=1e-2)


def test_the_functions_keep_float64():
    images = double(1, 3, 4, 4)
    for value in (pixel_loss(images, images), total_variation_loss(images), gram_matrix(images)):
        assert value.dtype == torch.float64
