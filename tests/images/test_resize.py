import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, rgb_profile
from PIL import Image

from impasto.errors import UsageError
from impasto.images.reading import Photo
from impasto.images.resize import mirror_up, resample, resized_rows, restore_rows, shrink


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [((31, 40), 20, (16, 20)), ((40, 31), 20, (20, 16)), ((1000, 1), 10, (10, 1))],
)
def test_longer_side_gets_the_limit(size, limit, expected):
    assert shrink(Photo(np.zeros((*size, 3), np.uint8)), limit).rgb.shape == (*expected, 3)


def test_small_enough_photos_are_left_alone(rgb):
    photo = Photo(rgb)
    assert shrink(photo, 40) is photo
    assert shrink(photo, 5000) is photo


def test_fine_stripes_become_their_mean():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    np.testing.assert_allclose(shrink(Photo(stripes), 16).rgb[2:-2, 2:-2].astype(int), 100, atol=2)


def test_unseen_colours_do_not_bleed():
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[:, :16] = (200, 0, 0)
    rgb[:, 16:] = (0, 255, 0)
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, :16] = 255
    small = shrink(Photo(rgb, alpha), 8)
    assert small.alpha.shape == (8, 8)
    assert small.rgb[small.alpha > 20][:, 1].max() < 3
    assert (small.alpha[:, 0].min(), small.alpha[:, -1].max()) == (255, 0)


def test_everything_else_stays_and_exif_states_the_new_size(rgb):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8769] = {0xA002: 40, 0xA003: 31, 0x829A: 0.5}
    photo = Photo(rgb, None, exif.tobytes(), "JPEG", rgb_profile(DISPLAY_P3), 3)
    small = shrink(photo, 20)
    assert (small.format, small.icc_profile, small.frames) == ("JPEG", photo.icc_profile, 3)
    kept = Image.Exif()
    kept.load(small.exif)
    details = kept.get_ifd(0x8769)
    assert (kept[0x010F], details[0xA002], details[0xA003]) == ("Maker", 20, 16)
    assert float(details[0x829A]) == 0.5


def test_limit_below_one_is_refused(rgb):
    with pytest.raises(UsageError, match="at least 1 px, not 0"):
        shrink(Photo(rgb), 0)


def step(width_px=96, height_px=16, dark=40, bright=200):
    """A sharp edge in the middle, which a quarter of the size cannot show."""
    rgb = np.full((height_px, width_px, 3), dark, np.uint8)
    rgb[:, width_px // 2 + 1 :] = bright
    return rgb


def restore(rgb, small, painted):
    return restore_rows(rgb, slice(0, len(rgb)), len(rgb), small, painted)


def painted_small(rgb, paint):
    small = resample(rgb, 0.25)
    return small, paint(small.astype(np.float32) / 255)


@pytest.mark.parametrize(
    "paint",
    [
        lambda x: 0.5 * x,
        lambda x: 1 - x,
        lambda x: x * np.array([1, 0.2, -0.5], np.float32) + np.array([0, 0, 0.5], np.float32),
        lambda x: np.roll(x, 1, axis=1),  # the painting has its edge elsewhere
        lambda x: np.roll(x, -2, axis=1),
    ],
    ids=["darker", "negative", "recoloured", "to the right", "to the left"],
)
def test_one_edge_stays_one_edge(paint):
    rgb = step()
    small, painted = painted_small(rgb, paint)
    result = restore(rgb, small, painted)
    inner, small_inner = slice(16, -16), slice(4, -4)  # rolled edges come in at the sides
    wanted = painted[2, small_inner]
    values = result[8, inner]
    assert (values <= wanted.max(axis=0) + 1e-5).all()
    assert (values >= wanted.min(axis=0) - 1e-5).all()
    # A second edge would go up and down once more; the filters' own ringing is allowed.
    assert (ups_and_downs(values) <= 1.3 * ups_and_downs(wanted)).all()


def ups_and_downs(values):
    return np.abs(np.diff(values, axis=0)).sum(axis=0)


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (0.5, 0.1), (-1, 1)])
def test_the_photos_edges_come_back_sharp_as_the_painting_shows_them(slope, offset):
    rgb = step()
    result = restore(rgb, *painted_small(rgb, lambda x: slope * x + offset))
    np.testing.assert_allclose(result, slope * (rgb / 255) + offset, atol=0.06)


