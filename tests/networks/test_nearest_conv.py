import pytest
import torch
from torch.nn import functional as F

from impasto.networks.nearest_conv import BilinearConv, NearestConv


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
