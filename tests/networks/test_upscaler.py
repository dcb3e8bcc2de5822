import json

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import UsageError
from impasto.networks import (
    FastUpscaler,
    FastUpscalerSpec,
    PaperUpscalerSpec,
    spec_from_dict,
)
from impasto.networks.upscaler import skip_kernel

SMALL = [
    FastUpscalerSpec(width=8, residual_blocks=2),
    FastUpscalerSpec(scale=8, width=8, residual_blocks=1, skip="nearest"),
    PaperUpscalerSpec(width=8, residual_blocks=1),
    PaperUpscalerSpec(scale=8, width=8, residual_blocks=2),
    PaperUpscalerSpec(width=8, residual_blocks=1, upsampling="nearest", padding="replicate"),
]


def eval_network(spec, seed=0):
    torch.manual_seed(seed)
    network = spec.build().eval()
    for name, parameter in network.named_parameters():  # beyond the small start of the tail
        if name.startswith("tail"):
            parameter.data.normal_(std=0.1)
    return network


@pytest.mark.parametrize("spec", SMALL)
@pytest.mark.parametrize("size", [(9, 14), (5, 5)])
def test_a_picture_grows_by_the_scale(spec, size):
    with torch.no_grad():
        result = eval_network(spec)(torch.rand(2, 3, *size))
    assert result.shape == (2, 3, spec.scale * size[0], spec.scale * size[1])


@pytest.mark.parametrize("spec", SMALL)
def test_a_spec_survives_its_file(spec):
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_the_papers_network_has_the_papers_layers():
    network = PaperUpscalerSpec().build()
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 4]
    trunk, up = [(64, 64, 3, 3)] * 8, [(64, 64, 3, 3)] * 2
    assert shapes == [(64, 3, 9, 9), *trunk, *up, (3, 64, 9, 9)]
    eight = PaperUpscalerSpec(scale=8).build()
    assert sum(p.ndim == 4 for p in eight.parameters()) == len(shapes) + 1


@pytest.mark.parametrize("spec", SMALL)
def test_nothing_beyond_the_receptive_radius_reaches_a_pixel(spec):
    network = eval_network(spec)
    radius = spec.receptive_radius_px
    side = 2 * radius + 3
    image = torch.rand(1, 3, side, side, requires_grad=True)
    middle = side // 2
    block = slice(spec.scale * middle, spec.scale * (middle + 1))
    network(image)[..., block, block].square().sum().backward()
    seen = image.grad.abs().sum(dim=(0, 1)).nonzero()
    assert (seen - middle).abs().max() <= radius


def test_instance_norm_has_no_radius():
    assert PaperUpscalerSpec(norm="instance").receptive_radius_px is None


@pytest.mark.parametrize("scale", [4, 8])
def test_the_bicubic_copy_is_pillows(scale):
    rgb = np.random.default_rng(0).integers(60, 200, (11, 13, 3), dtype=np.uint8)
    images = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float()
    edges = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="replicate")
    planes = torch.nn.functional.conv2d(edges, skip_kernel(scale, "bicubic"), groups=3)
    ours = torch.nn.functional.pixel_shuffle(planes, scale)[0].permute(1, 2, 0).numpy()
    theirs = Image.fromarray(rgb).resize((13 * scale, 11 * scale), Image.Resampling.BICUBIC)
    inner = slice(2 * scale, -2 * scale)  # Pillow leaves taps outside the picture out
    difference = np.abs(ours - np.asarray(theirs, np.float32))[inner, inner]
    assert difference.max() <= 1.1  # it rounds twice


def test_the_copy_is_exact_in_a_run_in_bfloat16():
    network = FastUpscaler(FastUpscalerSpec(scale=4, width=8, residual_blocks=1))
    torch.nn.init.zeros_(network.tail.weight)
    images = torch.rand(1, 3, 6, 7)
    with torch.autocast("cpu", torch.bfloat16):
        copy = network(images)
    assert torch.equal(copy, network(images))


def test_a_cubic_kernel_of_hand_computed_weights():
    kernel = skip_kernel(4, "bicubic")
    assert kernel.shape == (48, 1, 5, 5)
    assert kernel.sum(dim=(1, 2, 3)).sub(1).abs().max() < 1e-6
    # Sub-pixel 0 lies 0.375 before its pixel's centre: (0.375, 0.625) from the two nearest.
    near, far = (1.5 * d**3 - 2.5 * d**2 + 1 for d in (0.375, 0.625))
    row = kernel[0, 0].sum(dim=0)
    assert row[2].item() == pytest.approx(near, abs=1e-6)
    assert row[1].item() == pytest.approx(far, abs=1e-6)
    assert row[4].item() == 0


def test_a_nearest_copy_repeats_pixels():
    network = FastUpscaler(FastUpscalerSpec(width=4, residual_blocks=1, skip="nearest"))
    torch.nn.init.zeros_(network.tail.weight)
    images = torch.rand(1, 3, 6, 7)
    expected = images.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert torch.equal(network(images), expected)


def test_sub_pixels_start_equal_and_near_the_copy():
    torch.manual_seed(0)
    network = FastUpscaler(FastUpscalerSpec(width=16, residual_blocks=2, skip="nearest"))
    images = torch.rand(1, 3, 12, 12)
    detail = network(images) - images.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    blocks = detail.unfold(2, 4, 4).unfold(3, 4, 4)
    assert blocks.std(dim=(-1, -2)).max() < 1e-6
    assert 0 < detail.abs().mean() < 0.05


@pytest.mark.parametrize(
    ("spec", "values", "message"),
    [
        (FastUpscalerSpec, {"scale": 3}, "scale is 3; allowed are 4 and 8"),
        (PaperUpscalerSpec, {"scale": 2}, "scale is 2; allowed are 4 and 8"),
        (FastUpscalerSpec, {"width": 0}, "width is 0; allowed are whole numbers from 1 to 1024"),
        (FastUpscalerSpec, {"skip": "lanczos"}, "skip is 'lanczos'; allowed are bicubic, nearest"),
        (PaperUpscalerSpec, {"padding": "reflection_start"}, "pads every convolution"),
        (PaperUpscalerSpec, {"norm": "layer"}, "norm is 'layer'; allowed are batch, instance"),
    ],
)
def test_a_field_out_of_range_is_named(spec, values, message):
    with pytest.raises(UsageError, match=message):
        spec(**values)
