"""Pictures in mapped files are arrays, take their space at once, and leave nothing behind."""

import errno
import mmap
import os
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import OutputError
from impasto.images import mapping
from impasto.images.mapping import bands, empty_like, is_mapped, mapped, release, scratch_folder


@pytest.mark.parametrize("shape", [(31, 40), (31, 40, 3)])
@pytest.mark.parametrize("after", [lambda *_: None, release], ids=["held", "released"])
def test_rows_and_columns_are_those_of_an_array(shape, after, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    picture = mapped(shape, tmp_path)
    assert (type(picture), picture.dtype, picture.any()) == (np.ndarray, np.uint8, False)
    picture[7:31], picture[0:7] = values[7:], values[:7]
    after(picture)
    np.testing.assert_array_equal(picture[:], values)
    np.testing.assert_array_equal(picture[29:50], values[29:50])
    assert len(picture[31:40]) == 0
    picture[3:5, 10:13] = values[3:5, 10:13] = 255 - values[3:5, 10:13]
    after(picture[3:5])
    np.testing.assert_array_equal(picture[2:6], values[2:6])
    assert bytes(picture) == values.tobytes()


def test_room_is_made_where_a_picture_is(tmp_path, monkeypatch):
    picture = mapped((2, 3), tmp_path)
    folders = []
    make = mapping.mapped
    monkeypatch.setattr(mapping, "mapped", lambda *a: folders.append(a[1]) or make(*a))
    for like in (picture, picture[1:, ::-1], picture.T):
        room = empty_like(like, (4, 5, 3))
        assert (room.shape, is_mapped(room)) == ((4, 5, 3), True)
    assert folders == [tmp_path] * 3
    assert not is_mapped(empty_like(np.zeros((2, 3), np.uint8), (4, 5, 3)))
    assert not is_mapped(picture + 1)


def test_a_callers_own_mapping_is_left_alone(tmp_path):
    path = tmp_path / "pixels"
    path.write_bytes(bytes(6))
    own = np.memmap(path, np.uint8, "c", shape=(2, 3))  # a private copy of what is changed
    own[:] = 7
    release(own)
    assert (own.min(), is_mapped(own)) == (7, False)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="no such call on this system")
@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="tells nothing about pages")
def test_bands_keep_no_more_in_memory_than_is_worked_on(tmp_path):
    picture = mapped((64, 1 << 18), tmp_path)
    held = []
    for rows in bands(*picture.shape, most_pixels=1 << 20, over=[picture]):
        picture[rows] = 1
        held.append(resident_bytes(tmp_path))
    assert max(held) < picture.size // 4
    assert picture.all()


def resident_bytes(folder):
    """What is in memory of the files in a folder that are mapped."""
    lines = iter(Path("/proc/self/smaps").read_text(errors="replace").splitlines())
    total = 0
    for line in lines:
        if f" {folder}/" in line:
            total += next(int(row.split()[1]) for row in lines if row.startswith("Rss:"))
    return total << 10


def test_no_file_has_a_name_and_all_go_with_their_arrays(tmp_path):
    picture = mapped((100, 100), tmp_path)
    if os.name == "posix":
        assert list(tmp_path.iterdir()) == []
    if Path("/proc/self/maps").exists():
        assert f"{tmp_path}/" in Path("/proc/self/maps").read_text()
    del picture
    assert list(tmp_path.iterdir()) == []
    if Path("/proc/self/maps").exists():
        assert f"{tmp_path}/" not in Path("/proc/self/maps").read_text()


def test_a_picture_is_cut_into_bands():
    for height, width, most in [(300, 40, None), (5, 1 << 21, None), (7, 10, 25), (7, 10, 1)]:
        cut = list(bands(height, width, most_pixels=most))
        assert [band.start for band in cut] == [0, *(band.stop for band in cut[:-1])]
        assert cut[-1].stop == height
    assert [band.stop - band.start for band in bands(7, 10, most_pixels=25)] == [2, 2, 2, 1]


def test_files_lie_beside_the_result_unless_tmpdir_names_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    assert scratch_folder(tmp_path / "out.png") == tmp_path
    assert scratch_folder(tmp_path / "new" / "below" / "out.png") == tmp_path
    assert scratch_folder(Path("out.png")) == Path()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert scratch_folder() == tmp_path / "temporary"
    monkeypatch.setenv("TMPDIR", str(tmp_path / "named"))
    assert scratch_folder() == scratch_folder(tmp_path / "out.png") == tmp_path / "named"


def test_too_little_space_is_told_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 100))
    with pytest.raises(OutputError) as caught:
        mapped((10, 20, 3), tmp_path)
    assert str(caught.value) == (
        f"a picture of 20x10 needs 1 MiB more temporary space, and {tmp_path} has 1 MiB: "
        "name another folder by TMPDIR"
    )


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no such call on this system")
def test_a_disk_that_others_fill_is_told_before_the_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match=full_line(tmp_path, "No space left on device")):
        mapped((10, 20, 3), tmp_path)


def full_line(folder, reason):
    return f"^cannot write temporary files in {folder}: {reason}$"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OutputError, match=full_line(tmp_path / "none", "No such file.*")):
        mapped((10, 20, 3), tmp_path / "none")


def without_reserving(monkeypatch, how):
    """Takes the system call away, or lets it say that the disk does not know it."""

    def unknown(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if how == "system":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", unknown, raising=False)


@pytest.mark.skipif(os.name != "posix", reason="counts the blocks of a file as POSIX does")
@pytest.mark.parametrize("lacking", ["system", "disk"])
def test_space_that_cannot_be_reserved_is_written(lacking, tmp_path, monkeypatch):
    without_reserving(monkeypatch, lacking)
    files = []
    reserve = mapping._reserve
    monkeypatch.setattr(
        mapping, "_reserve", lambda f, size: (files.append(os.dup(f.fileno())), reserve(f, size))
    )
    picture = mapped((1500, 2000, 3), tmp_path)
    assert not picture.any()
    try:
        assert os.fstat(files[0]).st_blocks * 512 >= picture.size
    finally:
        os.close(files[0])


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize("lacking", ["nothing", "system", "disk"])
def test_what_the_disk_does_not_hold_is_told_in_one_line(lacking, tmp_path, monkeypatch):
    import resource

    if lacking != "nothing":
        without_reserving(monkeypatch, lacking)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=full_line(tmp_path, "File too large")):
            mapped((100, 200, 3), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
