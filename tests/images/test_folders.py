import os

import pytest

from impasto.errors import DataError
from impasto.images.folders import iterate_pictures


def test_order_depth_and_what_is_passed_over(tmp_path):
    names = ["b.JPG", "a.png", "sub/c.webp", "中文 目录/照片 1.jpg", "out/d.jpg"]
    names += [".hidden.jpg", ".git/e.jpg", "notes.txt", "z.HEIC"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [
        path.relative_to(tmp_path).as_posix()
        for path in iterate_pictures(tmp_path, skip=tmp_path / "out")
    ]
    assert found == ["a.png", "b.JPG", "z.HEIC", "sub/c.webp", "中文 目录/照片 1.jpg"]


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match="cannot read folder"):
        list(iterate_pictures(tmp_path / "missing"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes in folders are POSIX's")
def test_named_pipes_are_passed_over_and_dangling_links_are_not(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "c.png").symlink_to("nowhere")
    assert [path.name for path in iterate_pictures(tmp_path)] == ["c.png"]
