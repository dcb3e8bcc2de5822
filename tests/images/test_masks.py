import io

import numpy as np
import pytest
from PIL import Image

from impasto.errors import ImageReadError, ImageTooLargeError, UsageError
from impasto.images.masks import blend, check_mask, mask_rows, read_mask

LEVELS = np.array([[0, 1, 127], [128, 254, 255]], np.uint8)


def encoded(image, file_format="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, file_format)
    return buffer.getvalue()


def test_every_kind_of_source_gives_the_same_levels(tmp_path):
    image = Image.fromarray(LEVELS)
    path = tmp_path / "mask.png"
    path.write_bytes(encoded(image))
    sources = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), image, LEVELS]
    sources += [image.convert("RGB"), np.stack([LEVELS] * 3, axis=-1)]
    for source in sources:
        mask = read_mask(source)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, LEVELS)


def test_bool_arrays_are_black_and_white():
    assert read_mask(LEVELS > 127).tolist() == [[0, 0, 0], [255, 255, 255]]


def test_colours_count_by_their_luma():
    primaries = Image.new("RGB", (3, 1))
    primaries.putdata([(255, 0, 0), (0, 255, 0), (0, 0, 255)])
    assert read_mask(primaries).tolist() == [[76, 150, 29]]


def test_transparency_counts_as_black():
    grey = np.array([[255, 255, 200]], np.uint8)
    alpha = np.array([[0, 128, 128]], np.uint8)
    rgba = np.stack([grey, grey, grey, alpha], axis=-1)
    for source in (rgba, Image.fromarray(rgba), encoded(Image.fromarray(rgba))):
        assert read_mask(source).tolist() == [[0, 128, 100]]


def test_read_mask_refuses_what_is_no_mask(tmp_path):
    with pytest.raises(UsageError, match="not dict"):
        read_mask({})
    for array in (np.zeros((2, 2)), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2), np.uint8)):
        with pytest.raises(UsageError, match="a mask array must be"):
            read_mask(array)
    with pytest.raises(UsageError, match="bool of shape"):
        read_mask(np.zeros((2, 2, 3), bool))
    with pytest.raises(ImageReadError, match="the mask is empty"):
        read_mask(b"")
    with pytest.raises(ImageReadError, match="no such file"):
        read_mask(tmp_path / "missing.png")
    with pytest.raises(ImageTooLargeError, match="the mask is 3x2"):
        read_mask(Image.fromarray(LEVELS), max_pixels=5)


def test_masks_are_resized_bilinearly():
    mask = np.array([[0, 255]], np.uint8)
    # Pixel centres: the new ones lie at -0.25, 0.25, 0.75 and 1.25 of the old ones' distance.
    assert mask_rows(mask, slice(0, 2), 2, 4).tolist() == [[0, 64, 191, 255]] * 2
    assert mask_rows(mask, slice(0, 1), 1, 2).tolist() == mask.tolist()
    white = np.full((50, 100), 255, np.uint8)
    np.testing.assert_array_equal(mask_rows(white, slice(7, 12), 25, 50), np.full((5, 50), 255))


@pytest.mark.parametrize(
    ("mask", "photo"),
    [
        ((500, 1020), (1000, 2000)),
        ((500, 981), (1000, 2000)),
        ((1000, 3), (100, 1)),
        ((3, 3), (3, 4)),
    ],
)
def test_nearly_the_same_shape_fits(mask, photo):
    check_mask(np.zeros(mask, np.uint8), *photo)


@pytest.mark.parametrize(
    ("mask", "photo"),
    [((500, 1022), (1000, 2000)), ((500, 978), (1000, 2000)), ((2000, 1000), (1000, 2000))],
)
def test_another_shape_is_refused(mask, photo):
    with pytest.raises(UsageError, match=f"{mask[1]}x{mask[0]} .* {photo[1]}x{photo[0]}"):
        check_mask(np.zeros(mask, np.uint8), *photo)


def test_blend_is_exact_and_rounds_to_the_nearest():
    photo, painted, mask = (
        values.reshape(-1, 1)
        for values in np.meshgrid(*[np.arange(0, 256, 5, dtype=np.uint8)] * 3, indexing="ij")
    )
    photo, painted = (np.repeat(values[..., None], 3, axis=2) for values in (photo, painted))
    mixed = blend(photo, painted, mask)
    exact = (photo * (255.0 - mask[..., None]) + painted * (mask[..., None] * 1.0)) / 255
    assert mixed.dtype == np.uint8
    assert np.abs(mixed - exact).max() <= 0.5
    np.testing.assert_array_equal(mixed[mask == 0], photo[mask == 0])
    np.testing.assert_array_equal(mixed[mask == 255], painted[mask == 255])
