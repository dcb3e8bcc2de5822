from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

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
    "other",
    ["s3a://pictures/photos", "s3://pictures/photos/", "simplecache::s3a://pictures/photos"],
)
def test_one_store_has_several_names(bucket, other):
    place = "s3://pictures/photos"
    assert storage.same(place, other)
    assert not storage.same(place, f"{other.rstrip('/')}/out")
    assert not storage.same(place, f"{other.rstrip('/')}2")
    for name in ("a.jpg", "out/b.jpg", "out2/c.jpg"):
        storage.write(storage.join(place, name), b"0")
    listed = storage.list_pictures(place, skip=storage.join(other.rstrip("/"), "out"))
    assert [entry.name for entry in listed] == ["a.jpg", "out2/c.jpg"]


def test_disks_have_several_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for name in ("a.jpg", "out/b.jpg"):
        (tmp_path / name).touch()
    here = str(tmp_path)
    assert storage.resolve(f"local://{here}") == here
    assert storage.resolve("local://out") == str(tmp_path / "out")
    assert storage.same(here, f"simplecache::file://{here}/out/..")
    listed = storage.list_pictures(here, skip=f"simplecache::file://{here}/out")
    assert [entry.name for entry in listed] == ["a.jpg"]


def test_two_machines_are_two_places(monkeypatch):
    def filesystem(url):
        host, _, path = url.partition("://")[2].partition("/")
        return SimpleNamespace(protocol=("sftp", "ssh"), storage_options={"host": host}), f"/{path}"

    monkeypatch.setattr(storage, "_filesystem", filesystem)
    assert storage.same("sftp://one/photos", "ssh://one/a/../photos")
    assert not storage.same("sftp://one/photos", "sftp://two/photos")


# --- names that are no paths


STRANGE = ["/home/u/x.jpg", "./h.jpg", "a//b.jpg", "C:/g.jpg", "e\\..\\..\\f.jpg"]


def test_names_of_a_store_are_read_as_they_are_and_written_below_a_folder(bucket, tmp_path):
    for name in [*STRANGE, "../c.jpg", "a/../../d.jpg"]:
        bucket.pipe_file(f"pictures/photos/{name}", name.encode())
    place = "s3://pictures/photos"
    names = [entry.name for entry in storage.list_pictures(place, skip="elsewhere")]
    assert sorted(names) == sorted(STRANGE)  # a name with ".." is hidden
    for name in names:
        assert storage.read(storage.join(place, name)) == name.encode()
        target = Path(storage.join(str(tmp_path), storage.relative(name).as_posix()))
        assert tmp_path in target.parents
        assert ".." not in target.parts


@pytest.mark.parametrize("name", [*STRANGE, "C:g.jpg", "//host/share/i.jpg", "..\\..\\j.jpg"])
def test_windows_sees_other_paths_in_them(name, monkeypatch):
    monkeypatch.setattr(storage, "PurePath", PureWindowsPath)
    path = storage.relative(name)
    assert (path.anchor, ".." in path.parts) == ("", False)
    assert path.name == name.replace("\\", "/").rpartition("/")[2].removeprefix("C:")
    storage.join("D:/out", path.as_posix())
    if name.startswith(("C:", "..", "e", "/")):
        with pytest.raises(DataError, match="does not lie below D:/out"):
            storage.join("D:/out", name)


@pytest.mark.parametrize("name", ["/home/x.jpg", "../x.jpg", "a/../../x.jpg"])
def test_no_name_leads_out_of_a_folder(name, tmp_path):
    with pytest.raises(DataError, match=r"x.jpg does not lie below .*: give it another name"):
        storage.join(str(tmp_path), name)
    if ".." in name:
        with pytest.raises(DataError, match="does not lie below s3://bucket/a"):
            storage.join("s3://bucket/a", name)


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
