import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from impasto.data import CropBatches, PatchPairs, open_photos
from impasto.data.crops import collate
from impasto.data.degradation import degrade, gaussian_blur, jpeg, shrink
from impasto.errors import DataError, UsageError


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


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        small = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
        small.resize((240, 200), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    return tmp_path


def pairs(folder, patch_px=32, scale=4, degradation="bicubic", seed=3):
    return PatchPairs(
        open_photos(folder), patch_px, scale=scale, degradation=degradation, seed=seed
    )


@pytest.mark.parametrize(("scale", "patch_px"), [(4, 32), (8, 64)])
def test_a_pair_has_both_resolutions(photos, scale, patch_px):
    (low_res, high_res), rejected = pairs(photos, patch_px, scale)[0]
    assert low_res.shape == (3, patch_px // scale, patch_px // scale)
    assert high_res.shape == (3, patch_px, patch_px)
    assert 0 <= low_res.min() < high_res.max() <= 1
    assert rejected == []


@pytest.mark.parametrize("degradation", ["bicubic", "photo"])
def test_a_pair_depends_on_seed_and_number_alone(photos, degradation):
    one, other = (pairs(photos, degradation=degradation) for _ in range(2))
    backwards = {i: other[i][0] for i in reversed(range(5))}
    for i in range(5):
        for a, b in zip(one[i][0], backwards[i], strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(one[0][0][1], one[1][0][1])
    assert not torch.equal(one[0][0][1], pairs(photos, degradation=degradation, seed=4)[0][0][1])


def test_a_patch_is_degraded_as_the_whole_photo_is(tmp_path):
    # The photo leaves one place and size for a patch with its surroundings.
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "p.png")
    whole = degrade(rgb, 4, "paper")
    (low_res, high_res), _ = pairs(tmp_path, degradation="paper")[0]
    turned = [np.rot90(x, k)[:, ::m] for x in (rgb,) for k in range(4) for m in (1, -1)]
    lows = [np.rot90(x, k)[:, ::m] for x in (whole,) for k in range(4) for m in (1, -1)]
    found = (high_res.permute(1, 2, 0) * 255).round().numpy()
    (same,) = [i for i, x in enumerate(turned) if np.array_equal(x[16:-16, 16:-16], found)]
    low = (low_res.permute(1, 2, 0) * 255).round().numpy()
    assert np.abs(lows[same][4:-4, 4:-4].astype(int) - low).max() <= 1


def test_patches_are_turned_and_mirrored(tmp_path):
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[..., 0] = np.arange(64) * 4
    ramp[..., 1] = np.arange(64)[:, None] * 4
    Image.fromarray(ramp).save(tmp_path / "p.png")
    dataset = pairs(tmp_path)
    seen = set()
    for i in range(60):
        patch = dataset[i][0][1]
        red, green = patch[0], patch[1]
        steps = [(c[:, -1] - c[:, 0]).mean().item() for c in (red, green)]
        falls = [(c[-1] - c[0]).mean().item() for c in (red, green)]
        seen.add(tuple(int(np.sign(round(x, 3))) for x in (*steps, *falls)))
    assert len(seen) == 8


def test_a_small_photo_is_passed_over_with_its_reason(photos):
    Image.new("RGB", (50, 200)).save(photos / "small.png")
    reasons = {r.reason for i in range(8) for r in pairs(photos)[i][1]}
    assert reasons == {"50x200 px is below 64 px, a patch with 16 px around it"}


def test_no_photo_of_use_is_an_error(tmp_path):
    Image.new("RGB", (50, 50)).save(tmp_path / "small.png")
    with pytest.raises(DataError, match=r"none of the 1 photos can be used: small\.png: 50x50"):
        pairs(tmp_path)[0]


def test_batches_hold_pairs(photos):
    loader = DataLoader(pairs(photos), batch_sampler=CropBatches(2, 0, 3), collate_fn=collate)
    batches = [(tuple(x.shape for x in batch), rejected) for batch, rejected in loader]
    assert batches == [(((2, 3, 8, 8), (2, 3, 32, 32)), [])] * 3
