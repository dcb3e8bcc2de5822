import numpy as np
import pytest

from impasto.runtime.network import open_model
from impasto.runtime.tiling import default_tile_px, run_in_tiles

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
