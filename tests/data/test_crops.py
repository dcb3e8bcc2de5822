import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from impasto.data import CropBatches, PhotoCrops, open_photos
from impasto.data.crops import collate
from impasto.errors import DataError


def crops(folder, crop_px=24, max_zoom=2.0, seed=7, min_zoom=1.0):
    zooms = {"max_zoom": max_zoom, "min_zoom": min_zoom}
    return PhotoCrops(open_photos(folder), crop_px, seed=seed, **zooms)


def loader(dataset, first, last, workers=0, batch_size=2):
    return DataLoader(
        dataset,
        batch_sampler=CropBatches(batch_size, first, last),
        num_workers=workers,
        collate_fn=collate,
        multiprocessing_context="spawn" if workers else None,
    )


def batches(*args, **kwargs):
    return [images for images, _ in loader(*args, **kwargs)]


def save(path, rgb, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(rgb, np.uint8)).save(path, **options)


@pytest.fixture
def marked(tmp_path):
    """Ten grey photos, each of its own level, so that a crop tells its photo."""
    for i in range(10):
        save(tmp_path / "marked" / f"{i}.png", np.full((40, 30 + i, 3), 20 * i))
    return tmp_path / "marked"


def photo_of(crop):
    level = crop[0, 0, 0].item() * 255 / 20
    assert torch.all(crop == crop[0, 0, 0])
    return round(level)


def test_a_crop_is_a_tensor_in_the_unit_range(folder):
    crop, rejected = crops(folder)[0]
    assert crop.shape == (3, 24, 24)
    assert crop.dtype == torch.float32
    assert 0 <= crop.min() < crop.max() <= 1
    assert rejected == []


def test_a_crop_depends_on_seed_and_number_alone(folder):
    straight = crops(folder)
    first = [straight[i][0] for i in range(12)]
    backwards = crops(folder)
    for i in reversed(range(12)):
        assert torch.equal(backwards[i][0], first[i])
    np.random.seed(99)
    torch.manual_seed(99)
    assert torch.equal(crops(folder)[5][0], first[5])
    other = crops(folder, seed=8)
    assert sum(torch.equal(other[i][0], first[i]) for i in range(12)) <= 1


def test_no_two_crops_are_equal(folder):
    dataset = crops(folder)
    seen = {dataset[i][0].numpy().tobytes() for i in range(30)}
    assert len(seen) == 30


def test_workers_change_nothing_and_resuming_continues(folder):
    straight = batches(crops(folder), 0, 6)
    parallel = batches(crops(folder), 0, 6, workers=2)
    assert len(straight) == len(parallel) == 6
    for a, b in zip(straight, parallel, strict=True):
        assert torch.equal(a, b)
    resumed = batches(crops(folder), 4, 6)
    assert len(resumed) == 2
    for a, b in zip(straight[4:], resumed, strict=True):
        assert torch.equal(a, b)


def test_every_photo_comes_once_per_pass_in_changing_order(marked):
    dataset = crops(marked)
    passes = [[photo_of(dataset[10 * p + i][0]) for i in range(10)] for p in range(4)]
    for order in passes:
        assert sorted(order) == list(range(10))
    assert len({tuple(order) for order in passes}) == 4


def test_archives_give_the_same_crops_as_the_folder(folder, tmp_path):
    import tarfile
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(folder, arcname="")
    expected = [crops(folder)[i][0] for i in range(6)]
    for path in ("a.zip", "a.tar"):
        dataset = crops(tmp_path / path)
        for i in range(6):
            assert torch.equal(dataset[i][0], expected[i])
    parallel = batches(crops(tmp_path / "a.zip"), 0, 3, workers=1)
    assert torch.equal(torch.cat(parallel), torch.stack(expected))


def test_half_of_the_crops_are_mirrored(tmp_path):
    save(tmp_path / "p" / "ramp.png", np.tile(np.arange(120)[None, :, None] * 2, (120, 1, 3)))
    dataset = crops(tmp_path / "p")
    falling = [bool(crop[0, 0, 0] > crop[0, 0, -1]) for crop in (dataset[i][0] for i in range(200))]
    assert 70 <= sum(falling) <= 130


def zooms(path, crop_px, max_zoom, count=60, min_zoom=1.0):
    """How many of the photo's pixels a crop spans, from the slope of a horizontal ramp."""
    dataset = crops(path, crop_px=crop_px, max_zoom=max_zoom, min_zoom=min_zoom)
    spans, starts = [], []
    for i in range(count):
        row = dataset[i][0][0, 5].double().mul(255).sort().values
        slope = (row[-5] - row[4]).item() / (crop_px - 9)
        spans.append(slope * crop_px)
        starts.append(row[0].item())
    return spans, starts


def test_scale_and_position_cover_their_ranges(tmp_path):
    save(tmp_path / "p" / "ramp.png", np.tile(np.arange(240)[None, :, None], (120, 1, 3)))
    spans, starts = zooms(tmp_path / "p", 40, 2.0)
    # The shorter side of 120 px becomes 40 to 80 px: crops span 120 down to 60 photo pixels.
    assert 58 <= min(spans) <= 66
    assert 112 <= max(spans) <= 122
    assert min(starts) < 20
    assert max(starts) > 110


