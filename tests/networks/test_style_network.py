import pytest
import torch
from torch import nn

from impasto.networks import PAPER, RELEASED, SHIPPED, NetworkSpec, spec_from_dict
from impasto.networks.blocks import NearestConv
from impasto.networks.style_network import MEAN_RGB

NORMS = ["batch", "instance"]
UPSAMPLINGS = ["nearest", "bilinear", "subpixel", "transposed"]
PADDINGS = ["reflection_start", "reflection", "replicate", "zero"]


def parameters(network, *kinds):
    return sum(
        p.numel()
        for module in network.modules()
        if isinstance(module, kinds)
        for p in module.parameters(recurse=False)
    )


def sizes(spec, height, width):
    """Heights after each stage, found by hooks."""
    found = []
    network = spec.build().eval()
    for layer in network.layers:
        layer.register_forward_hook(lambda _m, _i, out: found.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network(torch.rand(1, 3, height, width))
    return found


# 9*9*3*32 + 3*3*(32*64 + 64*128 + 10*128*128 + 128*64 + 64*32) + 9*9*32*3
PAPER_CONVOLUTIONS = 1_674_432
RELEASED_CONVOLUTIONS = 422_496
# scale and shift of 32 + 64 + 128 + 10 * 128 + 64 + 32 channels
PAPER_NORMS = 3_200


@pytest.mark.parametrize(
    ("spec", "convolutions", "norms"),
    [
        (PAPER, PAPER_CONVOLUTIONS, PAPER_NORMS),
        (RELEASED, RELEASED_CONVOLUTIONS, PAPER_NORMS // 2),
        (SHIPPED, RELEASED_CONVOLUTIONS, PAPER_NORMS // 2),
    ],
)
def test_parameter_counts(spec, convolutions, norms):
    network = spec.build()
    last_bias = 3
    assert (
        parameters(network, nn.Conv2d, nn.ConvTranspose2d, NearestConv) == convolutions + last_bias
    )
    assert parameters(network, nn.BatchNorm2d, nn.InstanceNorm2d) == norms
    total = sum(p.numel() for p in network.parameters())
    assert total == convolutions + norms + last_bias
    if spec == PAPER:
        assert round(total / 1e6, 2) == 1.68


def test_layers_of_the_paper():
    network = PAPER.build()
    found = [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0])
        for m in network.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | NearestConv)
    ]
    assert found == [
        (3, 32, 9, 1),
        (32, 64, 3, 2),
        (64, 128, 3, 2),
        *[(128, 128, 3, 1)] * 10,
        (128, 64, 3, 2),
        (64, 32, 3, 2),
        (32, 3, 9, 1),
    ]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 15
    # One after each of the five non-residual convolutions and one inside each block; the
    # ReLU of the two upsampling stages is no module.
    assert sum(isinstance(m, nn.ReLU) for m in network.modules()) == 3 + 5


def test_sizes_inside_the_paper_network():
    assert sizes(PAPER, 256, 256) == [
        (32, 336, 336),
        (64, 168, 168),
        (128, 84, 84),
        (128, 80, 80),
        (128, 76, 76),
        (128, 72, 72),
        (128, 68, 68),
        (128, 64, 64),
        (64, 128, 128),
        (32, 256, 256),
        (3, 256, 256),
    ]


def test_sizes_inside_the_shipped_network():
    trunk = [(64, 16, 24)] * 6
    assert sizes(SHIPPED, 64, 96) == [
        (16, 64, 96),
        (32, 32, 48),
        *trunk,
        (32, 32, 48),
        (16, 64, 96),
        (3, 64, 96),
    ]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_any_size_comes_back_unchanged(norm, upsampling, padding):
    spec = NetworkSpec(
        width=2, residual_blocks=2, norm=norm, upsampling=upsampling, padding=padding
    )
    network = spec.build().eval()
    smallest = spec.min_size_px
    with torch.no_grad():
        for height in range(smallest, smallest + 6):
            for width in (smallest, smallest + 1, smallest + 3, 2 * smallest + 17):
                result = network(torch.rand(1, 3, height, width))
                assert result.shape == (1, 3, height, width)
                assert result.isfinite().all()


@pytest.mark.parametrize("spec", [PAPER, RELEASED, SHIPPED])
def test_presets_take_their_smallest_size(spec):
    network = spec.build().eval()
    smallest = spec.min_size_px
    assert smallest == (5 if spec == SHIPPED else 41)
    with torch.no_grad():
        assert network(torch.rand(2, 3, smallest, 43)).shape == (2, 3, smallest, 43)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("blocks", [1, 3])
