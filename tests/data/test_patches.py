import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from impasto.data import CropBatches, PatchPairs, open_photos
from impasto.data.crops import collate
from impasto.data.degradation import degrade
from impasto.errors import DataError


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