def test_what_the_painting_leaves_out_does_not_shine_through():
    rgb = np.random.default_rng(0).integers(0, 256, (300, 80, 3), np.uint8)
    result = restore(rgb, *painted_small(rgb, lambda x: np.full_like(x, 0.3)))
    np.testing.assert_allclose(result, 0.3, atol=1e-6)


def test_painted_edges_are_steeper_than_enlarged_ones():
    rgb = np.full((16, 96, 3), 128, np.uint8)
    painted = step(24, 4).astype(np.float32) / 255
    result = restore(rgb, resample(rgb, 0.25), painted)[8, :, 0]
    blurred = np.asarray(
        Image.fromarray(painted[..., 0]).resize((96, 16), Image.Resampling.BICUBIC)
    )[8]
    assert np.abs(np.diff(result)).max() > 1.3 * np.abs(np.diff(blurred)).max()


@pytest.mark.parametrize("scale", [0.05, 0.25, 0.8, 1.7])
@pytest.mark.parametrize("height", [7, 128])
def test_restored_bands_have_no_seams(scale, height):
    rgb = np.random.default_rng(0).integers(0, 256, (301, 40, 3), np.uint8)
    small = resample(rgb, scale)
    painted = small[:, ::-1].astype(np.float32) ** 2 / 65025
    parts = [
        restore_rows(
            rgb[top : top + height], slice(top, min(top + height, 301)), 301, small, painted
        )
        for top in range(0, 301, height)
    ]
    np.testing.assert_allclose(np.concatenate(parts), restore(rgb, small, painted), atol=1e-3)


@pytest.mark.parametrize("size", [(300, 1000), (77, 500), (63, 90), (31, 40), (9, 11), (3, 5)])
@pytest.mark.parametrize("gap", [None, 3.0])
@pytest.mark.parametrize("kernel", [Image.Resampling.LANCZOS, Image.Resampling.BILINEAR])
def test_resized_rows_are_those_of_the_whole(size, gap, kernel):
    height = size[1]
    # Without black and white, where the order of both ways would show.
    rgb = np.random.default_rng(0).integers(100, 156, (211, 93, 3), np.uint8)
    whole = np.asarray(Image.fromarray(rgb).resize(size, kernel, reducing_gap=gap)).astype(int)
    for step in (1, 13, height):
        parts = [
            resized_rows(rgb, slice(top, min(top + step, height)), *size, kernel, reducing_gap=gap)
            for top in range(0, height, step)
        ]
        assert np.abs(np.concatenate(parts) - whole).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 7)])
def test_tiny_pictures_are_restored(shape):
    rgb = np.full((*shape, 3), 100, np.uint8)
    result = restore(rgb, *painted_small(rgb, lambda x: x))
    np.testing.assert_allclose(result, 100 / 255, atol=1e-5)


def test_what_was_painted_larger_is_shrunk():
    rgb = step()
    large = resample(rgb, 2)
    result = restore(rgb, large, 1 - large.astype(np.float32) / 255)
    np.testing.assert_allclose(result[:, 16:-16], 1 - rgb[:, 16:-16] / 255, atol=0.04)


def test_mirror_up_repeats_the_reflection():
    row = np.array([10, 20, 30], np.uint8)[None, :, None].repeat(3, axis=2)
    enlarged, top, left = mirror_up(row, 9)
    assert (top, left, enlarged.shape) == (4, 3, (9, 9, 3))
    np.testing.assert_array_equal(enlarged[0, :, 0], [20, 30, 20, 10, 20, 30, 20, 10, 20])
    np.testing.assert_array_equal(mirror_up(row[:, :1], 4)[0], np.full((4, 4, 3), 10))
    unchanged, *offsets = mirror_up(row.repeat(9, axis=0).repeat(3, axis=1), 9)
    assert (unchanged.shape, offsets) == ((9, 9, 3), [0, 0])
