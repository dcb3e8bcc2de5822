from pathlib import Path

import pytest

from impasto.cli.plan import make_plan
from impasto.errors import UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def touch(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return touch


def planned(inputs, output=None):
    plan = make_plan([Path(name) for name in inputs], output, "ink")
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


def test_current_folder(here, tmp_path):
    here("a.jpg")
    (target,) = planned(["."]).values()
    assert Path(target).resolve() == tmp_path.parent / f"{tmp_path.name}.ink" / "a.jpg"


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
    plan = make_plan([Path("empty"), Path("missing.jpg")], "out", "ink")
    assert [str(error) for _, error in plan.failures] == ["no pictures in folder empty"]
    assert [job.source.name for job in plan.jobs] == ["missing.jpg"]
