import dataclasses
import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from impasto.errors import ImageTooLargeError, ModelError, UsageError
from impasto.images.colour import match_histogram
from impasto.images.reading import Photo
from impasto.runtime import upscaler
from impasto.runtime.metadata import Tiling
from impasto.runtime.session import open_model, run_on_picture
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.upscaler import UpscaleModel, default_tile_px, run_in_tiles


def repeated(array, scale):
    return array.repeat(scale, axis=0).repeat(scale, axis=1)


@pytest.fixture
def model(tiny_upscaler):
    return UpscaleModel(tiny_upscaler, threads=1)


@pytest.fixture
def conv(save_upscaler, tmp_path):
    return save_upscaler(tmp_path / "conv.onnx", see_px=2)


def test_enlarges_and_states_what_it_is(model, rgb):
    large = model.upscale(rgb)
    np.testing.assert_array_equal(large, repeated(rgb, 4))
    assert (large.dtype, large.flags.c_contiguous) == (np.uint8, True)
    assert (model.name, model.scale, model.device) == ("nearest.onnx", 4, "cpu")


def test_eight_times(save_upscaler, tmp_path, rgb):
    model = UpscaleModel(save_upscaler(tmp_path / "x8.onnx", scale=8), threads=1)
    np.testing.assert_array_equal(model.upscale(rgb), repeated(rgb, 8))
    np.testing.assert_array_equal(model.upscale(rgb, scale=8), repeated(rgb, 8))


def test_twice_is_four_times_halved_before_rounding(conv, rgb):
    large = run_on_picture(open_model(conv, "upscale", threads=1)[1], rgb)
    expected = 255 * large.reshape(62, 2, 80, 2, 3).astype(float).mean(axis=(1, 3))
    model = UpscaleModel(conv, threads=1)
    for tile_px in (None, 9):
        result = model.upscale(rgb, scale=2, tile_px=tile_px)
        assert result.shape == (62, 80, 3)
        assert np.abs(result - expected).max() < 0.51
    # Halving levels that are already rounded is another thing.
    rounded = np.rint(255 * large).reshape(62, 2, 80, 2, 3).mean(axis=(1, 3))
    assert (np.rint(rounded) != result).any()


def test_a_scale_of_its_own(model, rgb):
    half = model.with_scale(2)
    assert (half.scale, model.scale) == (2, 4)
    assert model.with_scale(4) is model
    np.testing.assert_array_equal(half.upscale(rgb), repeated(rgb, 2))
    np.testing.assert_array_equal(half.upscale(rgb, scale=4), repeated(rgb, 4))


@pytest.mark.parametrize(
    ("network", "scale", "allowed"),
    [(4, 8, "2 or 4"), (4, 3, "2 or 4"), (4, 1, "2 or 4"), (8, 2, "8"), (8, 4, "8"), (8, 0, "8")],
)
def test_scales_that_a_network_cannot_give(save_upscaler, tmp_path, rgb, network, scale, allowed):
    model = UpscaleModel(save_upscaler(tmp_path / "net.onnx", scale=network))
    message = f"^scale and model disagree: net.onnx enlarges by {allowed}, not by {scale}: "
    for attempt in (model.with_scale, lambda scale: model.upscale(rgb, scale=scale)):
        with pytest.raises(UsageError, match=message):
            attempt(scale)


@pytest.mark.parametrize("tile_px", [2, 5, 16, 39, 500])
def test_tiles_change_nothing(conv, rgb, tile_px):
    model = UpscaleModel(conv, threads=1)
    whole = 255 * run_on_picture(model._session, rgb)
    assert np.abs(model.upscale(rgb, tile_px=tile_px) - whole).max() < 0.51


def test_large_pictures_are_run_in_tiles_of_bounded_size(conv, monkeypatch):
    monkeypatch.setattr(upscaler, "_RESULT_PX", 128)
    model = UpscaleModel(conv, threads=1)
    sizes = []
    run = model._session.run
    monkeypatch.setattr(
        model._session, "run", lambda x, **kw: (sizes.append(x.shape[2:]), run(x, **kw))[1]
    )
    assert model.upscale(np.zeros((45, 44, 3), np.uint8)).shape == (180, 176, 3)
    assert sizes == [(45, 44)]
    sizes.clear()
    assert model.upscale(np.zeros((100, 300, 3), np.uint8), scale=2).shape == (200, 600, 3)
    assert len(sizes) == 40
    assert max(max(size) for size in sizes) <= 32 + 2 * 2


