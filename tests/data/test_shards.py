"""WebDataset shards: what names them, what is in them, and the samples drawn from them."""

import collections
import io
import itertools
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from impasto.data import PhotoCrops, open_photos
from impasto.data.crops import collate
from impasto.data.shards import (
    PhotoStream,
    ShardSource,
    StreamedPhoto,
    shard_pattern,
    shuffled,
    stream_photos,
)
from impasto.data.sources import TarSource
from impasto.errors import DataError, MissingExtraError

PHOTOS_OF_A_SHARD = 4


def picture(level, size=(40, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def level_of(shard, number):
    return 10 * (shard * PHOTOS_OF_A_SHARD + number)


@pytest.fixture
def pattern(tmp_path):
    """Five shards of four photos, each of a grey of its own, with a label beside each photo."""
    for shard in range(5):
        files = {}
        for number in range(PHOTOS_OF_A_SHARD):
            files[f"{shard}_{number}.png"] = picture(level_of(shard, number))
            files[f"{shard}_{number}.txt"] = b"a label"
        write_tar(tmp_path / f"{shard:03}.tar", files)
    return f"{tmp_path}/{{000..004}}.tar"


def crops(pattern, seed=3):
    return PhotoCrops(open_photos(pattern), 24, max_zoom=1.0, seed=seed)


def stream(pattern, *, first_step=0, seed=3, **place):
    samples = crops(pattern, seed)
    return PhotoStream(samples, samples.source.shards, first_step=first_step, **place)


def levels(samples, count):
    return [round(sample[0, 0, 0].item() * 255) for sample, _ in itertools.islice(samples, count)]


ALL = sorted(level_of(shard, number) for shard in range(5) for number in range(4))


# --- what is a pattern


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("photos/{000..099}.tar", "photos/{000..099}.tar"),
        (Path("photos/{a,b}.TAR"), "photos/{a,b}.TAR"),
        ("s3://bucket/{000..099}.tar", "s3://bucket/{000..099}.tar"),
        (Path("s3://bucket/{000..099}.tar"), "s3://bucket/{000..099}.tar"),
        (Path("gs://bucket/one.tar"), "gs://bucket/one.tar"),
        (Path("file:///data/one.tar"), "file:///data/one.tar"),
        ("photos.tar", None),
        ("photos/{a,b}.jpg", None),
        ("photos/{a,b}", None),
        ("C:/photos/one.tar", None),
        (Path("photos"), None),
    ],
)
def test_braces_and_urls_are_patterns(path, pattern):
    assert shard_pattern(path) == pattern


def test_a_tar_that_exists_is_read_by_number(tmp_path):
    path = write_tar(tmp_path / "{0..9}.tar", {"a.png": picture(9)})
    assert isinstance(open_photos(path), TarSource)


# --- what is in it


def test_shards_are_those_that_bash_would_name(pattern, tmp_path):
    source = open_photos(Path(pattern))
    assert isinstance(source, ShardSource)
    assert source.shards == [f"{tmp_path}/{number:03}.tar" for number in range(5)]
    assert source.names[:2] == [f"{tmp_path}/000.tar/0_0.png", f"{tmp_path}/000.tar/0_1.png"]
    assert len(source.names) == 20
    assert source.read(5) == picture(level_of(1, 1))


def test_a_url_names_shards_too(pattern):
    source = open_photos(f"file://{pattern}")
    assert [source.read(number) for number in range(20)] == [picture(level) for level in ALL]


def test_only_the_first_photos_are_kept_and_no_worker_gets_them(pattern, monkeypatch):
    monkeypatch.setattr("impasto.data.shards.HEAD_PHOTOS", 3)
    source = open_photos(pattern)
    assert len(source.names) == len(source.photos) == 3
    sent = pickle.dumps(source)
    assert picture(0) not in sent
    assert pickle.loads(sent).shards == source.shards


def test_a_damaged_shard_is_told_and_passed_over(pattern, tmp_path):
    whole = (tmp_path / "001.tar").read_bytes()
    (tmp_path / "001.tar").write_bytes(whole[: 5 * 512 + 50])  # in the second photo
    (tmp_path / "002.tar").unlink()
    (tmp_path / "003.tar").write_text("no archive")
    write_tar(tmp_path / "004.tar", {"a.txt": b"a label", ".hidden.png": b""})
    told = {}
    shards = [f"{tmp_path}/{number:03}.tar" for number in range(5)]
    photos = list(stream_photos(shards, told.__setitem__))
    assert [photo.data for photo in photos[:4]] == [picture(level_of(0, n)) for n in range(4)]
    assert [photo.name for photo in photos[4:]] == [f"{shards[1]}/1_0.png"]
    assert told == {
        shards[1]: "it is no .tar, or it is damaged",
        shards[2]: "it is not there",
        shards[3]: "it is no .tar, or it is damaged",
        shards[4]: "there is no photo in it; .jpg, .jpeg, .png, .webp files are read",
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "000.tar").unlink(), "000.tar of photos cannot be used: it is n"),
        (lambda folder: (folder / "004.tar").unlink(), "004.tar of photos cannot be used: it is n"),
        (lambda folder: (folder / "000.tar").write_text("-"), "000.tar of photos .* no .tar, or"),
        (lambda folder: write_tar(folder / "000.tar", {"a.txt": b""}), "000.tar .* no photo in it"),
    ],
)
def test_shards_that_are_not_there_are_refused_in_one_line(change, words, pattern, tmp_path):
    change(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        open_photos(pattern)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("photos/{000..099.tar", "the braces of photos/{000..099.tar do not match"),
        ("nowhere://bucket/{0..9}.tar", "nowhere://bucket/9.tar .* Protocol not known: nowhere"),
        ("pipe:echo {0..9}.tar", "it is not there"),
    ],
)
def test_patterns_that_name_nothing(pattern, words):
    with pytest.raises(DataError, match=words):
        open_photos(pattern)


