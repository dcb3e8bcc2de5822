import numpy as np
import pytest

from impasto.data.examples import example_photos_folder
from impasto.errors import DataError
from impasto.evaluation import read_boxes
from impasto.evaluation.faces import faces_kept
from impasto.evaluation.features import see_photo
from impasto.evaluation.pixels import gaussian_blur
from impasto.images.reading import read_image
from impasto.losses import LossNetwork

FACE = np.array([[170, 50, 280, 180.0]])


@pytest.fixture(scope="module")
def vgg():
    return LossNetwork()


@pytest.fixture(scope="module")
def photo():
    """A woman's head and shoulders, 512x300 px."""
    return read_image(example_photos_folder() / "astronaut.jpg").rgb[:300]


def write(path, *rows, head="photo,x0,y0,x1,y1"):
    path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    return path


def test_boxes_are_found_by_the_name_of_the_photo(tmp_path):
    path = write(tmp_path / "f.csv", "a.jpg,1,2,30,40", "b c.png,0,0,9.5,9", "a.jpg,5,5,6,7")
    boxes = read_boxes(path)
    assert {name: found.tolist() for name, found in boxes.items()} == {
        "a.jpg": [[1, 2, 30, 40], [5, 5, 6, 7]],
        "b c.png": [[0, 0, 9.5, 9]],
    }


def test_the_shipped_boxes_are_those_of_the_validation_photos():
    boxes = read_boxes()
    assert len(boxes) == 16
    assert sum(map(len, boxes.values())) == 53
    for name, found in boxes.items():
        assert name.startswith("coco_")
        assert (found[:, 2:] - found[:, :2] >= 10).all()
        assert found.min() >= 0
        assert found.max() <= 482


@pytest.mark.parametrize(
    ("row", "line"),
    [("a,1,2,x,4", 2), ("a,1,2,3", 2), ("a,5,0,5,9", 2), ("a,-1,0,5,9", 2), ("a,0,0,inf,9", 2)],
)
def test_a_row_that_is_no_box_is_named(tmp_path, row, line):
    path = write(tmp_path / "f.csv", row)
    with pytest.raises(DataError) as caught:
        read_boxes(path)
    assert str(caught.value) == (
        f"{path}, line {line}: a box needs numbers 0 <= x0 < x1 and 0 <= y0 < y1"
    )


def test_files_without_boxes(tmp_path):
    other = write(tmp_path / "f.csv", "a,1,2,3,4", head="photo,left,top,right,bottom")
    with pytest.raises(DataError, match=r"f\.csv must have the columns photo, x0, y0, x1, y1"):
        read_boxes(other)
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.csv", binary):
        with pytest.raises(DataError, match="is not a readable CSV file of boxes"):
            read_boxes(path)


def test_only_what_is_inside_counts(vgg, photo):
    x0, y0, x1, y1 = FACE[0].astype(int)
    lost, smeared = photo.copy(), gaussian_blur(photo.astype("f4"), 8).astype(np.uint8)
    lost[y0:y1, x0:x1] = smeared[y0:y1, x0:x1]
    smeared[y0 - 40 : y1 + 40, x0 - 40 : x1 + 40] = photo[y0 - 40 : y1 + 40, x0 - 40 : x1 + 40]
    seen = see_photo(vgg, photo)
    size = photo.shape[:2]
    assert faces_kept(seen, seen, FACE, size) == pytest.approx((1, 1, 1))
    assert faces_kept(see_photo(vgg, lost), seen, FACE, size)[0] < 0.7
    assert faces_kept(see_photo(vgg, smeared), seen, FACE, size)[0] > 0.95
    elsewhere = np.array([[360, 60, 480, 200.0]])
    assert faces_kept(see_photo(vgg, lost), seen, elsewhere, size)[0] > 0.98


def test_the_smallest_face_has_one_place_at_every_scale(vgg, photo):
    seen = see_photo(vgg, photo)
    corners = np.array([[0, 0, 1, 1], [511, 299, 512, 300.0]])
    assert faces_kept(seen, seen, corners, photo.shape[:2]) == pytest.approx((1, 1, 1))


def test_boxes_of_another_picture_are_refused(vgg, photo):
    seen = see_photo(vgg, photo)
    with pytest.raises(DataError) as caught:
        faces_kept(seen, seen, np.array([[0, 0, 513, 20.0]]), photo.shape[:2])
    assert str(caught.value) == (
        "the faces reach to 513,20 px, and the photo has 512x300 px: "
        "the boxes belong to another picture"
    )
