import numpy as np
import pytest
import torch
from PIL import Image

import impasto
import impasto.evaluation
from impasto.data.examples import example_photos_folder
from impasto.errors import UsageError
from impasto.evaluation import StyleScores, lattice, mean_scores, score_style
from impasto.evaluation.pixels import resize_longer_side
from impasto.images.reading import read_image
from impasto.losses import STYLE_LAYERS, LossNetwork, gram_matrix


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture(scope="module")
def photos():
    paths = sorted(example_photos_folder().glob("*.jpg"))
    return [read_image(path).rgb for path in paths]


@pytest.fixture(scope="module")
def painting():
    rows, columns = np.mgrid[0:100, 0:384]
    stripes = ((rows + columns) // 12 % 2)[..., None] * np.array([200, 60, 20])
    return (stripes + 30).astype(np.uint8)


@pytest.fixture(scope="module")
def strips(photos):
    """Low and wide cut-outs: at 512 px they are small, and so quickly scored."""
    return [photo[200:330] for photo in photos if photo.shape[1] == 1024]


def test_public_names():
    assert set(impasto.evaluation.__all__) == {
        "PhotoMeasures",
        "PreparedPhoto",
        "StyleMeasures",
        "StyleMeter",
        "StyleScores",
        "SuperresScores",
        "lattice",
        "luma",
        "mean_measures",
        "mean_scores",
        "measure_style",
        "read_boxes",
        "resampling_methods",
        "score_style",
        "score_superres",
        "warp_error",
    }


def test_lattice_of_a_checkerboard_is_its_amplitude():
    rows, columns = np.mgrid[0:40, 0:60]
    board = np.full((40, 60, 3), 100, np.uint8)
    board[..., 1] += (10 * ((rows + columns) % 2)).astype(np.uint8)
    # Phase means 100 and 110 in equal numbers: a deviation of 5, in one channel.
    assert lattice(board, 2) == pytest.approx(5)
    assert lattice(board, 4) == pytest.approx(5)
    assert lattice(board, 3) < 0.1


def test_lattice_of_single_dots():
    dots = np.zeros((32, 32, 3), np.uint8)
    dots[::4, ::4] = 160
    # One of 16 phases has mean 160.
    assert lattice(dots, 4) == pytest.approx(160 * (1 / 16 * 15 / 16) ** 0.5)
    assert lattice(dots, 2) == pytest.approx(40 * (1 / 4 * 3 / 4) ** 0.5)


def test_lattice_of_flat_and_odd_pictures():
    assert lattice(np.full((33, 50, 3), 77, np.uint8), 4) == 0
    assert lattice(np.full((33, 50, 3), 77, np.uint8), 2) == 0


def test_photos_have_little_lattice(photos):
    values = [lattice(resize_longer_side(photo, 512), 4) for photo in photos]
    assert np.mean(values) < 0.4


def test_resizing_goes_by_the_longer_side():
    rgb = np.zeros((100, 200, 3), np.uint8)
    assert resize_longer_side(rgb, 512).shape == (256, 512, 3)
    assert resize_longer_side(rgb.transpose(1, 0, 2), 50).shape == (50, 25, 3)


def test_the_untouched_photo_keeps_content_and_has_no_style(vgg, strips, painting):
    (scores,) = score_style(lambda rgb: rgb, painting, strips[:1], loss_network=vgg)
    assert scores.content == 0
    assert scores.correlation == pytest.approx(1, abs=1e-9)
    assert scores.style_ratio == pytest.approx(1, abs=1e-6)
    assert scores.balanced_ratio == pytest.approx(1, abs=1e-6)
    assert scores.lattice_4 == lattice(resize_longer_side(strips[0], 512), 4)


def test_the_painting_itself_has_style_and_no_content(vgg, strips, painting):
    def paste(rgb):
        height, width = rgb.shape[:2]
        tiled = np.tile(painting, (3, 3, 1))
        return tiled[:height, :width]

    (scores,) = score_style(paste, painting, strips[:1], loss_network=vgg)
    assert scores.style_ratio < 0.05
    assert scores.balanced_ratio < 0.05
    assert scores.content > 10_000
    assert abs(scores.correlation) < 0.2


def test_scores_by_hand(vgg, strips, painting):
    small = resize_longer_side(strips[1], 512)
    result = np.asarray(Image.fromarray(small).rotate(180))
    (scores,) = score_style(lambda _: result, painting, strips[1:2], loss_network=vgg)

    def features(rgb):
        images = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            return vgg(images, STYLE_LAYERS)

    after, before = features(result), features(small)
    target = features(resize_longer_side(painting, 384))
    distances = np.array(
        [
            [(gram_matrix(f[x]) - gram_matrix(target[x])).square().sum().item() for x in f]
            for f in (after, before)
        ]
    )
    a, b = after["relu3_3"][0].flatten(1).numpy(), before["relu3_3"][0].flatten(1).numpy()
    assert scores.content == pytest.approx(((a - b) ** 2).mean(), rel=1e-4)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    correlation = (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    assert scores.correlation == pytest.approx(correlation, abs=1e-4)
    after_sum, before_sum = distances.sum(axis=1)
    assert scores.style_ratio == pytest.approx(after_sum / before_sum, rel=1e-4)
    assert scores.balanced_ratio == pytest.approx((distances[0] / distances[1]).mean(), rel=1e-4)


def test_photos_are_given_at_512_px(vgg, painting):
    given = []

    def stylize(rgb):
        given.append(rgb.shape)
        return rgb

    photo = np.random.default_rng(0).integers(0, 255, (20, 160, 3), dtype=np.uint8)
    score_style(stylize, painting, [photo], loss_network=vgg)
    assert given == [(64, 512, 3)]


def test_means_are_plain_means():
    scores = [
        StyleScores(10, 0.5, 1, 2, 3, 4),
        StyleScores(20, 1.0, 2, 4, 5, 8),
    ]
    assert mean_scores(scores) == StyleScores(15, 0.75, 1.5, 3, 4, 6)
    assert mean_scores(scores).to_dict()["lattice_4"] == 6
    with pytest.raises(UsageError, match="no photos"):
        mean_scores([])


def test_shipped_styles_print_no_grid(photos):
    for style in impasto.list_styles():
        if style.name == "paper_great_wave":
            continue  # its transposed convolutions do
        model = impasto.load_model(style.name)
        results = [model.paint(resize_longer_side(photo, 512)) for photo in photos]
        fours = [lattice(result, 4) for result in results]
        twos = [lattice(result, 2) for result in results]
        assert np.mean(fours) <= 1.0, style.name
        assert np.mean(twos) <= 0.3, style.name
        assert max(fours) < 2.5, style.name
        assert max(twos) < 2.5, style.name
