import numpy as np
import pytest
from PIL import Image

from impasto.data.examples import example_photos_folder
from impasto.evaluation import score_style
from impasto.evaluation.features import balanced_ratios, correlations, see_painting, see_photo
from impasto.evaluation.measures import follow, repainted
from impasto.evaluation.pixels import best_recolouring, gaussian_blur, resize_longer_side
from impasto.images.reading import read_image
from impasto.losses import LossNetwork


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture(scope="module")
def photo():
    """A wide strip of an example photo: small at 512 px, and so quickly measured."""
    return read_image(example_photos_folder() / "stream.jpg").rgb[200:340]


@pytest.fixture(scope="module")
def painting():
    rows, columns = np.mgrid[0:120, 0:384]
    stripes = ((rows + columns) // 12 % 2)[..., None] * np.array([200, 60, 20])
    return (stripes + 30).astype(np.uint8)


def levels(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noise(shape, sigma_px, deviation, seed=0):
    values = gaussian_blur(np.random.default_rng(seed).normal(size=shape).astype("f4"), sigma_px)
    return values * deviation / values.std()


def test_the_photo_is_all_kept_and_not_painted(vgg, photo, painting):
    seen = see_photo(vgg, photo)
    assert balanced_ratios(seen, seen, see_painting(vgg, painting)) == pytest.approx((1, 1, 1))
    assert correlations(seen, seen) == pytest.approx((1, 1, 1))


def test_the_painting_is_painted_and_nothing_is_kept(vgg, photo, painting):
    # At the scale at which it is measured: three quarters of the photo's 768 px.
    large = np.asarray(Image.fromarray(painting).resize((576, 180)))
    result = np.tile(large, (1, 2, 1))[: photo.shape[0], : photo.shape[1]]
    seen = see_photo(vgg, result, photo)
    ratios = balanced_ratios(seen, see_photo(vgg, photo), see_painting(vgg, painting))
    assert max(ratios) < 0.25
    assert np.abs(correlations(seen, see_photo(vgg, photo))).max() < 0.2


def test_the_first_scale_is_the_single_one(vgg, photo, painting):
    rotated = np.ascontiguousarray(photo[::-1, ::-1])
    small = resize_longer_side(photo, 512)
    (scores,) = score_style(
        lambda _: np.ascontiguousarray(small[::-1, ::-1]), painting, [photo], loss_network=vgg
    )
    seen, before = see_photo(vgg, rotated, photo), see_photo(vgg, photo)
    ratios = balanced_ratios(seen, before, see_painting(vgg, painting))
    assert ratios[0] == pytest.approx(scores.balanced_ratio, rel=1e-4)
    assert correlations(seen, before)[0] == pytest.approx(scores.correlation, abs=1e-3)


def test_a_result_is_seen_at_the_sizes_of_its_photo(vgg, photo):
    seen = see_photo(vgg, photo)
    smaller = see_photo(vgg, resize_longer_side(photo, 510), photo)
    assert {scale: x.shape for scale, x in smaller.content.items()} == {
        scale: x.shape for scale, x in seen.content.items()
    }
    assert [tuple(x.shape[-2:]) for x in seen.content.values()] == [(23, 128), (11, 64), (5, 32)]


def test_the_best_recolouring_undoes_one(photo):
    matrix = np.array([[0.5, 0.3, -0.1], [0.1, 0.6, 0.2], [-0.2, 0.1, 0.9]])
    wanted = (photo @ matrix + [10, 20, 30]).astype(np.float32)
    assert np.abs(best_recolouring(photo.astype(np.float32), wanted) - wanted).max() < 0.01
    grey = np.repeat(photo[..., :1], 3, axis=-1).astype(np.float32)
    assert np.abs(best_recolouring(grey, 255 - grey) - (255 - grey)).max() < 0.01


def test_recolouring_and_fine_texture_repaint_nothing(photo):
    small = resize_longer_side(photo, 512)
    assert repainted(small, small) == pytest.approx(0, abs=1e-3)
    dark = small.astype(np.float32) * 0.6 + [20, 0, 40]
    assert repainted(small, levels(dark)) < 0.01
    assert repainted(small, levels(dark + noise(small.shape, 1, 8))) < 0.08


def test_repainted_is_the_share_of_what_is_new():
    down, across = np.mgrid[-1:1:200j, -1:1:512j][..., None] * np.ones(3)
    photo, result = levels(128 + 100 * across), levels(128 + 60 * across + 60 * down)
    # Two ramps without correlation, equally strong: half of the energy is new.
    assert repainted(photo, result) == pytest.approx(0.5**0.5, abs=0.02)
    assert repainted(photo, np.full_like(photo, 90)) == 0


@pytest.mark.parametrize(("degrees", "expected"), [(0, 1), (45, 0.5**0.5), (90, 0)])
def test_follow_is_the_cosine_between_the_directions(degrees, expected):
    down, across = np.mgrid[0:256, 0:256][..., None] * np.ones(3)

    def stripes(angle):
        along = across * np.cos(angle) + down * np.sin(angle)
        return levels(128 + 100 * np.sin(along / 3))

    inner = np.s_[20:-20, 20:-20]
    found = follow(stripes(0)[inner], stripes(np.radians(degrees))[inner])
    assert found == pytest.approx(expected, abs=0.02)


def test_strokes_at_random_do_not_follow(photo):
    small = resize_longer_side(photo, 512)
    found = [follow(small, levels(128 + noise(small.shape, 2, 40, seed))) for seed in range(6)]
    assert np.mean(found) == pytest.approx(2 / np.pi, abs=0.05)
