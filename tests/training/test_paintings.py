import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import DataError, ImageError, ImageReadError, UsageError
from impasto.images.reading import Photo
from impasto.losses import STYLE_LAYERS, LossNetwork, StyleTarget, save_style_targets
from impasto.losses.style_targets import style_grams
from impasto.training.pictures import read_painting, shrink_checked, to_pictures, to_tensor


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "wave.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def targets(vgg, painting, tmp_path):
    """A file of the styles wave, at 64 and 32 px, and night, at 64 px."""
    wave = read_painting(painting)
    grams = {size: wave.grams(vgg, STYLE_LAYERS, size) for size in (64, 32)}
    path = tmp_path / "two.targets.safetensors"
    save_style_targets(
        {"wave": StyleTarget("ab", grams), "night": StyleTarget("cd", {64: grams[64]})}, path
    )
    return path


def test_a_painting_s_gram_matrices(vgg, painting):
    read = read_painting(painting, "any")
    assert read.sha256 == hashlib.sha256(painting.read_bytes()).hexdigest()
    rgb = np.asarray(Image.open(painting))
    expected = style_grams(vgg, to_tensor(rgb), ("relu1_2",))
    # It is never enlarged.
    for size in (64, 900):
        found = read.grams(vgg, ("relu1_2",), size)
        assert list(found) == ["relu1_2"]
        assert torch.equal(found["relu1_2"], expected["relu1_2"])
    assert not torch.equal(read.grams(vgg, ("relu1_2",), 40)["relu1_2"], expected["relu1_2"])


def test_style_targets_stand_for_a_painting(vgg, painting, targets):
    expected = read_painting(painting).grams(vgg, STYLE_LAYERS, 32)
    for read in (read_painting(targets / "wave"), read_painting(targets, "wave")):
        assert read.sha256 == "ab"
        found = read.grams(vgg, STYLE_LAYERS, 32)
        for layer in STYLE_LAYERS:
            assert torch.allclose(found[layer], expected[layer], rtol=1e-3, atol=1e-3)
    with pytest.raises(
        UsageError, match="holds the style at 64 px and not at 32 px: choose another size"
    ):
        read_painting(targets, "night").grams(vgg, STYLE_LAYERS, 32)
    with pytest.raises(UsageError, match=r"holds the style at relu1_2, .* and not at relu2_1"):
        read_painting(targets, "wave").grams(vgg, ("relu2_1",), 32)


def test_a_file_of_one_style_needs_no_name(targets, tmp_path):
    alone = tmp_path / "one.targets.safetensors"
    save_style_targets({"wave": read_painting(targets, "wave").targets}, alone)
    assert read_painting(alone).sha256 == read_painting(alone, "another").sha256 == "ab"
    with pytest.raises(DataError, match="holds no style 'another', only wave"):
        read_painting(alone / "another")
    with pytest.raises(DataError, match=r"holds the styles wave, night: name one, as in .*wave"):
        read_painting(targets)
    with pytest.raises(DataError, match="holds no style 'day', only wave, night"):
        read_painting(targets / "day")


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ImageReadError, match=r"no such file: .*none\.jpg"):
        read_painting(tmp_path / "none.jpg")
    with pytest.raises(DataError, match="style targets not found"):
        read_painting(tmp_path / "none.safetensors")


def test_pictures_that_are_too_small_are_told():
    photo = Photo(np.zeros((20, 80, 3), np.uint8))
    assert shrink_checked(photo, 80, "x") is photo
    with pytest.raises(
        ImageError,
        match=r"^x\.png is 80x20 px, 40x10 px at that size; both sides must be at least 16 px$",
    ):
        shrink_checked(photo, 40, "x.png")
    tiny = Photo(np.zeros((9, 80, 3), np.uint8))
    with pytest.raises(ImageError, match=r"^the photo is 80x9 px; both sides must be at least"):
        shrink_checked(tiny, 80, "the photo")


def test_pixels_survive_both_ways(painting):
    rgb = np.asarray(Image.open(painting))
    image = to_tensor(rgb)
    assert image.shape == (1, 3, 48, 64)
    assert image.is_contiguous()
    assert image[0, 1, 2, 3].item() == pytest.approx(rgb[2, 3, 1] / 255)
    assert (to_pictures(image)[0] == rgb).all()
    levels = torch.tensor([-1.0, 0.4 / 255, 1.5]).view(1, 3, 1, 1)
    assert to_pictures(levels)[0].tolist() == [[[0, 0, 255]]]