def test_one_pixel_less_than_the_minimum_fails(norm, padding, blocks):
    spec = NetworkSpec(width=2, residual_blocks=blocks, norm=norm, padding=padding)
    below = spec.min_size_px - 1
    if below == 0:
        assert norm == "batch"
        assert padding in ("replicate", "zero")
        return
    with torch.no_grad(), pytest.raises((RuntimeError, ValueError)):
        spec.build().eval()(torch.rand(1, 3, below, below))


@pytest.mark.parametrize("output", ["tanh_0_255", "tanh_150"])
def test_the_last_layer_is_scaled_to_pixels(output):
    network = NetworkSpec(width=2, residual_blocks=1, output=output).build().eval()
    last = network.layers[-1]
    mean = torch.tensor(MEAN_RGB)
    nn.init.zeros_(last.weight)
    for logit, tanh in ((100.0, 1.0), (0.0, 0.0), (-100.0, -1.0), (0.5, 0.46211716)):
        nn.init.constant_(last.bias, logit)
        with torch.no_grad():
            colour = network(torch.rand(1, 3, 8, 8))[0, :, 3, 4] * 255
        if output == "tanh_0_255":
            expected = torch.full((3,), 127.5 * (1 + tanh))
        else:
            expected = mean + 150 * tanh
        assert torch.allclose(colour, expected, atol=1e-3)


def test_the_paper_network_stays_in_range():
    network = NetworkSpec(width=4, output="tanh_0_255").build()
    network.layers[-1].weight.data *= 100
    result = network(torch.rand(2, 3, 32, 32))
    assert result.min() >= 0
    assert result.max() <= 1
    assert result.min() < 0.01
    assert result.max() > 0.99


def test_instance_norm_sees_the_whole_picture():
    spec = NetworkSpec(width=4, residual_blocks=1, norm="instance")
    network = spec.build().eval()
    images = torch.rand(1, 3, 100, 100)
    changed = images.clone()
    changed[:, :, :8, :8] = 0
    with torch.no_grad():
        difference = (network(images) - network(changed)).abs()
    assert difference[:, :, -8:, -8:].min() > 0


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_a_shift_of_the_photo_shifts_the_painting(upsampling, padding):
    spec = NetworkSpec(
        width=4, residual_blocks=1, norm="batch", upsampling=upsampling, padding=padding
    )
    network = spec.build().eval()
    border = 36  # an output pixel sees 28 px around itself, and the shift is 8 px
    images = torch.rand(1, 3, 2 * border + 20, 2 * border + 24)
    with torch.no_grad():
        straight = network(images)
        shifted = network(images.roll((4, 8), dims=(2, 3)))
    inner = (slice(None), slice(None), slice(border, -border), slice(border, -border))
    assert torch.allclose(straight.roll((4, 8), dims=(2, 3))[inner], shifted[inner], atol=1e-5)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "subpixel"])
@pytest.mark.parametrize("padding", ["reflection", "replicate"])
def test_no_border_on_a_plain_picture(upsampling, padding):
    # Not with instance norm, which divides rounding noise by a deviation of nearly zero.
    spec = NetworkSpec(width=4, norm="batch", upsampling=upsampling, padding=padding)
    network = spec.build().eval().double()
    colour = torch.tensor([0.9, 0.4, 0.1], dtype=torch.float64).view(1, 3, 1, 1)
    with torch.no_grad():
        result = network(colour.expand(1, 3, 37, 42))
    assert (result - result[:, :, 20:21, 20:21]).abs().max() < 1e-9


def test_zero_padding_does_leave_a_border():
    network = NetworkSpec(width=4, norm="batch", padding="zero").build().eval()
    with torch.no_grad():
        result = network(torch.full((1, 3, 37, 42), 0.9))
    assert (result - result[:, :, 20:21, 20:21]).abs().max() > 1e-3


def test_building_is_determined_by_the_seed():
    def state(seed):
        torch.manual_seed(seed)
        return NetworkSpec(width=2).build().state_dict()

    first, again, other = state(3), state(3), state(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layers.0.0.weight"], other["layers.0.0.weight"])


@pytest.mark.parametrize("spec", [PAPER, SHIPPED])
def test_a_network_is_rebuilt_from_spec_and_weights(spec):
    network = spec.build().eval()
    twin = spec_from_dict(network.spec.to_dict()).build().eval()
    twin.load_state_dict(network.state_dict())
    images = torch.rand(1, 3, 45, 42)
    with torch.no_grad():
        assert torch.equal(network(images), twin(images))


def test_pictures_of_a_batch_do_not_mix():
    network = NetworkSpec(width=4, norm="instance").build().eval()
    images = torch.rand(3, 3, 21, 30)
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image) for image in images.split(1)])
    assert torch.allclose(together, alone, atol=1e-5)