def test_memory_is_that_of_the_result_and_a_tile(model):
    rgb = np.zeros((1000, 1000, 3), np.uint8)
    tracemalloc.start()
    model.upscale(rgb, scale=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    tile = 1024 * 1024 * 3 * 4  # floats at four times the size
    assert peak < 2 * 2 * rgb.nbytes + 4 * tile  # of all of it there would be 16 million pixels


def test_a_network_that_needs_the_whole_picture(save_upscaler, tmp_path, rgb, monkeypatch):
    monkeypatch.setattr(upscaler, "_RESULT_PX", 4)
    for stated in (Tiling(False, None), Tiling(True, None), Tiling(False, 2)):
        path = save_upscaler(tmp_path / "whole.onnx", tiling=stated)
        model = UpscaleModel(path, threads=1)
        np.testing.assert_array_equal(model.upscale(rgb), repeated(rgb, 4))
        with pytest.raises(UsageError, match=r"whole\.onnx needs the whole picture at once"):
            model.upscale(rgb, tile_px=10)


def test_tiles_below_one_pixel(model, rgb):
    with pytest.raises(UsageError, match=r"at least 1 px with nearest\.onnx, not 0"):
        model.upscale(rgb, tile_px=0)


def test_tiles_that_would_be_mere_halo_are_refused(conv, rgb):
    model = UpscaleModel(conv, threads=1)
    with pytest.raises(UsageError, match=r"at least 2 px with conv\.onnx, not 1: make it larger"):
        model.upscale(rgb, tile_px=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (9, 4), (12, 12), (13, 40)])
@pytest.mark.parametrize("tile_px", [None, 5])
def test_small_pictures_are_mirrored_up(save_upscaler, tmp_path, monkeypatch, size, tile_px):
    model = UpscaleModel(save_upscaler(tmp_path / "m.onnx", min_size_px=12), threads=1)
    sides = []
    run = model._session.run
    monkeypatch.setattr(
        model._session, "run", lambda x, **kw: (sides.extend(x.shape[2:]), run(x, **kw))[1]
    )
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for scale in (2, 4):
        result = model.upscale(rgb, scale=scale, tile_px=tile_px)
        np.testing.assert_array_equal(result, repeated(rgb, scale))
    assert min(sides) >= 12


def test_results_above_the_limit_are_refused_before_the_work(model, photo, rgb, monkeypatch):
    monkeypatch.setattr(model, "_session", None)
    message = r"the result would be 160x124, above the limit of 19,839 pixels \(--max-pixels or"
    for image in (photo, photo.read_bytes(), Image.fromarray(rgb), rgb):
        with pytest.raises(ImageTooLargeError, match=message):
            model(image, max_pixels=160 * 124 - 1)
    with pytest.raises(ImageTooLargeError, match="would be 80x62, above the limit of 4,000"):
        model(photo, scale=2, max_pixels=4000)
    with pytest.raises(ImageTooLargeError, match="40x31, above the limit of 1,000"):
        model(photo, max_pixels=1000)
    huge = np.broadcast_to(np.zeros(3, np.uint8), (4000, 4000, 3))
    with pytest.raises(ImageTooLargeError, match="16000x16000, above the limit of 200,000,000"):
        model.upscale(huge)


def test_a_result_of_exactly_the_limit(model, rgb):
    assert model(rgb, max_pixels=160 * 124).shape == (124, 160, 3)


def test_histograms_are_matched_to_the_picture(conv, rgb):
    model = UpscaleModel(conv, threads=1)
    plain, matched = model.upscale(rgb), model.upscale(rgb, match_histogram=True)
    assert (plain != matched).any()
    np.testing.assert_array_equal(matched, match_histogram(plain, rgb))
    np.testing.assert_array_equal(model(rgb, match_histogram=True), matched)


