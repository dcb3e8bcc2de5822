import numpy as np
import pytest
from PIL import Image

from impasto.evaluation.artefacts import GhostMeter, GridMeter, HaloMeter
from impasto.evaluation.controls import AT_MOST
from impasto.evaluation.pixels import gaussian_blur

SHAPES = [(300, 400, 3), (400, 300, 3), (280, 420, 3), (350, 350, 3)]


def levels(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noise(shape, sigma_px, deviation, seed):
    values = gaussian_blur(np.random.default_rng(seed).normal(size=shape).astype("f4"), sigma_px)
    return values * deviation / values.std()


def steps(shape=(200, 512)):
    """A photo of dark and bright fields, 128 px wide: flat beside its edges."""
    fields = 60 + 120 * (np.arange(shape[1]) // 128 % 2)
    return np.broadcast_to(fields[:, None], (*shape, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def photos():
    return [levels(128 + noise(shape, 12, 40, seed)) for seed, shape in enumerate(SHAPES * 2)]


@pytest.fixture(scope="module")
def painted(photos):
    """Each photo duller and with strokes of its own."""
    return [
        levels(photo * 0.7 + 30 + noise(photo.shape, 2, 20, 100 + seed))
        for seed, photo in enumerate(photos)
    ]


def measure(meter, photos, results):
    for photo, result in zip(photos, results, strict=True):
        meter.add(photo, result)
    return meter


def grid(photos, results):
    return measure(GridMeter(), photos, results).peak


def test_unrelated_results_have_a_ghost_of_one_in_their_number(photos, painted):
    assert measure(GhostMeter(), photos, painted).value == pytest.approx(1 / 8, rel=0.2)
    assert measure(GhostMeter(), photos[:1], painted[:1]).value == pytest.approx(1)


def test_what_is_pasted_on_all_is_a_ghost(photos, painted):
    pattern = noise((420, 420, 3), 3, 25, 7)
    pasted = [
        levels(photo * 0.6 + 50 + pattern[: photo.shape[0], : photo.shape[1]]) for photo in photos
    ]
    assert measure(GhostMeter(), photos, pasted).value > 0.9
    # Stretched to each photo it is one too.
    stretched = [
        levels(photo * 0.6 + 50 + np.stack([fit(pattern[..., c], photo) for c in range(3)], -1))
        for photo in photos
    ]
    assert measure(GhostMeter(), photos, stretched).value > 0.85
    # Half of the energy in common, half of one's own.
    both = [
        levels(photo * 0.7 + 30 + own + pattern[: photo.shape[0], : photo.shape[1]] * 0.8)
        for photo, own in zip(
            photos, [noise(p.shape, 2, 20, 50 + k) for k, p in enumerate(photos)], strict=True
        )
    ]
    assert measure(GhostMeter(), photos, both).value == pytest.approx(0.55, abs=0.1)


def fit(values, photo):
    return np.asarray(Image.fromarray(values).resize(photo.shape[1::-1], Image.Resampling.BICUBIC))


def test_a_recoloured_photo_has_no_ghost(photos):
    assert measure(GhostMeter(), photos, photos).value == 0
    assert measure(GhostMeter(), photos, [255 - photo for photo in photos]).value == 0


def woven(rgb, period_px, amplitude=1.5):
    down, across = np.mgrid[: rgb.shape[0], : rgb.shape[1]] * 2 * np.pi / period_px
    return levels(rgb + amplitude * (np.sin(across) + np.sin(down))[..., None])


@pytest.mark.parametrize("period_px", [3, 5, 6, 7.5, 10])
def test_a_weave_of_any_period_is_seen(photos, painted, period_px):
    peak, found_px = grid(photos[:5], [woven(result, period_px) for result in painted[:5]])
    assert peak > AT_MOST["grid"]
    assert found_px == pytest.approx(period_px, rel=0.05)


def test_texture_and_lines_are_no_grid(photos, painted):
    assert grid(photos, painted)[0] < 1.6
    assert grid(photos, photos)[0] == pytest.approx(0)
    lines = [np.array(result) for result in painted[:4]]
    for number, result in enumerate(lines):
        result[:, 40 + 7 * number] = 0
        result[90 + 11 * number] = 255
    assert grid(photos[:4], lines)[0] < 2


def test_a_grid_that_nobody_can_see_does_not_count(photos):
    across = np.arange(420) * 2 * np.pi / 4
    # One level in every eighth pixel: an amplitude of about 0.2.
    faint = [
        levels(
            photo
            + (np.cos(across[: photo.shape[1]]) > 0.9)[:, None]
            * (np.mgrid[: len(photo)] % 2 == 0)[:, None, None]
        )
        for photo in photos[:4]
    ]
    assert grid(photos[:4], faint)[0] < 2


def test_a_weave_of_the_photos_themselves_is_not_the_results(photos):
    own = [woven(photo, 8) for photo in photos[:4]]
    smooth = [levels(gaussian_blur(photo.astype("f4"), 4)) for photo in own]
    assert grid(own, smooth)[0] < 1.6
    assert grid(photos[:4], own)[0] > AT_MOST["grid"]


def test_a_small_picture_is_one_window():
    photo = levels(128 + noise((70, 90, 3), 6, 30, 0))
    across = np.arange(90) * 2 * np.pi / 5
    peak, period_px = grid([photo], [levels(photo + 6 * np.sin(across)[:, None])])
    assert peak > 3
    assert period_px == pytest.approx(5, rel=0.05)


def test_overshoot_beside_edges_is_a_halo_in_levels():
    photo = steps()
    result = photo.astype(np.float32)
    for edge in (128, 256, 384):
        for side in (1, -1):
            near = slice(edge + 8, edge + 16) if side > 0 else slice(edge - 16, edge - 8)
            result[:, near] += np.where(photo[:, near] > 100, 10, -6)
    meter = measure(HaloMeter(), [photo], [levels(result)])
    assert meter.value == pytest.approx(8, abs=0.8)
    assert meter.edges > 500
    inward = measure(HaloMeter(), [photo], [levels(2 * photo.astype(np.float32) - result)])
    assert inward.value < 1.5


def test_a_wide_unsharp_mask_makes_haloes():
    photo = steps()
    values = photo.astype(np.float32)

    def sharpened(amount, sigma_px):
        return levels(values + amount * (values - gaussian_blur(values, sigma_px)))

    assert measure(HaloMeter(), [photo], [photo]).value == 0
    assert measure(HaloMeter(), [photo], [sharpened(0.3, 16)]).value > 8
    assert measure(HaloMeter(), [photo], [sharpened(0.3, 1)]).value < 1
    assert measure(HaloMeter(), [photo], [255 - photo]).value == pytest.approx(0, abs=0.1)
    assert measure(HaloMeter(), [photo], [255 - sharpened(0.3, 16)]).value > 8


def test_a_photo_without_step_edges_has_no_haloes():
    down = np.mgrid[0:200, 0:512][0][..., None] * np.ones(3)
    meter = measure(HaloMeter(), [levels(down)], [levels(down * 0.5)])
    assert (meter.value, meter.edges) == (None, 0)
