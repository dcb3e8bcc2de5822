import pytest
import torch
from torch.nn import functional as F

from impasto.networks.blocks import (
    BilinearConv,
    ConvNormReLU,
    NearestConv,
    ResidualBlock,
    StyleParameters,
    Upsample,
    conditional_instance_norm,
)


def silence(block):
    """Sets the last norm of a residual block to zero, so that only the identity is left."""
    torch.nn.init.zeros_(block.body[-1].weight)
    torch.nn.init.zeros_(block.body[-1].bias)
    return block


def test_the_unpadded_block_crops_its_identity_in_the_centre():
    x = torch.randn(2, 4, 9, 11)
    block = silence(ResidualBlock(4, norm="instance", padding="reflection_start"))
    assert torch.equal(block(x), x[:, :, 2:7, 2:9])


@pytest.mark.parametrize("padding", ["reflection", "replicate", "zero"])
def test_the_padded_block_keeps_size_and_identity_without_relu(padding):
    x = torch.randn(2, 4, 5, 6)
    result = silence(ResidualBlock(4, norm="batch", padding=padding))(x)
    assert torch.equal(result, x)
    assert (result < 0).any()


def test_the_block_adds_its_body():
    block = ResidualBlock(4, norm="instance", padding="reflection_start")
    x = torch.randn(1, 4, 8, 8)
    assert torch.allclose(block(x) - x[:, :, 2:-2, 2:-2], block.body(x), atol=1e-6)


@pytest.mark.parametrize(("stride", "size"), [(1, (7, 8)), (2, (4, 4))])
def test_convolutions_keep_or_halve_the_size_and_end_in_relu(stride, size):
    layer = ConvNormReLU(3, 6, 3, stride=stride, norm="instance", padding="reflection")
    result = layer(torch.randn(1, 3, 7, 8))
    assert result.shape == (1, 6, *size)
    assert result.min() == 0


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "subpixel", "transposed"])
def test_upsampling_doubles_odd_sizes(upsampling):
    layer = Upsample(4, 3, upsampling=upsampling, norm="instance", padding="reflection")
    assert layer(torch.randn(2, 4, 5, 7)).shape == (2, 3, 10, 14)


def test_sub_pixels_start_equal():
    layer = Upsample(4, 3, upsampling="subpixel", norm="batch", padding="reflection").eval()
    result = layer(torch.randn(1, 4, 5, 6))
    blocks = result.reshape(1, 3, 5, 2, 6, 2)
    for y in range(2):
        for x in range(2):
            assert torch.equal(blocks[:, :, :, y, :, x], blocks[:, :, :, 0, :, 0])
    assert len(result[0, :, ::2, ::2].unique()) > 30  # different weights per channel


def test_nearest_upsampling_doubles_before_its_convolution():
    layer = Upsample(1, 1, upsampling="nearest", norm="batch", padding="replicate").eval()
    with torch.no_grad():
        layer.conv.weight.zero_()
        layer.conv.weight[0, 0, 1, 1] = 1
    result = layer(torch.tensor([[[[1.0, 2.0]]]])) * (1 + layer.norm.eps) ** 0.5
    expected = torch.tensor([[1.0, 1.0, 2.0, 2.0]] * 2)
    assert torch.allclose(result[0, 0], expected)


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("size", [3, 5])
def test_it_equals_upsampling_and_convolving(size, padding):
    layer = NearestConv(3, 5, kernel_size=size, padding=padding, bias=True).double()
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    enlarged = F.interpolate(x, scale_factor=2.0, mode="nearest")
    mode = "constant" if padding == "zeros" else padding
    enlarged = F.pad(enlarged, [size // 2] * 4, mode=mode)
    expected = F.conv2d(enlarged, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)
    gradients = torch.autograd.grad(layer(x).square().sum(), [layer.weight, layer.bias])
    wanted = torch.autograd.grad(expected.square().sum(), [layer.weight, layer.bias])
    torch.testing.assert_close(gradients, wanted)


def test_without_padding_the_result_is_smaller():
    layer = NearestConv(3, 5, kernel_size=5, padding="none", bias=True)
    x = torch.randn(2, 3, 6, 4)
    enlarged = F.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = F.conv2d(enlarged, layer.weight, layer.bias)
    assert expected.shape == (2, 5, 8, 4)
    torch.testing.assert_close(layer(x), expected)


def test_mirroring_by_one_is_repeating_the_edge():
    layer = NearestConv(2, 2)
    x = torch.randn(1, 2, 5, 4)
    enlarged = F.pad(F.interpolate(x, scale_factor=2.0), (1, 1, 1, 1), mode="reflect")
    torch.testing.assert_close(layer(x), F.conv2d(enlarged, layer.weight))


def test_a_flat_map_stays_flat():
    result = NearestConv(3, 2, kernel_size=5)(torch.randn(1, 3, 1, 1).expand(1, 3, 5, 5))
    assert result.std(dim=(2, 3)).max() < 1e-6
    assert result.abs().max() > 1e-3


def test_smooth_enlarging_averages_and_is_then_bilinear():
    layer = BilinearConv(3, 5).double()
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    means = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2, stride=1)
    enlarged = F.interpolate(means, scale_factor=2.0, mode="bilinear", align_corners=False)
    expected = torch.einsum("oc,nchw->nohw", layer.weight, enlarged[:, :, 1:-1, 1:-1])
    torch.testing.assert_close(layer(x), expected)


def test_smooth_enlarging_loses_what_alternates_from_pixel_to_pixel():
    chessboard = (-1.0) ** torch.arange(8)[:, None] * (-1.0) ** torch.arange(6)
    enlarged = BilinearConv(1, 1)(chessboard[None, None])
    torch.testing.assert_close(enlarged[:, :, 2:-2, 2:-2], torch.zeros(1, 1, 12, 8))


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
