import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import ImageError, UsageError
from impasto.evaluation import (
    SuperresScores,
    luma,
    mean_scores,
    resampling_methods,
    score_superres,
)
from impasto.evaluation.superres import crop_to_multiple, score_methods
from impasto.losses import LossNetwork


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture(scope="module")
def original():
    noise = np.random.default_rng(0).integers(40, 216, (8, 10, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((40, 32), Image.Resampling.BICUBIC))


def noisy(rgb, levels, seed=1):
    noise = np.random.default_rng(seed).normal(0, levels, rgb.shape)
    return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8)


def direct_ssim(a, b):
    """SSIM of two luma pictures after Wang et al. 2004, window by window."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            top = (2 * mp * mq + c1) * (2 * cov + c2)
            values.append(top / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return np.mean(values)


@pytest.mark.parametrize(
    ("colour", "y"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
        ((51, 102, 204), 16 + 0.2 * 65.481 + 0.4 * 128.553 + 0.8 * 24.966),
    ],
)
def test_luma_by_hand(colour, y):
    values = luma(np.full((2, 3, 3), colour, np.uint8))
    assert values.shape == (2, 3)
    assert values == pytest.approx(y)


def test_psnr_of_a_constant_difference(vgg, original):
    scores = score_superres(original + 10, original, 4, vgg)
    # Ten levels of each channel are 10 * 219 / 255 levels of Y.
    assert scores.psnr == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)), abs=1e-4)


def test_equal_pictures(vgg, original):
    scores = score_superres(original, original, 4, vgg)
    assert scores == SuperresScores(np.inf, pytest.approx(1), 0, 0)


def test_noise_lowers_the_quality(vgg, original):
    little, much = (score_superres(noisy(original, n), original, 4, vgg) for n in (5, 20))
    assert 1 > little.ssim > much.ssim > 0
    assert little.psnr > much.psnr
    assert 0 < little.feature_relu2_2 < much.feature_relu2_2
    assert 0 < little.feature_relu3_3 < much.feature_relu3_3


@pytest.mark.parametrize("scale", [4, 8])
def test_ssim_is_that_of_the_formula(vgg, original, scale):
    result = noisy(original, 12)
    scores = score_superres(result, original, scale, vgg)
    a, b = (luma(rgb[scale:-scale, scale:-scale]) for rgb in (result, original))
    assert scores.ssim == pytest.approx(direct_ssim(a, b), abs=1e-6)


def test_the_border_plays_no_part_in_psnr_and_ssim(vgg, original):
    framed = original.copy()
    framed[:4] = framed[-4:] = framed[:, :4] = framed[:, -4:] = 0
    scores = score_superres(framed, original, 4, vgg)
    assert scores.psnr == np.inf
    assert scores.ssim == pytest.approx(1)
    assert scores.feature_relu2_2 > 0
    for inside in (np.s_[4, 20], np.s_[-5, 20], np.s_[16, 4], np.s_[16, -5]):
        spotted = original.copy()
        spotted[inside] = 0
        assert score_superres(spotted, original, 4, vgg).psnr < np.inf


def test_feature_distances_are_those_of_the_paper(vgg, original):
    result = noisy(original, 12)
    scores = score_superres(result, original, 4, vgg)
    with torch.no_grad():
        a, b = (
            vgg(torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None] / 255, ["relu2_2", "relu3_3"])
            for rgb in (result, original)
        )
    for layer, shape in {"relu2_2": (128, 16, 20), "relu3_3": (256, 8, 10)}.items():
        x, y = a[layer][0].numpy(), b[layer][0].numpy()
        assert x.shape == shape
        expected = ((x - y) ** 2).sum() / np.prod(shape)
        assert scores.to_dict()[f"feature_{layer}"] == pytest.approx(expected, rel=1e-4)


def test_resampling_is_pillows(original):
    small = original[:5, :7]
    methods = resampling_methods(4)
    assert list(methods) == ["nearest", "bicubic", "lanczos"]
    for name, upscale in methods.items():
        how = Image.Resampling[name.upper()]
        assert (upscale(small) == np.asarray(Image.fromarray(small).resize((28, 20), how))).all()
    assert resampling_methods(8)["nearest"](small).shape == (40, 56, 3)
    assert (methods["nearest"](small)[::4, ::4] == small).all()


def test_methods_are_scored_one_by_one(vgg, original):
    low_res = original[::4, ::4]
    methods = resampling_methods(4) | {"perfect": lambda _: original}
    scored = list(score_methods(methods, low_res, original, 4, vgg))
    assert [name for name, _, _ in scored] == ["nearest", "bicubic", "lanczos", "perfect"]
    for name, result, scores in scored:
        assert (result == methods[name](low_res)).all()
        assert scores == score_superres(result, original, 4, vgg)


def test_pictures_are_cropped_at_the_bottom_and_right():
    rgb = np.arange(43 * 38 * 3, dtype=np.uint32).astype(np.uint8).reshape(43, 38, 3)
    cropped = crop_to_multiple(rgb, 4)
    assert cropped.shape == (40, 36, 3)
    assert (cropped == rgb[:40, :36]).all()


@pytest.mark.parametrize(("scale", "smallest"), [(4, 20), (8, 32)])
def test_small_pictures(vgg, scale, smallest):
    enough = np.zeros((smallest, smallest, 3), np.uint8)
    assert crop_to_multiple(enough, scale).shape == enough.shape
    assert score_superres(enough, enough, scale, vgg).ssim == pytest.approx(1)
    for small in (enough[1:], enough[:, 1:], enough[:1, :1]):
        message = f"too small .* at scale {scale}, SSIM needs {smallest} px on each side"
        with pytest.raises(ImageError, match=message):
            crop_to_multiple(small, scale)
        with pytest.raises(ImageError, match=message):
            score_superres(small, small, scale, vgg)
        with pytest.raises(ImageError, match=message):
            next(score_methods({}, small, small, scale, vgg))


def test_a_method_of_another_scale(vgg, original):
    with pytest.raises(UsageError, match=r"is 40x30 and the original 40x32: .* enlarge by 4"):
        score_superres(original[:30], original, 4, vgg)


def test_means_are_plain_means():
    scores = [SuperresScores(20, 0.5, 100, 10), SuperresScores(30, 0.9, 200, 30)]
    assert mean_scores(scores) == SuperresScores(25, pytest.approx(0.7), 150, 20)
    with pytest.raises(UsageError, match="no photos"):
        mean_scores([])
