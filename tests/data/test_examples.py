from pathlib import Path

import pytest
from PIL import Image

from impasto.data.examples import example_photos_folder
from impasto.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def photo(folder: Path) -> Path:
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "photo.jpg")
    return folder


def test_there_are_eight_or_more_colour_photos_of_at_most_1024_px():
    paths = sorted(example_photos_folder().glob("*.jpg"))
    assert len(paths) >= 8
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert image.mode == "RGB"
            assert min(image.size) >= 256
            assert max(image.size) <= 1024
            assert not image.getexif(), f"{path.name}: photos are shipped without metadata"


def test_notice_names_every_photo_with_a_licence():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    entries = {
        block.splitlines()[0].strip(): block for block in notice.split("\n\n") if ".jpg" in block
    }
    for path in example_photos_folder().glob("*.jpg"):
        entry = entries[path.name]
        for label in ("Title:", "Author:", "Origin:", "Licence:", "Changes:"):
            assert label in entry, f"{path.name}: NOTICE lacks {label}"


def test_the_packaged_folder_comes_first(tmp_path):
    module_folder = tmp_path / "src" / "impasto" / "data"
    photo(tmp_path / "examples" / "photos")
    packaged = photo(module_folder / "example_photos")
    assert example_photos_folder(module_folder) == packaged


def test_a_clone_uses_its_examples(tmp_path):
    in_clone = photo(tmp_path / "examples" / "photos")
    assert example_photos_folder(tmp_path / "src" / "impasto" / "data") == in_clone


def test_an_installed_package_takes_no_foreign_examples_folder(tmp_path):
    photo(tmp_path / "examples" / "photos")
    with pytest.raises(DataError, match="example photos are missing"):
        example_photos_folder(tmp_path / "site-packages" / "impasto" / "data")


def test_an_empty_packaged_folder_is_said_to_be_missing(tmp_path):
    module_folder = tmp_path / "src" / "impasto" / "data"
    (module_folder / "example_photos").mkdir(parents=True)
    with pytest.raises(DataError, match="example_photos"):
        example_photos_folder(module_folder)
