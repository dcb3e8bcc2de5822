"""Pictures in temporary files behave like arrays, and are gone afterwards."""

import errno
import os
import shutil
import tempfile
from collections import namedtuple

import numpy as np
import pytest

from impasto.errors import OutputError
from impasto.images.rows import Scratch, WithAlpha, bands, room_like


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("shape", [(31, 40), (31, 40, 3)])
def test_rows_and_columns_are_those_of_an_array(shape):
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with Scratch() as scratch:
        rows = scratch.room(shape)
        rows[7:31], rows[0:7] = values[7:], values[:7]
        np.testing.assert_array_equal(rows[:], values)
        np.testing.assert_array_equal(rows[29:50], values[29:50])
        assert len(rows[31:40]) == 0
        rows[3:5, 10:13] = values[3:5, 10:13] = 255 - values[3:5, 10:13]
        np.testing.assert_array_equal(rows[2:6], values[2:6])
        assert bytes(rows.map()) == values.tobytes()
        with pytest.raises(ValueError, match="do not fit"):
            rows[0:2] = values[0:1]


def test_floats_are_exact_to_a_part_of_a_level():
    values = np.random.default_rng(0).uniform(-1, 1, (5, 6, 3)).astype(np.float32)
    with Scratch() as scratch:
        rows = scratch.room(values.shape, np.float32)
        rows[0:5] = values
        assert rows[0:5].dtype == np.float32
        assert np.abs(rows[0:5] - values).max() * 255 < 0.07


def test_room_is_made_where_a_picture_is():
    with Scratch() as scratch:
        assert room_like(scratch.room((2, 3)), (4, 5, 3)).scratch is scratch
    assert isinstance(room_like(np.zeros((2, 3), np.uint8), (4, 5, 3)), np.ndarray)


def test_colours_and_transparency_are_one_picture(rgb):
    alpha = rgb[..., 0]
    both = WithAlpha(rgb, alpha)
    assert both.shape == (31, 40, 4)
    np.testing.assert_array_equal(both[3:9], np.dstack([rgb, alpha])[3:9])


def test_no_file_has_a_name_and_all_are_closed(temporary_folder):
    with Scratch() as scratch:
        rows = scratch.room((100, 100))
        if os.name == "posix":
            assert list(temporary_folder.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        rows[0:1]
    assert list(temporary_folder.iterdir()) == []


def test_a_picture_is_cut_into_bands():
    for height, width, most in [(300, 40, None), (5, 1 << 21, None), (7, 10, 25), (7, 10, 1)]:
        cut = list(bands(height, width, most_pixels=most))
        assert [band.start for band in cut] == [0, *(band.stop for band in cut[:-1])]
        assert cut[-1].stop == height
    assert [band.stop - band.start for band in bands(7, 10, most_pixels=25)] == [2, 2, 2, 1]


def test_too_little_space_is_told_before_the_work(monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 100))
    with (
        Scratch() as scratch,
        pytest.raises(OutputError, match=r"a picture of 20x10 needs 1 MiB more temporary"),
    ):
        scratch.room((10, 20, 3))


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no such call on this system")
def test_a_disk_that_others_fill_is_told_before_the_work(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with (
        Scratch() as scratch,
        pytest.raises(
            OutputError, match=r"cannot write temporary files in .*: No space left on device"
        ),
    ):
        scratch.room((10, 20, 3))


def test_a_disk_that_takes_no_space_in_advance_will_do(monkeypatch):
    def unknown(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unknown, raising=False)
    with Scratch() as scratch:
        rows = scratch.room((10, 20))
        assert not rows[0:10].any()
