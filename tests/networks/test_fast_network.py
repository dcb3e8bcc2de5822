import dataclasses

import pytest
import torch
from torch.nn import functional as F

from impasto.networks import FastSpec, build_network
from impasto.networks.conditional_norm import StyleParameters, conditional_instance_norm

SMALL = FastSpec(width=8, half_width=4, residual_blocks=1, parameter_sets=3)
SPECS = [
    SMALL,
    dataclasses.replace(SMALL, stem="two", ending="full"),
    dataclasses.replace(SMALL, stride=8, ending="subpixel", padding="zero"),
    dataclasses.replace(SMALL, stride=8, stem="two", last_kernel=5),
    dataclasses.replace(SMALL, ending="direct"),
]


def distinct(network):
    """Makes the parameter sets differ."""
    torch.nn.init.normal_(network.style_parameters.table, 1.0, 0.5)
    return network


@pytest.mark.parametrize("spec", SPECS)
def test_any_size_comes_back(spec):
    network = build_network(spec)
    smallest = spec.min_size_px
    for height, width in ((smallest, smallest), (33, 46), (40, 41)):
        result = network(torch.rand(2, 3, height, width))
        assert result.shape == (2, 3, height, width)
        assert result.isfinite().all()
    with pytest.raises((RuntimeError, ValueError)):
        network(torch.rand(1, 3, smallest // 2, smallest // 2))


@pytest.mark.parametrize("spec", SPECS)
def test_one_mixture_for_all_equals_one_for_each(spec):
    network = distinct(build_network(spec))
    images, mixture = torch.rand(2, 3, 32, 40), torch.tensor([0.2, 0.5, 0.3])
    together = network(images, mixture)
    torch.testing.assert_close(network(images, mixture.expand(2, 3)), together)
    assert (network(images, mixture.flip(0)) - together).abs().max() > 1e-3


def test_a_batch_mixes_styles():
    network = distinct(build_network(SMALL))
    images = torch.rand(3, 3, 24, 24)
    mixed = network(images, torch.eye(3))
    for number in range(3):
        alone = network(images[number : number + 1], torch.eye(3)[number])
        torch.testing.assert_close(mixed[number : number + 1], alone)


def test_the_first_set_is_the_default():
    network = distinct(build_network(SMALL))
    images = torch.rand(1, 3, 24, 24)
    torch.testing.assert_close(network(images), network(images, torch.tensor([1.0, 0.0, 0.0])))


def test_a_style_learns_only_from_its_own_pictures():
    network = distinct(build_network(SMALL))
    network(torch.rand(2, 3, 24, 24), torch.eye(3)[[0, 2]]).square().sum().backward()
    gradient = network.style_parameters.table.grad
    assert gradient[1].abs().max() == 0
    assert (gradient[[0, 2]].abs().max(dim=1).values > 0).all()


def test_parameter_sets_start_as_plain_instance_norm():
    parameters = StyleParameters(2, [3, 5])
    assert parameters.table.shape == (2, 16)
    scales, shifts = zip(*parameters(torch.tensor([0.5, 0.5])), strict=True)
    assert [scale.tolist() for scale in scales] == [[1.0] * 3, [1.0] * 5]
    assert all((shift == 0).all() for shift in shifts)


@pytest.mark.parametrize("batched", [False, True])
def test_the_norm_sets_mean_and_deviation(batched):
    x = torch.randn(2, 3, 16, 16) * 7 + 2
    scale, shift = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([0.0, -1.0, 4.0])
    if batched:
        scale, shift = scale.expand(2, 3), shift.expand(2, 3)
    result = conditional_instance_norm(x, scale, shift)
    torch.testing.assert_close(result.mean(dim=(2, 3)), shift.expand(2, 3), atol=1e-4, rtol=1e-4)
    deviation = result.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(deviation, scale.expand(2, 3), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("stride", [4, 8])
def test_padding_at_the_end_mirrors(stride):
    network = build_network(dataclasses.replace(SMALL, stride=stride))
    images = torch.rand(1, 3, 30, 35)
    full = F.pad(images, (0, -35 % stride, 0, -30 % stride), mode="reflect")
    torch.testing.assert_close(network(images), network(full)[:, :, :30, :35])
