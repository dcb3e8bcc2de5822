import pytest
import torch

from impasto.networks.conditional_norm import StyleParameters, conditional_instance_norm


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


def test_per_picture_parameters_norm_as_those_of_a_batch_do():
    x = (torch.randn(2, 3, 9, 13) + 20).double().requires_grad_()
    x.data[1, 2] = 5.0  # without any deviation
    scale, shift = torch.randn(3).double(), torch.randn(3).double()
    weights = torch.randn(2, 3, 9, 13).double()
    together = conditional_instance_norm(x, scale, shift)
    each = conditional_instance_norm(x, scale.expand(2, 3), shift.expand(2, 3))
    torch.testing.assert_close(each, together)
    (expected,) = torch.autograd.grad((together * weights).sum(), x)
    (found,) = torch.autograd.grad((each * weights).sum(), x)
    torch.testing.assert_close(found[0], expected[0])
    assert found.isfinite().all()
    half = conditional_instance_norm(x.bfloat16(), scale.expand(2, 3), shift.expand(2, 3))
    torch.testing.assert_close(half.double()[0], together[0], atol=0.3, rtol=0.05)