def test_a_least_zoom_shows_less_of_a_photo(tmp_path):
    save(tmp_path / "p" / "ramp.png", np.tile(np.arange(240)[None, :, None], (120, 1, 3)))
    spans, _ = zooms(tmp_path / "p", 40, 2.0, min_zoom=1.5)
    # The shorter side becomes 60 to 80 px: crops span 80 down to 60 photo pixels.
    assert 58 <= min(spans) <= 64
    assert 75 <= max(spans) <= 82


def test_without_zoom_the_whole_short_side_is_seen(tmp_path):
    save(tmp_path / "p" / "ramp.png", np.tile(np.arange(240)[None, :, None], (120, 1, 3)))
    spans, starts = zooms(tmp_path / "p", 40, 1.0)
    assert min(spans) > 117
    assert max(spans) < 123
    assert max(starts) - min(starts) > 80


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"), [(120, 180, 120, 180), (180, 120, 80, 120)]
)
def test_a_wide_crop_shows_all_that_a_photo_has_of_its_shape(
    tmp_path, height, width, rows, columns
):
    down, across = np.mgrid[0:height, 0:width]
    save(tmp_path / "p" / "ramp.png", np.stack([down, across, down], axis=-1))
    photos = open_photos(tmp_path / "p")
    crop = PhotoCrops(photos, 40, max_zoom=1.0, ratio=1.5, seed=0)[0][0] * 255
    assert crop.shape == (3, 40, 60)
    assert crop[0].max() - crop[0].min() == pytest.approx(rows, abs=4)
    assert crop[1].max() - crop[1].min() == pytest.approx(columns, abs=4)
    closer = PhotoCrops(photos, 40, max_zoom=2.0, min_zoom=2.0, ratio=1.5, seed=0)
    spans = [crop[1].max() - crop[1].min() for crop in (closer[i][0] * 255 for i in range(4))]
    assert np.array(spans) == pytest.approx(max(60, columns / 2), abs=4)


def test_photos_are_never_enlarged(tmp_path):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (24, 24, 3))
    save(tmp_path / "p" / "exact.png", pixels)
    dataset = crops(tmp_path / "p", crop_px=24, max_zoom=4.0)
    expected = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    for i in range(8):
        crop = dataset[i][0]
        assert any(torch.allclose(crop, e, atol=1e-6) for e in (expected, expected.flip(2)))


def test_rotated_photos_are_cropped_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    ramp = np.tile(np.arange(100)[None, :, None] * 2, (60, 1, 3))  # brighter to the right
    save(tmp_path / "p" / "turned.jpg", ramp, exif=exif, quality=95)
    crop = crops(tmp_path / "p")[0][0]
    rows = crop[0].mean(dim=1)
    assert rows[-1] > rows[0] + 0.05  # upright it is brighter to the bottom
    assert abs(crop[0, :, 0].mean() - crop[0, :, -1].mean()) < 0.02


@pytest.fixture
def damaged(folder):
    """The three good photos among one too small, one truncated and one that is text."""
    save(folder / "small.png", np.zeros((50, 20, 3)))
    whole = (folder / "a.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.webp").write_text("not a picture")
    return folder


def test_bad_photos_are_named_with_a_reason_and_replaced(damaged):
    found = {}
    for images, rejected in loader(crops(damaged), 0, 6):
        assert images.shape == (2, 3, 24, 24)
        assert images.amax(dim=(1, 2, 3)).min() > 0.3  # the small one was black
        found |= {photo.name: photo.reason for photo in rejected}
    assert set(found) == {"small.png", "cut.jpg", "text.webp"}
    assert found["small.png"] == "20x50 px is below the crop size of 24 px"
    assert found["cut.jpg"] == found["text.webp"] == "the picture cannot be decoded"


def test_bad_photos_do_not_break_purity(damaged):
    straight = batches(crops(damaged), 0, 5)
    assert all(
        torch.equal(a, b) for a, b in zip(straight[3:], batches(crops(damaged), 3, 5), strict=True)
    )


def test_only_bad_photos_are_fatal(tmp_path):
    for i in range(3):
        save(tmp_path / "p" / f"{i}.png", np.zeros((10, 10, 3)))
    with pytest.raises(DataError) as caught:
        crops(tmp_path / "p")[0]
    message = str(caught.value)
    assert "none of the 3 photos can be used" in message
    assert ".png: 10x10 px is below the crop size of 24 px (and 2 more)" in message
    assert "\n" not in message


def test_only_bad_photos_are_fatal_in_a_worker_too(tmp_path):
    save(tmp_path / "p" / "0.png", np.zeros((10, 10, 3)))
    with pytest.raises(DataError, match="none of the 1 photos can be used"):
        batches(crops(tmp_path / "p"), 0, 1, workers=1)


def test_processes_take_disjoint_samples_that_together_are_all():
    world = [list(CropBatches(3, 2, 6, rank=rank, world_size=4)) for rank in range(4)]
    assert [len(steps) for steps in world] == [4] * 4
    for step in range(4):
        numbers = [number for steps in world for number in steps[step]]
        assert sorted(numbers) == list(range((step + 2) * 12, (step + 3) * 12))


def test_batches_are_numbered_by_step():
    sampler = CropBatches(3, 1, 3)
    assert len(sampler) == 2
    assert list(sampler) == [[3, 4, 5], [6, 7, 8]]
