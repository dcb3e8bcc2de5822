import fsspec
import pytest

from impasto.cluster import storage
from impasto.errors import DataError, ImageReadError, OutputError, UsageError

NAMES = ["a.jpg", "b/c.PNG", "b/d/e.webp", "z.heic"]
OTHERS = ["notes.txt", ".hidden.jpg", "b/.thumbs/c.png", "out/a.jpg", "manifest.parquet"]


@pytest.fixture
def memory():
    """fsspec's file system in this process's memory, which is no object store to us."""
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()


def fill(place):
    for name in [*NAMES, *OTHERS]:
        storage.write(storage.join(place, name), name.encode())


@pytest.fixture(params=["disk", "memory", "s3"])
def place(request, tmp_path):
    """An empty folder of each kind."""
    if request.param == "disk":
        return str(tmp_path / "photos")
    request.getfixturevalue("memory" if request.param == "memory" else "bucket")
    return {"memory": "memory://photos", "s3": "s3://pictures/photos"}[request.param]


def test_pictures_are_listed_in_order_with_their_sizes(place):
    fill(place)
    entries = storage.list_pictures(place, skip=storage.join(place, "out"))
    assert entries == [(name, len(name)) for name in NAMES]
    assert "out/a.jpg" in dict(storage.list_pictures(place, skip="elsewhere"))


def test_what_another_process_wrote_meanwhile_is_seen(place):
    assert storage.existing(place, NAMES) == set()
    fill(place)
    assert storage.existing(place, [*NAMES, "missing.jpg"]) == set(NAMES)
    storage.write(storage.join(place, "missing.jpg"), b"there")
    assert storage.existing(place, ["missing.jpg"]) == {"missing.jpg"}


def test_files_come_back_as_they_were_written(place):
    photo = storage.join(place, "深 处/a #1 [x]?.jpg" if "://" in place else "深 处/a #1.jpg")
    storage.write(photo, b"old")
    storage.write(photo, b"new" * 100)
    assert storage.read(photo) == b"new" * 100
    with pytest.raises(ImageReadError, match=r"no such file: .*missing"):
        storage.read(storage.join(place, "missing.jpg"))


def test_whether_one_can_write_is_found_out_and_leaves_nothing(place):
    storage.check_writable(place)
    assert storage.existing(place, ["a.jpg"]) == set()
    assert storage.list_pictures(place, skip="elsewhere") == []


def test_a_place_where_one_cannot_write(tmp_path, s3_server):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write in .*file/below: "):
        storage.check_writable(str(tmp_path / "file" / "below"))
    with pytest.raises(OutputError, match=r"cannot write in s3://none/a: .*bucket.* not exist"):
        storage.check_writable("s3://none/a")


def test_outside_object_stores_a_file_gets_its_name_when_it_is_whole(memory, monkeypatch):
    storage.write("memory://photos/a.jpg", b"old")

    def full(path, data):
        memory.store["/photos/.impasto-half.jpg"] = data[:1]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory, "pipe_file", full)
    with pytest.raises(OutputError, match=r"memory://photos/a.jpg: No space left on device"):
        storage.write("memory://photos/a.jpg", b"new")
    assert storage.read("memory://photos/a.jpg") == b"old"


def test_no_temporary_file_stays(memory, monkeypatch):
    monkeypatch.setattr(memory, "mv", lambda *_: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OutputError, match="gone"):
        storage.write("memory://photos/a.jpg", b"new")
    assert list(memory.store) == []


def test_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert storage.resolve("a/../b/") == str(tmp_path / "b")
    assert storage.resolve((tmp_path / "b").as_uri()) == str(tmp_path / "b")
    assert storage.resolve("s3://bucket/a/") == "s3://bucket/a"
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert storage.same(str(tmp_path / "link"), str(tmp_path / "b"))
    assert not storage.same("s3://bucket/a", "s3://bucket/b")


@pytest.mark.parametrize(
    ("given", "message"),
    [("", "a folder's name is empty"), ("s3://", "s3:// names no folder: it takes a form such")],
)
def test_names_that_mean_nothing(given, message):
    with pytest.raises(UsageError, match=message):
        storage.resolve(given)


def test_urls_that_nothing_here_reads():
    with pytest.raises(UsageError, match=r"cannot use warp://a: Protocol not known: warp"):
        storage.list_pictures("warp://a", skip="")
    with pytest.raises(UsageError, match=r"cannot use gs://a: .*nstall gcsfs"):
        storage.existing("gs://a", [])


def test_a_source_that_is_no_folder(tmp_path, s3_server):
    with pytest.raises(DataError, match=r"missing is no folder: give the folder"):
        storage.list_pictures(str(tmp_path / "missing"), skip="")
    assert storage.list_pictures("s3://none/a", skip="") == []
