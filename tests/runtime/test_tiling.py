import re

import numpy as np
import pytest
from tiny_models import exported

from impasto.errors import UsageError
from impasto.images.rows import Scratch
from impasto.networks import NetworkSpec
from impasto.runtime.budget import Budget
from impasto.runtime.metadata import Tiling
from impasto.runtime.network import open_model
from impasto.runtime.pieces import pixel_bytes
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.tiling import default_tile_px, run_in_tiles, tile_in_budget

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


TILE = {"pixel_bytes": 100, "halo_px": 10, "align_px": 4}  # so that the halo becomes 12


def test_tiles_fit_the_memory_with_their_halos():
    # The picture and its result hold 18 MB of 100 MB; 905^2 * 100 < 82e6, and 905 - 2 * 12 = 881.
    rgb = np.zeros((1000, 1000, 3), np.uint8)
    assert tile_in_budget(rgb, Budget(100_000_000), **TILE) == 880
    # In a file nothing is held, but rows are read: 985^2 * 100 + 985 * 3000 < 100e6.
    with Scratch() as scratch:
        filed = scratch.room((1000, 1000, 3))
        assert tile_in_budget(filed, Budget(100_000_000), **TILE) == 960
    # What is held leaves a quarter at least: 223^2 * 100 < 5e6, and 223 - 24 = 199.
    assert tile_in_budget(rgb, Budget(20_000_000), **TILE) == 196


def test_the_least_memory_for_tiles_is_named():
    rgb = np.zeros((1000, 1000, 3), np.uint8)
    least = 4 * 36**2 * 100  # a quarter is left, for a tile of 12 and its halos
    assert tile_in_budget(rgb, Budget(least), **TILE) == 12
    with pytest.raises(UsageError, match="a picture of 1000x1000 needs at least 1 MiB"):
        tile_in_budget(rgb, Budget(least - 1), **TILE)
    # Of 20x30 px, all is a single tile.
    assert tile_in_budget(rgb[:20, :30], Budget(20 * 30 * 118), **TILE) == 12
    with pytest.raises(UsageError, match="needs at least 1 MiB"):
        tile_in_budget(rgb[:20, :30], Budget(20 * 30 * 118 - 1), **TILE)


def test_a_network_that_is_run_in_tiles_names_the_memory_with_which_it_paints(tmp_path):
    spec = NetworkSpec(width=4, residual_blocks=1, norm="batch")
    tiles = Tiling(True, spec.receptive_radius_px, 4)
    path = exported(spec, tmp_path / "batch.onnx", network=spec.to_dict(), tiling=tiles)
    model = StyleModel(path, threads=1)
    sizes = []
    run = model._session.run
    model._session.run = lambda x, weights: (sizes.append(x.shape[2:]), run(x, weights))[1]
    for shape in ((400, 500), (60, 3000)):
        rgb = picture(*shape)
        expected = model.paint(rgb, memory=1 << 40)
        with pytest.raises(UsageError, match=r"needs at least \d+ MiB") as told:
            model.paint(rgb, memory=100_000)
        least = int(re.search(r"(\d+) MiB", str(told.value))[1]) << 20
        sizes.clear()
        painted = model.paint(rgb, memory=least)
        assert np.abs(painted.astype(int) - expected).max() <= 1
        assert len(sizes) > 1
        assert max(h * w for h, w in sizes) * pixel_bytes(spec.to_dict()) <= least
        with pytest.raises(UsageError, match="needs at least"):
            model.paint(rgb, memory=least - (1 << 20))


def test_bytes_per_pixel_are_above_what_was_measured():
    gallery = {"architecture": "fast", "width": 48, "half_width": 24, "ending": "half"}
    measured = [
        (NetworkSpec(width=4).to_dict(), 184),
        (NetworkSpec(width=32).to_dict(), 786),
        (NetworkSpec(width=64).to_dict(), 1133),
        (gallery, 104),
    ]
    for spec, found in measured:
        assert 1.1 * found < pixel_bytes(spec) < 3 * found
    assert pixel_bytes(gallery | {"ending": "full"}) == 128 + 24 * 24
    for unknown in ({}, {"width": "wide"}, {"width": -1}, {"width": 10**9}):
        assert pixel_bytes(unknown) == 128 + 24 * 64
