import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto.errors import ImageTooLargeError, ImpastoError, UnknownStyleError


def test_public_names():
    assert impasto.__all__ == ["__version__", "list_styles", "load_model", "stylize", "upscale"]
    from impasto._version import __version__

    assert impasto.__version__ == __version__


def test_import_is_light():
    code = "import sys, impasto; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(result.stdout.split()) & {"numpy", "PIL", "onnxruntime", "torch", "typer"}


def test_stylize_returns_the_kind_it_was_given(catalog, photo, rgb):
    image = impasto.stylize(photo)
    assert isinstance(image, Image.Image)
    np.testing.assert_array_equal(np.asarray(image), 255 - rgb)
    np.testing.assert_array_equal(impasto.stylize(rgb, "mirror"), 255 - rgb)
    assert impasto.stylize(photo.read_bytes()).startswith(b"\x89PNG")
    assert isinstance(impasto.stylize(Image.fromarray(rgb)), Image.Image)


def test_stylize_settings(tiny_model):
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert set(impasto.stylize(grey, tiny_model, strength=0.2).ravel()) == {111}
    painted = impasto.stylize(grey, tiny_model, keep_colors=True)
    assert set(painted.ravel()) == {155}
    mask = np.zeros((8, 8), np.uint8)
    mask[:4] = 255
    painted = impasto.stylize(grey, tiny_model, mask=mask)
    assert (set(painted[:4].ravel()), set(painted[4:].ravel())) == ({155}, {100})
    with pytest.raises(ImpastoError, match="strength"):
        impasto.stylize(grey, tiny_model, strength=2)


def test_the_largest_picture_can_be_chosen(tiny_model, photo):
    with pytest.raises(ImageTooLargeError, match="max_pixels raises it"):
        impasto.stylize(photo, tiny_model, max_pixels=100)
    assert impasto.stylize(photo, tiny_model, max_pixels=31 * 40).size == (40, 31)


def test_load_model_and_list_styles(catalog, rgb):
    assert [style.name for style in impasto.list_styles()] == ["negative", "mirror"]
    model = impasto.load_model("mirror")
    assert impasto.load_model("mirror") is model
    np.testing.assert_array_equal(model(rgb), 255 - rgb)
    alone = impasto.load_model("mirror", threads=1, device="cpu")
    assert alone is not model
    assert alone.device == "cpu"
    with pytest.raises(UnknownStyleError):
        impasto.load_model("nothing")


def test_upscale_returns_the_kind_it_was_given(upscalers, photo, rgb):
    image = impasto.upscale(photo)
    assert isinstance(image, Image.Image)
    np.testing.assert_array_equal(np.asarray(image), rgb.repeat(2, axis=0).repeat(2, axis=1))
    assert impasto.upscale(rgb, scale=4).shape == (124, 160, 3)
    assert impasto.upscale(rgb, scale=8, model="sharp").shape == (248, 320, 3)
    assert impasto.upscale(photo.read_bytes()).startswith(b"\x89PNG")
    assert impasto.upscale(rgb, model=upscalers / "photo_x4.onnx").shape == (62, 80, 3)


def test_upscale_settings(upscalers, rgb):
    matched = impasto.upscale(rgb, match_histogram=True)
    np.testing.assert_array_equal(matched, impasto.upscale(rgb))  # pixels are only repeated
    assert impasto.upscale(rgb, max_pixels=80 * 62).shape == (62, 80, 3)
    with pytest.raises(ImageTooLargeError, match="the result would be 80x62"):
        impasto.upscale(rgb, max_pixels=80 * 62 - 1)
    with pytest.raises(ImpastoError, match="scale must be 2, 4 or 8, not 3"):
        impasto.upscale(rgb, scale=3)
    with pytest.raises(ImpastoError, match="no upscaling model 'photo' for scale 8 is there"):
        impasto.upscale(rgb, scale=8, model="photo")
    assert impasto.upscale(rgb, scale=8).shape == (248, 320, 3)
