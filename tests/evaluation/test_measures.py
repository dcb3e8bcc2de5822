import numpy as np
import pytest

from impasto.data.examples import example_photos_folder
from impasto.errors import DataError, ImageError, UsageError
from impasto.evaluation import (
    PreparedPhoto,
    lattice,
    mean_measures,
    measure_style,
)
from impasto.evaluation.controls import CONTROLS, failed_measures, recoloured, untouched
from impasto.evaluation.measures import follow, repainted
from impasto.evaluation.pixels import gaussian_blur, resize_longer_side
from impasto.images.reading import read_image
from impasto.losses import LossNetwork

NAMES = ("astronaut", "cat", "mountains", "stream")


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture(scope="module")
def photos():
    """Wide strips of photos: small at 512 px, and so quickly measured."""
    return [
        resize_longer_side(read_image(example_photos_folder() / f"{name}.jpg").rgb, 600)[80:210]
        for name in NAMES
    ]


@pytest.fixture(scope="module")
def painting():
    """Coarse coloured strokes in all directions, and fine ones on them."""
    rng = np.random.default_rng(0)
    coarse, fine = (
        gaussian_blur(rng.normal(size=(300, 384, 3)).astype("f4"), sigma_px)
        for sigma_px in (6, 1.5)
    )
    values = np.tanh(3 * coarse / coarse.std()) * 70 + fine / fine.std() * 25
    return np.clip(values + np.array([150, 110, 80]), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def prepared(vgg, photos):
    return [PreparedPhoto.of(photo, vgg) for photo in photos]


@pytest.fixture(scope="module")
def controls(vgg, photos, prepared, painting):
    """The measures of each control."""
    return {
        name: measure_style(
            prepared,
            [control(photo, painting) for photo in photos],
            painting,
            names=NAMES,
            loss_network=vgg,
        )
        for name, control in CONTROLS.items()
    }


def test_each_control_fails_where_it_should(controls):
    failed = {name: set(failed_measures(found)) for name, found in controls.items()}
    assert {"painted", "repainted"} <= failed["the photo"]
    assert {"painted", "repainted"} <= failed["blurred"]
    assert "repainted" in failed["recoloured"]
    assert {"repainted", "ghost"} <= failed["detail pasted on"]
    assert {"ghost"} < failed["half photo, half painting"]


def test_the_photo_itself(controls):
    found = controls["the photo"]
    assert (found.ghost, found.halo, found.grid) == pytest.approx((0, 0, 0), abs=1e-6)
    assert (found.mean.painted, found.mean.kept) == pytest.approx((1, 1))
    assert found.mean.repainted == pytest.approx(0, abs=1e-3)
    assert found.mean.follow == pytest.approx(1)
    assert found.mean.faces is None


def test_detail_that_is_pasted_on_passes_for_painted_and_kept(controls):
    """Which is why there are more measures."""
    mean = controls["detail pasted on"].mean
    assert mean.painted < 0.5
    assert mean.kept > 0.5
    assert mean.repainted < 0.15
    assert controls["detail pasted on"].ghost > 0.8


def test_recolouring_gives_the_paintings_colours(photos, painting):
    small = np.clip(painting.astype(float) * 0.3 + 90, 0, 255).astype(np.uint8)
    result = recoloured(photos[0], small).reshape(-1, 3)
    wanted = small.reshape(-1, 3)
    assert result.mean(axis=0) == pytest.approx(wanted.mean(axis=0), abs=1)
    assert np.cov(result.T) == pytest.approx(np.cov(wanted.T), rel=0.1, abs=8)
    grey = np.repeat(photos[0][..., :1], 3, axis=-1)
    assert np.isfinite(recoloured(grey, small)).all()


def test_measures_are_those_of_the_functions(vgg, photos, painting):
    results = [np.ascontiguousarray(photo[:, ::-1]) for photo in photos[:2]]
    found = measure_style(photos[:2], results, painting, names=["a", "b"], loss_network=vgg)
    assert list(found.photos) == ["a", "b"]
    small, small_result = (resize_longer_side(x, 512) for x in (photos[1], results[1]))
    one = found.photos["b"]
    assert one.repainted == pytest.approx(repainted(small, small_result))
    assert one.follow == pytest.approx(follow(small, small_result))
    assert one.lattice_4 == lattice(results[1], 4)
    assert one.painted == pytest.approx(np.mean(one.balanced))
    assert one.kept == pytest.approx(np.mean(one.correlation))
    values = found.to_dict()
    for key, value in one.to_dict().items():
        if key != "faces":
            assert values[key] == pytest.approx((value + found.photos["a"].to_dict()[key]) / 2)
    assert list(values)[-4:] == ["ghost", "halo", "grid", "grid_period_px"]
    assert values["ghost"] == found.ghost == pytest.approx(0.5, abs=0.1)


def test_prepared_photos_give_the_same(vgg, photos, prepared, painting):
    results = [255 - photos[0]]
    plain = measure_style(photos[:1], results, painting, loss_network=vgg)
    assert measure_style(prepared[:1], results, painting, loss_network=vgg) == plain
    assert list(plain.photos) == ["0"]


def test_a_result_of_another_size_is_measured_too(vgg, photos, prepared, painting):
    larger = resize_longer_side(photos[0], 1200)
    found = measure_style(prepared[:1], [larger], painting, loss_network=vgg)
    assert found.mean.kept > 0.97
    assert found.mean.repainted < 0.01


def test_faces_count_where_there_are_some(vgg, photos, prepared, painting):
    boxes = {"astronaut": np.array([[180, 0, 330, 120.0]]), "nobody": np.ones((1, 4))}
    blurry = [gaussian_blur(photo.astype("f4"), 4).astype(np.uint8) for photo in photos[:2]]
    found = measure_style(
        prepared[:2], blurry, painting, names=NAMES[:2], faces=boxes, loss_network=vgg
    )
    assert found.photos["cat"].faces is None
    assert found.mean.faces == found.photos["astronaut"].faces
    assert 0.2 < found.mean.faces < 0.9
    with pytest.raises(DataError, match=r"^cat: the faces reach to 700,9 px"):
        measure_style(
            prepared[1:2],
            blurry[1:],
            painting,
            names=["cat"],
            faces={"cat": np.array([[0, 0, 700, 9.0]])},
            loss_network=vgg,
        )


def test_mistakes(vgg, photos, prepared, painting):
    with pytest.raises(UsageError, match="4 photos need as many results and names, not 1 results"):
        measure_style(prepared, photos[:1], painting, loss_network=vgg)
    with pytest.raises(UsageError, match=r"2 photos need as many .* and 1 names"):
        measure_style(prepared[:2], photos[:2], painting, names=["a", "a"], loss_network=vgg)
    with pytest.raises(UsageError, match="there are no photos to measure"):
        measure_style([], [], painting, loss_network=vgg)
    with pytest.raises(ImageError, match=r"^photo x: a result of 130x600 px does not belong to"):
        measure_style(
            prepared[:1],
            [np.ascontiguousarray(photos[0].transpose(1, 0, 2))],
            painting,
            names=["x"],
            loss_network=vgg,
        )
    narrow = photos[0][:40]
    with pytest.raises(ImageError, match=r"^photo 0: a photo is too narrow .* has 128x9 px"):
        measure_style([narrow], [narrow], painting, loss_network=vgg)
    with pytest.raises(ImageError, match="the painting is too narrow to be measured"):
        measure_style(prepared[:1], photos[:1], painting[:20], loss_network=vgg)
    with pytest.raises(UsageError, match="there are no photos to measure"):
        mean_measures([])


def test_limits_are_named_in_the_order_of_the_measures(controls):
    found = controls["the photo"]
    assert failed_measures(found) == ["painted", "repainted"]
    assert CONTROLS["the photo"] is untouched
