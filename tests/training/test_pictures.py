import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.data import open_photos
from impasto.errors import DataError, ImageReadError
from impasto.training.pictures import (
    GAP_PX,
    HISTORY_ROWS,
    History,
    compose_preview,
    read_painting,
    read_validation_photos,
    to_pictures,
    to_tensor,
)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)


def saved(path, rgb):
    Image.fromarray(rgb).save(path)
    return path


def test_a_good_painting_is_scaled_without_a_warning(tmp_path, noise):
    path = saved(tmp_path / "wave.png", noise)
    painting = read_painting(path).at(200)
    assert painting.rgb.shape == (150, 200, 3)
    assert painting.warnings == ()
    assert painting.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_painting_is_never_enlarged(tmp_path, noise):
    painting = read_painting(saved(tmp_path / "wave.png", noise)).at(1000)
    assert np.array_equal(painting.rgb, noise)


def test_a_small_painting_is_warned_of(tmp_path, noise):
    painting = read_painting(saved(tmp_path / "wave.png", noise[:255]))
    (warning,) = painting.warnings
    assert "wave.png is 400x255 px" in warning
    assert read_painting(saved(tmp_path / "wave.png", noise[:256])).warnings == ()


def test_a_flat_painting_is_warned_of(tmp_path, noise):
    flat = (128 + noise // 32).astype(np.uint8)
    (warning,) = read_painting(saved(tmp_path / "grey.png", flat)).warnings
    assert "grey.png is nearly one colour" in warning


def test_a_transparent_painting_is_warned_of(tmp_path, noise):
    alpha = np.full((300, 400, 1), 255, np.uint8)
    opaque = saved(tmp_path / "opaque.png", np.concatenate([noise, alpha], axis=2))
    assert read_painting(opaque).warnings == ()
    alpha[5, 5] = 0
    holes = saved(tmp_path / "holes.png", np.concatenate([noise, alpha], axis=2))
    (warning,) = read_painting(holes).warnings
    assert "holes.png is partly transparent" in warning


def test_a_missing_painting_is_an_image_error(tmp_path):
    with pytest.raises(ImageReadError, match="no such file"):
        read_painting(tmp_path / "nowhere.jpg")


def test_validation_photos_are_spread_and_square(tmp_path):
    for i in range(10):
        rgb = np.full((300, 500, 3), 20 * i, np.uint8)
        rgb[:, :100] = rgb[:, -100:] = 255  # beside the square in the middle
        saved(tmp_path / f"{i}.png", rgb)
    photos = read_validation_photos(open_photos(tmp_path))
    assert photos.shape == (4, 3, 256, 256)
    levels = [round(photo.mean().item() * 255 / 20) for photo in photos]
    assert levels == [0, 3, 6, 9]
    assert photos[:-1].max() < 0.5


def test_unusable_validation_photos_are_left_out(tmp_path, noise):
    saved(tmp_path / "a.png", noise)
    (tmp_path / "b.png").write_text("not a picture")
    assert len(read_validation_photos(open_photos(tmp_path))) == 1
    (tmp_path / "a.png").write_text("not a picture either")
    with pytest.raises(DataError, match="none of the validation photos"):
        read_validation_photos(open_photos(tmp_path))


def test_a_validation_photo_that_vanishes_is_left_out(tmp_path, noise):
    saved(tmp_path / "a.png", noise)
    saved(tmp_path / "b.png", noise)
    source = open_photos(tmp_path)
    (tmp_path / "b.png").unlink()
    assert len(read_validation_photos(source)) == 1


def test_pictures_and_tensors(noise):
    tensor = to_tensor(noise)
    assert tensor.shape == (1, 3, 300, 400)
    assert tensor[0, 1, 2, 3].item() == pytest.approx(noise[2, 3, 1] / 255)
    assert np.array_equal(to_pictures(tensor)[0], noise)
    outside = torch.tensor([-0.5, 0.5, 1.5]).view(1, 3, 1, 1)
    assert to_pictures(outside).tolist() == [[[[0, 128, 255]]]]


def test_the_preview_shows_painting_photos_and_results():
    painting = np.full((50, 100, 3), 10, np.uint8)
    photos = np.stack([np.full((32, 32, 3), 100 + i, np.uint8) for i in range(3)])
    results = photos + 50
    preview = compose_preview(painting, photos, results)
    height = 2 * 32 + GAP_PX
    left = 2 * height  # the painting keeps its proportions
    assert preview.shape == (height, left + 3 * (32 + GAP_PX), 3)
    assert np.all(preview[:, :left] == 10)
    for i in range(3):
        x = left + GAP_PX + i * (32 + GAP_PX)
        assert np.all(preview[:32, x : x + 32] == 100 + i)
        assert np.all(preview[32 + GAP_PX :, x : x + 32] == 150 + i)
    assert np.all(preview[32 : 32 + GAP_PX, left:] == 255)


def results(level):
    return np.full((2, 256, 256, 3), level, np.uint8)


def test_the_history_grows_by_a_row_of_halved_results(tmp_path):
    history = History(tmp_path / "history.png", resume=False)
    first = results(0)
    first[:, ::2, ::2] = 200  # one pixel of four: a mean of 50
    picture = history.add(first)
    assert picture.shape == (128, 256, 3)
    assert np.all(picture == 50)
    picture = history.add(results(7))
    assert picture.shape == (256, 256, 3)
    assert np.all(picture[:128] == 50)
    assert np.all(picture[128:] == 7)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "history.png")), picture)


def test_the_history_goes_on_after_a_resume(tmp_path):
    path = tmp_path / "history.png"
    History(path, resume=False).add(results(1))
    again = History(path, resume=True)
    assert again.add(results(2)).shape == (256, 256, 3)
    new = History(path, resume=False)
    assert new.add(results(3)).shape == (128, 256, 3)


def test_the_history_drops_every_second_row_when_it_is_long(tmp_path):
    history = History(tmp_path / "history.png", resume=False)
    for i in range(HISTORY_ROWS):
        picture = history.add(results(i))
    assert picture.shape[0] == 128 * HISTORY_ROWS
    picture = history.add(results(99))
    levels = picture[::128, 0, 0].tolist()
    assert levels == [*range(0, HISTORY_ROWS, 2), 99]


def test_other_validation_photos_begin_the_history_anew(tmp_path):
    history = History(tmp_path / "history.png", resume=False)
    history.add(results(1))
    assert history.add(results(2)[:1]).shape == (128, 128, 3)