def test_each_kind_comes_back(model, photo, rgb):
    large = repeated(rgb, 4)
    from_path = model(photo)
    assert isinstance(from_path, Image.Image)
    np.testing.assert_array_equal(np.asarray(from_path), large)
    np.testing.assert_array_equal(np.asarray(model(str(photo))), large)
    np.testing.assert_array_equal(np.asarray(model(Image.fromarray(rgb))), large)
    np.testing.assert_array_equal(model(rgb, scale=2, tile_px=7), repeated(rgb, 2))
    from_bytes = Image.open(io.BytesIO(model(photo.read_bytes())))
    assert from_bytes.format == "PNG"
    np.testing.assert_array_equal(np.asarray(from_bytes), large)
    grey = rgb[..., 0]
    np.testing.assert_array_equal(model(grey), repeated(np.stack([grey] * 3, axis=-1), 4))
    with pytest.raises(UsageError, match="a picture must be"):
        model(3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode(model, mode):
    image = model(Image.new(mode, (9, 7)))
    assert image.size == (36, 28)
    assert image.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")


def test_alpha_grows_too(model, rgb):
    alpha = np.full((31, 40), 255, np.uint8)
    alpha[:, :20] = 0
    large = model(np.dstack([rgb, alpha]), scale=2)
    assert large.shape == (62, 80, 4)
    expected = Image.fromarray(alpha).resize((80, 62), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(large[..., 3], np.asarray(expected))
    image = model(Image.fromarray(np.dstack([rgb, alpha])))
    assert (image.mode, image.size) == ("RGBA", (160, 124))


def test_what_is_hidden_does_not_colour_the_edges(conv):
    red = np.full((12, 12, 3), (200, 30, 30), np.uint8)
    alpha = np.zeros((12, 12), np.uint8)
    alpha[:, 6:] = 255
    hidden = red.copy()
    hidden[alpha == 0] = 0
    model = UpscaleModel(conv, threads=1)
    shown = model.upscale_photo(Photo(hidden, alpha)).alpha > 0
    large, expected = model.upscale_photo(Photo(hidden, alpha)).rgb, model.upscale(red)
    assert np.abs(large[shown].astype(int) - expected[shown]).max() <= 2
    assert np.abs(model.upscale(hidden)[shown].astype(int) - expected[shown]).max() > 20


def test_a_photo_keeps_what_belongs_to_it(model, rgb):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    photo = Photo(rgb, None, exif.tobytes(), "JPEG", b"profile", 3)
    large = model.upscale_photo(photo, scale=2)
    assert (large.format, large.icc_profile, large.frames) == ("JPEG", b"profile", 3)
    assert large.exif == photo.exif
    np.testing.assert_array_equal(photo.rgb, rgb)


def test_threads_share_one_model(model):
    pictures = [np.full((20 + n, 30, 3), n, np.uint8) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for picture, large in zip(pictures, pool.map(model.upscale, pictures), strict=True):
            np.testing.assert_array_equal(large, repeated(picture, 4))


def test_values_outside_the_range_are_clipped_before_halving(tmp_path, save_upscaler):
    import onnx

    path = save_upscaler(tmp_path / "loud.onnx")
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "quiet"
    model.graph.node.append(helper.make_node("Mul", ["quiet", "two"], ["output"]))
    model.graph.initializer.append(helper.make_tensor("two", 1, [], [2.0]))
    onnx.save(model, path)
    loud = UpscaleModel(path, threads=1)
    assert set(loud.upscale(np.full((4, 4, 3), 200, np.uint8), scale=2).ravel()) == {255}


def test_other_kinds_of_models(tiny_model, tiny_upscaler, save_upscaler, tmp_path):
    with pytest.raises(ModelError, match=r"is of kind style, not upscale: `impasto stylize` runs"):
        UpscaleModel(tiny_model)
    with pytest.raises(ModelError, match=r"the model is of kind upscale, not style$"):
        StyleModel(tiny_upscaler)
    with pytest.raises(ModelError, match=r"enlarges by 3, and only models that enlarge by 4 or 8"):
        UpscaleModel(save_upscaler(tmp_path / "x3.onnx", scale=3))


def test_graphs_that_do_not_do_what_is_stated(save_upscaler, save_gallery, metadata, tmp_path, rgb):
    import onnx

    path = save_upscaler(tmp_path / "x8.onnx", scale=8)
    model = onnx.load(path)
    entry = model.metadata_props[0]
    entry.value = entry.value.replace('"scale": 8', '"scale": 4')
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"returned float32 \(1, 3, 248, 320\) for \(1, 3, 31, 4"):
        UpscaleModel(path).upscale(rgb)
    path = save_gallery(tmp_path / "styles.onnx", {"a": 1, "b": 2})
    model = onnx.load(path)
    stated = dataclasses.replace(metadata, kind="upscale", scale=4)
    helper.set_model_props(model, {"impasto": stated.to_json()})
    onnx.save(model, path)
    with pytest.raises(ModelError, match="the graph mixes styles"):
        UpscaleModel(path)


def test_memory_that_runs_out_is_told_as_such(model, rgb, monkeypatch):
    class Full:
        def run(self, names, feed):
            raise RuntimeError("Failed to allocate memory for requested buffer")

    monkeypatch.setattr(model._session, "_session", Full())
    with pytest.raises(ImageTooLargeError, match=r"to upscale 40x31 pixels at once.*\(--tile\)"):
        model.upscale(rgb)


SIZES = [(31, 40), (1, 1), (1, 57), (2, 3), (33, 20), (97, 5)]


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def network(save_upscaler, tmp_path):
    """Two convolutions, zeros around the picture, and what comes out of them unclipped."""
    path = save_upscaler(tmp_path / "conv.onnx", see_px=2)
    session = open_model(path, "upscale", threads=1, device="cpu").session

    def run(rgb):
        batch = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32) / 255
        return session.run(batch)[0].transpose(1, 2, 0)

    return run


def joined(rgb, network, **settings):
    """The picture put together from its tiles, none of which may lie over another."""
    whole = np.full((4 * len(rgb), 4 * rgb.shape[1], 3), np.nan, np.float32)
    for rows, columns, part in run_in_tiles(rgb, network, scale=4, **settings):
        place = whole[4 * rows.start : 4 * rows.stop, 4 * columns.start : 4 * columns.stop]
        assert np.isnan(place).all()
        place[:] = part
    return whole


@pytest.mark.parametrize("tile_px", [1, 7, 16, 32, 1000])
@pytest.mark.parametrize("size", SIZES)
def test_tiles_together_are_the_whole(network, size, tile_px):
    rgb = picture(*size)
    expected = network(rgb)
    assert np.ptp(expected) > 0.5 or size == (1, 1)
    result = joined(rgb, network, tile_px=tile_px, halo_px=2)
    np.testing.assert_allclose(result, expected, atol=1e-5, rtol=0)


def test_a_halo_that_is_too_narrow_shows(network):
    rgb = picture(40, 40)
    result = joined(rgb, network, tile_px=16, halo_px=1)
    wrong = (np.abs(result - network(rgb)) > 1e-3).any(axis=-1)
    assert wrong.any()
    # Only the pixels beside the seams, which lie at 14 and 28.
    right = np.delete(np.arange(160).reshape(40, 4), [13, 14, 27, 28], axis=0).ravel()
    assert not wrong[np.ix_(right, right)].any()


def test_a_network_sees_a_tile_and_its_halo_and_no_more():
    sizes = []

    def network(rgb):
        sizes.append(rgb.shape[:2])
        return rgb.repeat(4, axis=0).repeat(4, axis=1).astype(np.float32)

    rgb = picture(100, 30)
    np.testing.assert_array_equal(
        joined(rgb, network, tile_px=40, halo_px=3)[::4, ::4], rgb.astype(np.float32)
    )
    # Three equal parts rather than 40, 40 and 20; clipped at the picture's own borders.
    assert sizes == [(37, 30), (40, 30), (35, 30)]


def test_no_tile_is_smaller_than_the_network_takes():
    def network(rgb):
        assert min(rgb.shape[:2]) >= 9
        return rgb.repeat(4, axis=0).repeat(4, axis=1).astype(np.float32)

    for size in [(9, 9), (10, 31)]:
        rgb = picture(*size)
        for tile_px in (1, 2, 5):
            result = joined(rgb, network, tile_px=tile_px, halo_px=1, min_size_px=9)
            np.testing.assert_array_equal(result[::4, ::4], rgb.astype(np.float32))


def test_default_tiles():
    assert default_tile_px(300, 400, scale=4, halo_px=15) == 400
    assert default_tile_px(3000, 4000, scale=4, halo_px=15) == 256
    assert default_tile_px(3000, 4000, scale=8, halo_px=16) == 128
    # A wide halo makes tiles wider, so that most of the work is not done twice.
    assert default_tile_px(3000, 4000, scale=8, halo_px=40) == 320
    assert default_tile_px(1, 4000, scale=4, halo_px=15) == 4000
