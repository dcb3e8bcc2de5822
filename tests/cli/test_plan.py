import os
from pathlib import Path

import pytest

from impasto.cli.plan import Job, make_plan
from impasto.errors import DataError, UsageError
from impasto.images.opening import READABLE


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def touch(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return touch


def planned(inputs, output=None, **settings):
    plan = make_plan(inputs, output, "ink", **settings)
    return {job.source.as_posix(): job.target.as_posix() for job in plan.jobs}


def test_default_names(here):
    here("a.jpg", "sub/b.JPEG", "c.gif", "照片 1.webp")
    assert planned(["a.jpg"]) == {"a.jpg": "a.ink.jpg"}
    assert planned(["sub/b.JPEG", "c.gif", "照片 1.webp"]) == {
        "sub/b.JPEG": "sub/b.ink.JPEG",
        "c.gif": "c.ink.png",
        "照片 1.webp": "照片 1.ink.webp",
    }


def test_output_file_and_folder(here):
    here("a.jpg", "out/old.png")
    assert planned(["a.jpg"], "b.png") == {"a.jpg": "b.png"}
    assert planned(["a.jpg"], "new/") == {"a.jpg": "new/a.jpg"}
    assert planned(["a.jpg"], "out") == {"a.jpg": "out/a.jpg"}


def test_folders_keep_their_structure(here):
    here("photos/a.jpg", "photos/sub/b.png", "more/a.jpg")
    assert planned(["photos"]) == {
        "photos/a.jpg": "photos.ink/a.jpg",
        "photos/sub/b.png": "photos.ink/sub/b.png",
    }
    assert planned(["photos"], "out") == {
        "photos/a.jpg": "out/a.jpg",
        "photos/sub/b.png": "out/sub/b.png",
    }
    assert planned(["photos", "more"], "out")["more/a.jpg"] == "out/more/a.jpg"


def test_names_without_an_ending_and_with_unusual_ones(here):
    here("photo", "a.b/photo", "a.jpe", "b.JFIF", "c.hif", "p/d.jfif")
    assert planned(["photo"]) == {"photo": "photo.ink.png"}
    assert planned(["photo"], file_format="JPEG") == {"photo": "photo.ink.jpg"}
    assert planned(["photo"], "out/") == {"photo": "out/photo.png"}
    assert planned(["a.b/photo", "a.jpe", "b.JFIF", "c.hif"]) == {
        "a.b/photo": "a.b/photo.ink.png",
        "a.jpe": "a.ink.jpg",
        "b.JFIF": "b.ink.jpg",
        "c.hif": "c.ink.jpg",
    }
    assert planned(["p"]) == {"p/d.jfif": "p.ink/d.jpg"}


@pytest.mark.parametrize("name", [".", "..", "p/.."])
def test_folders_by_their_places(here, tmp_path, monkeypatch, name):
    here("a.jpg", "p/q/b.jpg")
    folder = tmp_path
    if name == "..":
        monkeypatch.chdir("p")
    targets = [Path(target).resolve() for target in planned([name]).values()]
    assert targets[0] == folder.with_name(f"{folder.name}.ink") / "a.jpg"


@pytest.mark.skipif(os.name != "posix", reason="links need a permission elsewhere")
def test_a_linked_folder_goes_by_the_link_s_name(here):
    here("disk/2024/a.jpg")
    Path("photos").symlink_to("disk/2024")
    assert planned(["photos"]) == {"photos/a.jpg": "photos.ink/a.jpg"}
    assert planned(["photos", "disk"], "out") == {"photos/a.jpg": "out/photos/a.jpg"}


def test_results_inside_the_input_folder_are_not_painted_again(here):
    here("photos/a.jpg", "photos/out/a.jpg")
    assert planned(["photos"], "photos/out") == {"photos/a.jpg": "photos/out/a.jpg"}


def test_no_two_inputs_share_an_output(here):
    here("p/x.jpg", "q/x.jpg", "r/X.JPG", "p/y.gif", "p/y.png", "p/y.jp2")
    targets = planned(["p/x.jpg", "q/x.jpg", "r/X.JPG", "p/y.png", "p/y.gif", "p/y.jp2"], "out")
    assert list(targets.values()) == [
        "out/x.jpg",
        "out/x.2.jpg",
        "out/X.3.JPG",
        "out/y.png",
        "out/y.gif.png",
        "out/y.jp2.png",
    ]


def test_the_same_input_twice_is_one_job(here):
    here("p/x.jpg")
    assert len(planned(["p/x.jpg", "p", "p/../p/x.jpg"], "out")) == 1


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (["a.jpg"], "a.jpg"),
        (["a.jpg"], "./"),
        (["p"], "p"),
        (["a.jpg", "p/b.jpg"], "p"),
        (["a.jpg"], "link.jpg"),
    ],
)
def test_an_input_is_never_an_output(here, inputs, output):
    here("a.jpg", "p/b.jpg")
    Path("link.jpg").hardlink_to("a.jpg")
    with pytest.raises(UsageError, match="would be overwritten"):
        planned(inputs, output)


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["a.jpg"], "result", "or in / for a folder"),
        (["a.jpg"], "result.xyz", "must end in one of"),
        (["a.jpg", "p"], "file.png", "need a folder"),
        (["p"], "file.png", "need a folder"),
    ],
)
def test_outputs_that_do_not_fit(here, inputs, output, message):
    here("a.jpg", "p/b.jpg", "file.png")
    with pytest.raises(UsageError, match=message):
        planned(inputs, output)


