import numpy as np
import pytest
import torch
from PIL import Image

from impasto.data.degradation import degrade, gaussian_blur, jpeg, shrink
from impasto.errors import UsageError


def noise(height=48, width=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_bicubic_is_pillows(scale):
    rgb = noise()
    theirs = Image.fromarray(rgb).resize((64 // scale, 48 // scale), Image.Resampling.BICUBIC)
    difference = np.abs(degrade(rgb, scale, "bicubic").astype(int) - np.asarray(theirs))
    assert difference.max() <= 1


def test_bicubic_has_hand_computed_weights():
    # Halving widens the kernel to 8 taps at distances .25, .75, 1.25, 1.75 on both sides.
    row = torch.zeros(1, 1, 1, 32)
    row[..., 16] = 1.0
    near = 1.5 * 0.25**3 - 2.5 * 0.25**2 + 1
    middle = 1.5 * 0.75**3 - 2.5 * 0.75**2 + 1
    far = -0.5 * (1.25**3 - 5 * 1.25**2 + 8 * 1.25 - 4)
    last = -0.5 * (1.75**3 - 5 * 1.75**2 + 8 * 1.75 - 4)
    result = shrink(row.expand(1, 1, 2, 32), 2)[0, 0, 0]
    # Pixel 16 lies .25 before the centre of result 8, 0.75 after that of result 7, and so on.
    expected = {6: last, 7: middle, 8: near, 9: far}
    for position in range(16):
        wanted = expected.get(position, 0.0) / 2
        assert result[position].item() == pytest.approx(wanted, abs=1e-6)


def test_the_two_pictures_cover_the_same_area():
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 3, 48, axis=0).repeat(3, axis=2)
    result = degrade(ramp, 4, "bicubic")[5, :, 0].astype(int)
    # The mean of four neighbours is their middle.
    assert np.abs(result[2:-2] - (3 * (np.arange(16) * 4 + 1.5))[2:-2]).max() <= 0.5


def test_blur_spreads_a_point_as_a_gaussian():
    point = torch.zeros(1, 1, 21, 21)
    point[..., 10, 10] = 1.0
    blurred = gaussian_blur(point, 1.0)[0, 0]
    weights = np.exp(-0.5 * np.arange(-4, 5) ** 2.0)
    weights /= weights.sum()
    assert blurred[10, 10].item() == pytest.approx(weights[4] ** 2, rel=1e-5)
    assert blurred[10, 12].item() == pytest.approx(weights[4] * weights[6], rel=1e-5)
    assert blurred.sum().item() == pytest.approx(1.0, rel=1e-5)
    assert blurred[10, 15] == 0


def test_blur_keeps_a_flat_picture_to_its_edges():
    assert torch.allclose(gaussian_blur(torch.full((1, 3, 9, 5), 7.0), 2.0), torch.tensor(7.0))


def test_the_papers_degradation_is_blur_then_bicubic():
    rgb = noise()
    images = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    expected = shrink(gaussian_blur(images, 1.0), 4)[0].permute(1, 2, 0).clamp(0, 255).round()
    assert np.array_equal(degrade(rgb, 4, "paper"), expected.numpy().astype(np.uint8))
    assert not np.array_equal(degrade(rgb, 4, "paper"), degrade(rgb, 4, "bicubic"))


@pytest.mark.parametrize("kind", ["paper", "bicubic", "mixed", "photo"])
def test_a_run_in_bfloat16_sees_the_same_pictures(kind):
    rgb = noise()
    expected = degrade(rgb, 4, kind, np.random.default_rng(1))
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(degrade(rgb, 4, kind, np.random.default_rng(1)), expected)


@pytest.mark.parametrize("kind", ["mixed", "photo"])
def test_a_random_degradation_follows_from_its_generator(kind):
    rgb = noise()
    first, again, other = (degrade(rgb, 4, kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (12, 16, 3)
    assert first.dtype == np.uint8


def test_mixed_is_bicubic_half_of_the_time():
    rgb = noise()
    plain = degrade(rgb, 4, "bicubic")
    rng = np.random.default_rng(0)
    equal = sum(np.array_equal(degrade(rgb, 4, "mixed", rng), plain) for _ in range(60))
    assert 18 <= equal <= 42


def test_photo_adds_noise_and_blocks_to_a_flat_picture():
    flat = np.full((128, 128, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    deviations = [degrade(flat, 4, "photo", rng).std() for _ in range(20)]
    assert max(deviations) > 2
    assert max(deviations) < 8


def test_a_jpeg_of_low_quality_loses_more():
    rgb = np.asarray(Image.fromarray(noise(8, 8)).resize((64, 64), Image.Resampling.BICUBIC))
    losses = [np.abs(jpeg(rgb, quality).astype(int) - rgb).mean() for quality in (95, 75, 40)]
    assert 0 < losses[0] < losses[1] < losses[2]


def test_an_unknown_degradation_is_named():
    with pytest.raises(UsageError, match="is 'motion'; allowed are paper, bicubic, mixed, photo"):
        degrade(noise(), 4, "motion")


def test_a_random_degradation_needs_a_generator():
    with pytest.raises(UsageError, match="the degradation photo is random"):
        degrade(noise(), 4, "photo")
