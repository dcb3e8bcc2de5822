import pytest
import torch

from impasto.networks.blocks import ConvNormReLU, ResidualBlock, Upsample


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