def test_empty_and_missing_inputs(here):
    here("empty/notes.txt")
    plan = make_plan(["empty", "missing.jpg"], "out", "ink")
    assert [str(error) for _, error in plan.failures] == [
        f"no pictures in folder empty (readable: {READABLE})"
    ]
    assert [job.source.name for job in plan.jobs] == ["missing.jpg"]


def test_a_format_changes_every_name(here):
    here("a.jpg", "p/b.JPEG", "p/c.gif", "p/c.png")
    assert planned(["a.jpg"], file_format="PNG") == {"a.jpg": "a.ink.png"}
    assert planned(["a.jpg"], file_format="JPEG") == {"a.jpg": "a.ink.jpg"}
    assert planned(["p"], "out", file_format="JPEG") == {
        "p/b.JPEG": "out/b.JPEG",
        "p/c.gif": "out/c.jpg",
        "p/c.png": "out/c.png.jpg",
    }
    assert planned(["a.jpg"], "x.TIF", file_format="TIFF") == {"a.jpg": "x.TIF"}
    with pytest.raises(UsageError, match=r"-o x\.png and --format tiff contradict"):
        planned(["a.jpg"], "x.png", file_format="TIFF")


def test_pipes(here):
    here("a.jpg", "-", "p/b.jpg")
    for inputs, output, job in [
        (["-"], None, Job(None, None)),
        (["-"], "-", Job(None, None)),
        (["-"], "x.png", Job(None, Path("x.png"))),
        (["a.jpg"], "-", Job(Path("a.jpg"), None)),
        (["./-"], "x.jpg", Job(Path("-"), Path("x.jpg"))),
    ]:
        plan = make_plan(inputs, output, "ink")
        assert (plan.jobs, plan.single) == ([job], True)


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["-", "a.jpg"], "out", "- stands for one picture"),
        (["-", "-"], None, "- stands for one picture"),
        (["a.jpg", "b.jpg"], "-", "- stands for one picture"),
        (["p"], "-", "p is a folder"),
        (["-"], "p", "no name to go into p"),
        (["-"], "new/", "no name to go into new/"),
        (["-"], "new", "must end in one of"),
        ([""], None, "empty"),
        (["a.jpg", ""], "out", "empty"),
        (["a.jpg"], "", "empty"),
    ],
)
def test_pipes_and_names_that_cannot_be(here, inputs, output, message):
    here("a.jpg", "b.jpg", "p/b.jpg")
    with pytest.raises(UsageError, match=message):
        make_plan(inputs, output, "ink")


def test_what_else_is_read_is_never_an_output(here):
    here("a.jpg", "mask.png")
    Path("link.png").hardlink_to("mask.png")
    for inputs, output in [(["a.jpg"], "mask.png"), (["-"], "mask.png"), (["a.jpg"], "link.png")]:
        with pytest.raises(UsageError, match="would be overwritten"):
            make_plan(inputs, output, "ink", also_read=[Path("mask.png"), Path("missing.png")])


def test_names_too_long_for_the_disk_are_left_to_reading_and_writing(here):
    name = "长" * 100 + ".jpg"
    assert planned([name]) == {name: "长" * 100 + ".ink.jpg"}
    assert planned([name], "x" * 300 + "/") == {name: "x" * 300 + f"/{name}"}


def test_folders_that_cannot_be_read_or_have_nothing_beside_them(here, monkeypatch):
    here("p/a.jpg", "b.jpg")
    with pytest.raises(UsageError, match="no folder beside it for the results: give -o"):
        make_plan([Path.cwd().anchor], None, "ink")

    def refuse(folder, skip):
        raise DataError(f"cannot read folder {folder}: Permission denied")

    monkeypatch.setattr("impasto.cli.plan.iterate_pictures", refuse)
    plan = make_plan(["p", "b.jpg"], "out", "ink")
    assert [path for path, _ in plan.failures] == [Path("p")]
    assert [job.source for job in plan.jobs] == [Path("b.jpg")]


@pytest.mark.skipif(os.name != "posix", reason="links need a permission elsewhere")
def test_a_link_to_itself_is_left_to_reading_and_writing(here):
    here("a.jpg", "p/b.jpg")
    Path("p/loop.jpg").symlink_to("loop.jpg")
    assert planned(["p"]) == {"p/b.jpg": "p.ink/b.jpg", "p/loop.jpg": "p.ink/loop.jpg"}
    assert planned(["a.jpg"], "p/loop.jpg") == {"a.jpg": "p/loop.jpg"}
