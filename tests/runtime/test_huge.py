"""Pictures in mapped files are painted and enlarged as those in memory."""

import numpy as np
import pytest
from PIL import Image
from tiny_models import SPECS, exported, older_gallery

from impasto.errors import UsageError
from impasto.images import mapping, regions, resize
from impasto.images.mapping import is_mapped, mapped
from impasto.images.reading import Photo
from impasto.runtime.metadata import StyleEntry
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.upscaler import UpscaleModel


@pytest.fixture(scope="module", params=["draft_refine", "gallery"])
def path(request, tmp_path_factory):
    """Two styles; one network paints step by step, the other one whole."""
    path = tmp_path_factory.mktemp("model") / "two.onnx"
    styles = (StyleEntry("one", "One"), StyleEntry("two", "Two"))
    if request.param == "gallery":
        return older_gallery(path, styles=styles)
    return exported(SPECS["draft_refine"], path, styles=styles)


@pytest.fixture(scope="module")
def photo():
    """A picture that is dark above and bright below, with edges and noise."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 600)[:, None, None] + np.zeros((1, 183, 3))
    ramp[100:500, 60:90] = (230, 20, 120)
    return (ramp + rng.integers(0, 25, ramp.shape)).astype(np.uint8)


@pytest.fixture
def in_file(tmp_path, monkeypatch):
    """Puts an array into a mapped file; from then on a small picture has several bands."""

    def put(array):
        monkeypatch.setattr(mapping, "_BAND_ROWS", 37)
        monkeypatch.setattr(resize, "_BAND_PIXELS", 183 * 150)
        picture = mapped(array.shape, tmp_path)
        picture[:] = array
        return picture

    return put


def assert_alike(found, expected):
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 3  # resized by bands, a photo may differ by a level
    assert difference.mean() < 0.2


MASK = np.asarray(Image.radial_gradient("L").resize((183, 600)))
SETTINGS = [
    {},
    {"strength": 0.6},
    {"keep_colors": True, "mask": MASK},
    {"strength": 1.4, "keep_colors": True},
    {"mask": MASK[::2, ::2], "stroke_size": 1.7},
    {"stroke_size": 2.5, "strength": 0.2},
    {"stroke_size": 0.6},
    {"strength": 0.0},
]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: "-".join(map(str, s)) or "default")
def test_every_dial_gives_the_picture_of_the_usual_path(path, photo, setting, in_file):
    model = StyleModel(path, threads=1).with_blend({"one": 0.3, "two": 0.7})
    expected = model.paint(photo, **setting)
    shares = []
    found = model.paint(in_file(photo), progress=shares.append, **setting)
    assert is_mapped(found)
    assert_alike(found, expected)
    assert shares == sorted(shares)
    if setting.get("strength") != 0.0:
        assert shares[-1] == 1.0


def test_a_masks_shape_is_checked(path, photo, in_file):
    model = StyleModel(path, threads=1)
    with pytest.raises(UsageError, match="the mask is 10x10 and the photo 183x600"):
        model.paint(in_file(photo), mask=np.zeros((10, 10), np.uint8))


def test_a_narrow_picture_is_mirrored_as_in_memory(path, in_file):
    narrow = np.random.default_rng(0).integers(0, 256, (3, 500, 3), np.uint8)
    model = StyleModel(path, threads=1)
    expected = model.paint(narrow)
    assert_alike(model.paint(in_file(narrow)), expected)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_enlarged_with_all_that_belongs_to_it(
    save_upscaler, tmp_path, photo, scale, with_alpha, in_file
):
    model = UpscaleModel(save_upscaler(tmp_path / "conv.onnx", see_px=2), threads=1)
    rgb = photo[:201:2]
    alpha = None
    if with_alpha:
        alpha = np.clip(np.arange(183)[None] * 3 - 150 + np.zeros((101, 1)), 0, 255).astype(
            np.uint8
        )
    exif = Image.Exif()
    exif[0x8769] = {0xA002: 183, 0xA003: 101}
    usual = Photo(rgb, alpha, exif.tobytes(), "TIFF", b"profile")
    setting = {"scale": scale, "tile_px": 40, "match_histogram": with_alpha}
    expected = model.upscale_photo(usual, **setting)
    rooms = [None if part is None else in_file(part) for part in (rgb, alpha)]
    found = model.upscale_photo(Photo(*rooms, exif.tobytes(), "TIFF", b"profile"), **setting)
    assert is_mapped(found.rgb)
    assert_alike(found.rgb, expected.rgb)
    assert (found.alpha is None) == (expected.alpha is None)
    if with_alpha:
        assert is_mapped(found.alpha)
        assert_alike(found.alpha, expected.alpha)
    assert (found.exif, found.icc_profile) == (expected.exif, expected.icc_profile)


@pytest.mark.parametrize("path", ["draft_refine"], indirect=True)
def test_a_path_gives_the_same_pillow_image(path, photo, tmp_path, monkeypatch):
    picture = tmp_path / "photo.tif"
    Image.fromarray(photo).save(picture)
    model = StyleModel(path, threads=1)
    read = []
    decode = regions._decode
    monkeypatch.setattr(regions, "_decode", lambda *a: read.append(1) or decode(*a))
    small, large = (model(picture, memory=memory) for memory in (1 << 20, 1 << 30))
    assert read == [1]
    assert_alike(np.asarray(small), np.asarray(large).astype(int))


def test_a_narrow_picture_is_enlarged(save_upscaler, tmp_path, in_file):
    model = UpscaleModel(save_upscaler(tmp_path / "conv.onnx", see_px=2, min_size_px=8), threads=1)
    narrow = np.random.default_rng(0).integers(0, 256, (3, 50, 3), np.uint8)
    found = model.upscale(in_file(narrow), scale=4)
    np.testing.assert_array_equal(found, model.upscale(narrow, scale=4))
    assert found.shape == (12, 200, 3)
