import pytest
import torch
from torch.nn import functional as F

from impasto.training.style_losses import NOISE, temporal_loss


def blur(images):
    """Sees its surroundings, and moves with them."""
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)


def grid(images):
    """Darkens every fourth row of the picture, wherever the picture moves."""
    result = images.clone()
    result[:, :, ::4] = 0
    return result


@pytest.fixture
def images():
    return torch.rand(2, 3, 48, 56, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2


def test_a_network_that_moves_with_the_photo_pays_only_for_noise(images):
    losses = [temporal_loss(blur, images, blur(images), seed=0, number=s).item() for s in range(20)]
    # The mean of nine independent values has a ninth of their variance.
    assert sum(losses) / 20 == pytest.approx((255 * NOISE) ** 2 / 9, rel=0.05)


def test_a_grid_that_stays_where_it_is_costs_more(images):
    quiet = [temporal_loss(blur, images, blur(images), seed=0, number=s).item() for s in range(8)]
    fixed = [temporal_loss(grid, images, grid(images), seed=0, number=s).item() for s in range(8)]
    assert sum(fixed) / 8 > 50 * max(quiet)


def test_motion_and_noise_follow_from_seed_and_number(images):
    def loss(seed, number):
        return temporal_loss(grid, images, grid(images), seed=seed, number=number).item()

    assert loss(3, 5) == loss(3, 5)
    assert len({loss(3, 5), loss(3, 6), loss(4, 5)}) == 3


def test_both_paintings_learn(images):
    first = torch.ones((), requires_grad=True)
    second = torch.ones((), requires_grad=True)
    temporal_loss(lambda x: x * first, images, images * second, seed=0, number=0).backward()
    assert first.grad.abs() > 0
    assert second.grad.abs() > 0
