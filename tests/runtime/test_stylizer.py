import dataclasses
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from impasto.errors import ImageTooLargeError, ModelError, UsageError
from impasto.runtime.stylizer import StyleModel


@pytest.fixture
def model(tiny_model):
    return StyleModel(tiny_model, threads=1)


def test_paints_and_states_what_it_is(model, rgb):
    painted = model.paint(rgb)
    np.testing.assert_array_equal(painted, 255 - rgb)
    assert painted.dtype == np.uint8
    assert (model.name, model.device) == ("negative", "cpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 5), (17, 33), (64, 3)])
def test_any_size_comes_back(model, size, monkeypatch):
    shapes = []
    run = model._session.run
    monkeypatch.setattr(
        model._session, "run", lambda x, **kw: (shapes.append(x.shape), run(x, **kw))[1]
    )
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    np.testing.assert_array_equal(model.paint(rgb), 255 - rgb)
    assert shapes == [(1, 3, max(size[0], 5), max(size[1], 5))]


def test_strength_by_hand(model):
    rgb = np.full((6, 6, 3), 100, np.uint8)
    for strength, level in [(0, 100), (0.2, 111), (0.5, 128), (1, 155), (1.4, 177)]:
        assert set(model.paint(rgb, strength=strength).ravel()) == {level}


def test_keep_colors_by_hand(model):
    rgb = np.full((6, 6, 3), (150, 100, 50), np.uint8)
    # Luma 0.299*150 + 0.587*100 + 0.114*50 = 109.25; of the negative 145.75: 36.5 more.
    painted = model.paint(rgb, keep_colors=True)
    np.testing.assert_allclose(painted[3, 3].astype(int), (186, 136, 86), atol=1)
    half = model.paint(rgb, keep_colors=True, strength=0.5)
    np.testing.assert_allclose(half[3, 3].astype(int), (168, 118, 68), atol=1)


def test_mask_by_hand(model):
    rgb = np.full((4, 6, 3), 100, np.uint8)
    mask = np.zeros((4, 6), np.uint8)
    mask[:, 2:4], mask[:, 4:] = 51, 255
    expected = np.full((4, 6), 100)
    expected[:, 2:4], expected[:, 4:] = 111, 155
    np.testing.assert_array_equal(model.paint(rgb, mask=mask)[..., 1], expected)
    np.testing.assert_array_equal(model.paint(rgb, mask=mask, strength=0), rgb)
    half = model.paint(rgb, mask=mask[:, 4:].repeat(3, axis=1), strength=0.2)
    assert set(half.ravel()) == {111}
    with pytest.raises(UsageError, match="the mask is 2x4 and the photo 6x4"):
        model.paint(rgb, mask=mask[:, 4:], strength=0)


def test_a_mask_of_any_kind(model, photo, rgb, tmp_path):
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[:, 20:] = 255
    path = tmp_path / "mask.png"
    Image.fromarray(mask).save(path)
    expected = np.where(mask[..., None] == 255, 255 - rgb, rgb)
    for kind in (path, str(path), path.read_bytes(), Image.open(path), mask, mask > 0):
        np.testing.assert_array_equal(model(rgb, mask=kind), expected)
    np.testing.assert_array_equal(np.asarray(model(photo, mask=path)), expected)
    with pytest.raises(UsageError, match="a mask must be"):
        model(rgb, mask=3)


def test_pictures_above_the_limit_are_refused(model, photo, rgb):
    for image in (photo, photo.read_bytes(), Image.fromarray(rgb)):
        with pytest.raises(ImageTooLargeError, match="above the limit of 1,000 pixels"):
            model(image, max_pixels=1000)
    with pytest.raises(ImageTooLargeError, match="the mask"):
        model(rgb, mask=photo.read_bytes(), max_pixels=1000)


def test_threads_share_one_model(model):
    pictures = [np.full((20 + n, 30, 3), n, np.uint8) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for picture, painted in zip(pictures, pool.map(model.paint, pictures), strict=True):
            np.testing.assert_array_equal(painted, 255 - picture)


def test_each_kind_comes_back(model, photo, rgb):
    inverted = 255 - rgb
    from_path = model(photo)
    assert isinstance(from_path, Image.Image)
    np.testing.assert_array_equal(np.asarray(from_path), inverted)
    np.testing.assert_array_equal(np.asarray(model(str(photo))), inverted)
    np.testing.assert_array_equal(np.asarray(model(Image.fromarray(rgb))), inverted)
    np.testing.assert_array_equal(model(rgb), inverted)
    from_bytes = Image.open(io.BytesIO(model(photo.read_bytes())))
    assert from_bytes.format == "PNG"
    np.testing.assert_array_equal(np.asarray(from_bytes), inverted)
    jpeg = io.BytesIO()
    Image.fromarray(rgb).save(jpeg, "JPEG")
    assert Image.open(io.BytesIO(model(jpeg.getvalue()))).format == "JPEG"


def test_alpha_and_grey(model, rgb):
    alpha = np.arange(31 * 40, dtype=np.uint8).reshape(31, 40, 1)
    rgba = np.concatenate([rgb, alpha], axis=-1)
    painted = model(rgba)
    np.testing.assert_array_equal(painted, np.concatenate([255 - rgb, alpha], axis=-1))
    image = model(Image.fromarray(rgba))
    assert image.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(image), painted)
    grey = rgb[..., 0]
    np.testing.assert_array_equal(model(grey), np.stack([255 - grey] * 3, axis=-1))


@pytest.mark.parametrize(
    "image",
    [
        3,
        None,
        [[1]],
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_kinds_are_refused(model, image):
    with pytest.raises(UsageError):
        model(image)


def broken(save_model, path, *nodes):
    return StyleModel(save_model(path, nodes=list(nodes)))


def test_models_that_misbehave(save_model, tmp_path, rgb):
    path = tmp_path / "broken.onnx"
    node = helper.make_node
    with pytest.raises(ModelError, match="returned"):
        broken(save_model, path, node("Concat", ["image", "image"], ["output"], axis=2)).paint(rgb)
    nodes = [node("Sub", ["image", "image"], ["zero"]), node("Div", ["zero", "zero"], ["output"])]
    with pytest.raises(ModelError, match="no numbers"):
        broken(save_model, path, *nodes).paint(rgb)
    nodes = [node("Reshape", ["image", "two"], ["output"])]
    nodes.insert(0, node("Constant", [], ["two"], value_ints=[2, 7]))
    with pytest.raises(ModelError, match="fails on a picture of 40x31"):
        broken(save_model, path, *nodes).paint(rgb)
    with pytest.raises(ModelError, match=r"broken\.onnx: ONNX Runtime refuses"):
        broken(save_model, path, node("NoSuchOperator", ["image"], ["output"]))


def test_graph_with_other_names_and_other_kinds(save_model, metadata, tmp_path):
    import onnx

    path = save_model(tmp_path / "other.onnx")
    model = onnx.load(path)
    model.graph.input[0].name = model.graph.node[0].input[1] = "photo"
    onnx.save(model, path)
    with pytest.raises(ModelError, match="not image to output"):
        StyleModel(path)
    upscaler = dataclasses.replace(metadata, kind="upscale", scale=4)
    with pytest.raises(ModelError, match="kind upscale"):
        StyleModel(save_model(path, meta=upscaler))


def test_names_that_are_no_text_are_refused_quietly(tiny_model, capfd):
    data = tiny_model.read_bytes()
    tiny_model.write_bytes(data.replace(b"tiny", b"\xa4\xa4\xa4\xa4").replace(b"Sub", b"\xa4ub"))
    with pytest.raises(ModelError, match="ONNX Runtime refuses"):
        StyleModel(tiny_model)
    assert capfd.readouterr() == ("", "")