@pytest.mark.parametrize(
    ("package", "pattern"),
    [("webdataset", "{0..9}.tar"), ("braceexpand", "{0..9}.tar"), ("s3fs", "s3://bucket/0.tar")],
)
def test_a_missing_extra_is_told(package, pattern, monkeypatch):
    import fsspec  # noqa: F401

    for name in (package, f"{package}.tariterators"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(MissingExtraError, match=r"pattern of shards needs .*impasto\[cluster\]"):
        open_photos(pattern)


# --- the samples


def test_a_pass_sees_every_photo_once_and_passes_differ(pattern):
    seen = levels(stream(pattern), 60)
    passes = [seen[:20], seen[20:40], seen[40:]]
    assert [sorted(one) for one in passes] == [ALL, ALL, ALL]
    assert len({tuple(one) for one in passes}) == 3


def test_photos_are_mixed_beyond_their_shards(pattern):
    first = levels(stream(pattern), 4)
    assert len({level // 40 for level in first}) > 1


def test_the_stream_follows_from_seed_and_step(pattern):
    seen = levels(stream(pattern), 30)
    assert levels(stream(pattern), 30) == seen
    assert levels(stream(pattern, seed=4), 30) != seen
    resumed = levels(stream(pattern, first_step=7), 20)
    assert sorted(resumed) == ALL
    assert resumed != seen[:20]


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_each_photo_is_seen_by_one_rank(world_size, pattern):
    """Five shards do not divide by two or three: dealing goes on over the passes."""
    seen = [levels(stream(pattern, rank=r, world_size=world_size), 20) for r in range(world_size)]
    passes = collections.Counter(itertools.chain.from_iterable(seen))
    assert passes == dict.fromkeys(ALL, world_size)
    of_the_first_pass = 5 // world_size * PHOTOS_OF_A_SHARD
    first = list(itertools.chain.from_iterable(one[:of_the_first_pass] for one in seen))
    assert len(set(first)) == len(first) == world_size * of_the_first_pass


def test_workers_share_a_rank(pattern):
    loader = DataLoader(
        stream(pattern, rank=1, world_size=2),
        batch_size=2,
        num_workers=2,
        collate_fn=collate,
        multiprocessing_context="spawn",
    )
    seen = [
        levels(zip(crops, [[]] * 2, strict=True), 2) for crops, _ in itertools.islice(loader, 4)
    ]
    # As if each of the four workers were a rank of its own.
    first, second = (levels(stream(pattern, rank=rank, world_size=4), 4) for rank in (2, 3))
    assert seen == [first[:2], second[:2], first[2:], second[2:]]


def test_the_buffer_holds_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr("impasto.data.shards.BUFFER_PHOTOS", 5)
    monkeypatch.setattr("impasto.data.shards.BUFFER_BYTES", 100)
    read = []

    def photos(count, size):
        for number in range(count):
            read.append(number)
            yield StreamedPhoto(str(number), bytes(size))

    for size, held in ((1, 5), (30, 3), (200, 0)):
        read.clear()
        order = []
        for done, photo in enumerate(shuffled(photos(50, size), np.random.default_rng(0)), 1):
            order.append(int(photo.name))
            assert len(read) - done <= held
        assert sorted(order) == list(range(50))
        assert (order != sorted(order)) == (held > 0)


def test_unusable_photos_are_named_and_left_out(pattern, tmp_path):
    write_tar(
        tmp_path / "002.tar",
        {"small.png": picture(7, (9, 9)), "broken.jpg": b"no picture", "good.png": picture(255)},
    )
    (tmp_path / "003.tar").write_text("no archive")
    found = {}
    seen = []
    for sample, rejected in itertools.islice(stream(pattern), 26):
        seen += levels([(sample, ())], 1)
        found |= {Path(photo.name).name: photo.reason for photo in rejected}
    assert sorted(seen[:13]) == sorted([*ALL[:8], *ALL[16:], 255])
    assert found == {
        "small.png": "9x9 px is below the crop size of 24 px",
        "broken.jpg": "the picture cannot be decoded",
        "003.tar": "it is no .tar, or it is damaged",
    }


@pytest.mark.parametrize("vanish", [True, False])
def test_a_stream_of_nothing_usable_ends(vanish, pattern, tmp_path):
    samples = stream(pattern)
    for path in tmp_path.glob("*.tar"):
        path.unlink() if vanish else write_tar(path, {"small.png": picture(7, (9, 9))})
    reason = "it is not there" if vanish else r"small\.png: 9x9 px is below"
    with pytest.raises(DataError, match=f"100 photos or shards in a row .*{reason}") as caught:
        next(iter(samples))
    assert "\n" not in str(caught.value)


# --- a store that is no disk


def test_shards_on_s3_are_streamed(pattern, tmp_path, monkeypatch):
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="photos")
        for shard in tmp_path.glob("*.tar"):
            client.upload_file(str(shard), "photos", f"set/{shard.name}")
        away = Path("s3://photos/set/{000..004}.tar")
        assert open_photos(away).names[0] == "s3://photos/set/000.tar/0_0.png"
        assert torch.equal(next(iter(stream(away)))[0], next(iter(stream(pattern)))[0])
        assert levels(stream(away), 20) == levels(stream(pattern), 20)
        with pytest.raises(DataError, match=r"s3://photos/set/5\.tar of photos .* not there"):
            open_photos("s3://photos/set/{0..5}.tar")
        with pytest.raises(DataError, match=r"s3://nothing/0\.tar of photos cannot be used"):
            open_photos("s3://nothing/0.tar")
    finally:
        server.stop()
