import numpy as np
import pytest
from PIL import Image

from impasto.errors import ImageError, UsageError
from impasto.evaluation import score_style
from impasto.images.reading import Photo
from impasto.losses import STYLE_LAYERS, StyleTarget, save_style_targets
from impasto.paper import (
    TrainedWeights,
    balanced_objective,
    compare,
    equivalent_iterations,
    noise,
    optimize,
    style_grams,
    trained_objective,
)
from impasto.paper.comparison import StyleJudge
from impasto.training.pictures import read_painting, to_pictures, to_tensor


def test_the_first_iteration_that_comes_as_low(bowl):
    start = noise(4, 5)
    totals = [e.values.total for e in optimize(bowl, start, iterations=12).curve]
    assert equivalent_iterations(bowl, start, totals[0], iterations=12) == 1
    assert equivalent_iterations(bowl, start, totals[6], iterations=12) == 7
    between = (totals[6] + min(totals[:6])) / 2
    assert equivalent_iterations(bowl, start, between, iterations=12) == 7
    assert equivalent_iterations(bowl, start, totals[6], iterations=6) is None
    seen = []
    equivalent_iterations(bowl, start, totals[3], on_iteration=seen.append)
    assert len(seen) == 4


def test_a_network_beside_the_baseline(vgg, pictures):
    photo, painting = pictures
    objective = balanced_objective(vgg, photo, [style_grams(vgg, painting, STYLE_LAYERS)])
    curves = {
        "from_noise": optimize(objective, noise(32, 40, seed=2), iterations=8).curve,
        "from_photo": optimize(objective, photo, iterations=8).curve,
    }
    painted = optimize(objective, photo, iterations=5).image
    found = compare(objective, photo, painted, iterations=8, seed=2)
    assert found.network == pytest.approx(curves["from_photo"][4].values)
    assert found.photo == objective.values(photo)
    assert found.photo.content == 0
    assert found.from_photo == 5
    reached = [
        number
        for number, evaluation in enumerate(curves["from_noise"], start=1)
        if evaluation.values.total <= found.network.total
    ]
    assert found.from_noise == (reached[0] if reached else None)
    # The untouched photo is worth iteration 1 from the photo.
    assert compare(objective, photo, photo, iterations=2).from_photo == 1


@pytest.fixture
def painting(pictures, tmp_path):
    path = tmp_path / "stripes.png"
    Image.fromarray(to_pictures(pictures[1])[0]).save(path)
    return path


WEIGHTS = TrainedWeights("relu2_2", 1e-5, {"relu1_2": 1e-9, "relu2_2": 2e-9}, 1e-7, 40)


def test_a_judge_uses_the_objective_of_training(vgg, pictures, painting):
    photo = Photo(to_pictures(pictures[0])[0])
    judge = StyleJudge(lambda rgb: 255 - rgb, read_painting(painting), WEIGHTS, iterations=3)
    found = judge.compare(photo, "x")
    image = to_tensor(photo.rgb)
    grams = read_painting(painting).grams(vgg, ("relu1_2", "relu2_2"), 40)
    expected = trained_objective(vgg, image, [grams], WEIGHTS)
    assert found.network == pytest.approx(expected.values(to_tensor(255 - photo.rgb)), rel=1e-4)
    assert found.photo == pytest.approx(expected.values(image), rel=1e-4)
    with pytest.raises(ImageError, match=r"^x is 40x32 px, 18x14 px at that size"):
        StyleJudge(lambda rgb: rgb, read_painting(painting), WEIGHTS, size_px=18).compare(
            photo, "x"
        )


def test_a_judge_scores_as_everywhere(vgg, pictures, painting, monkeypatch):
    monkeypatch.setattr("impasto.evaluation.quality.PHOTO_PX", 64)
    monkeypatch.setattr("impasto.evaluation.quality.PAINTING_PX", 48)
    photo = Photo(np.asarray(Image.fromarray(to_pictures(pictures[0])[0]).resize((64, 64))))
    judge = StyleJudge(lambda rgb: 255 - rgb, read_painting(painting), WEIGHTS)
    (expected,) = score_style(
        lambda rgb: 255 - rgb, to_pictures(pictures[1])[0], [photo.rgb], loss_network=vgg
    )
    assert judge.score(photo).to_dict() == pytest.approx(expected.to_dict(), rel=1e-4)


def test_without_the_size_of_the_scores_there_are_none(vgg, pictures, painting, tmp_path):
    grams = read_painting(painting).grams(vgg, STYLE_LAYERS, 40)
    path = tmp_path / "x.targets.safetensors"
    save_style_targets({"stripes": StyleTarget("ab", {40: grams})}, path)
    judge = StyleJudge(lambda rgb: rgb, read_painting(path), WEIGHTS, iterations=1)
    photo = Photo(to_pictures(pictures[0])[0])
    assert judge.score(photo) is None
    assert judge.compare(photo, "x").from_photo == 1
    save_style_targets({"stripes": StyleTarget("ab", {384: grams})}, path)
    with pytest.raises(UsageError, match="at 384 px and not at 40 px"):
        StyleJudge(lambda rgb: rgb, read_painting(path), WEIGHTS)
