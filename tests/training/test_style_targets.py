"""Training from style targets, without the paintings."""

import shutil

import pytest
import tiny_runs

from impasto.cli.app import main
from impasto.errors import DataError, ResumeError, UsageError
from impasto.runtime.model_file import read_model_file
from impasto.training import export_style_targets, make_config, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.resume import resumed_config

pytestmark = pytest.mark.usefixtures("small_previews")

SETTINGS = tiny_runs.SETTINGS | {
    "octaves": 2,
    "network": "draft_refine",
    "width": 8,
    "refine_share": 0.0,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on two paintings that are gone, and the targets that were exported before."""
    folder = tmp_path_factory.mktemp("targets")
    paintings = [
        tiny_runs.write_painting(folder / "wave.png"),
        tiny_runs.write_painting(folder / "dunes.png", 300, 260),
    ]
    tiny_runs.write_photos(folder / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        train(config(folder, paintings, "painted"))
        with pytest.raises(SystemExit) as ended:
            main(["export", str(folder / "painted"), "--targets"])
    assert ended.value.code in (0, None)
    for painting in paintings:
        painting.unlink()
    return folder


def config(folder, paintings, output, **changed):
    return make_config(
        *paintings,
        photos=folder / "photos",
        validation_photos=folder / "photos",
        output=folder / output,
        **(SETTINGS | {"steps": 3} | changed),
    )


def targets(run):
    return run / "painted" / "wave.targets.safetensors"


def test_targets_train_as_the_paintings_do(run):
    model = train(config(run, [targets(run)], "again"))
    painted = read_model_file(run / "painted" / "wave.onnx")[1]
    again = read_model_file(model)[1]
    assert again.styles == painted.styles
    assert again.recipe["paintings"] == ["wave", "dunes"]
    ours, theirs = (load_checkpoint(run / name)[1]["references"] for name in ("again", "painted"))
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        for layer, values in other["style"].items():
            assert one["style"][layer] == pytest.approx(values, rel=1e-3)


@pytest.mark.usefixtures("no_export")
def test_such_a_run_is_resumed_and_exported_again(run):
    first = config(run, [targets(run)], "resumed", steps=2)
    train(first)
    resumed = resumed_config([targets(run)], {"output": first.run_folder, "steps": 3})
    train(resumed, resume=True)
    assert load_checkpoint(first.run_folder)[1]["step"] == 3
    with pytest.raises(SystemExit):
        main(["export", str(first.run_folder), "--targets"])
    written = first.run_folder / "wave.targets.safetensors"
    assert written.read_bytes() == targets(run).read_bytes()


def test_what_the_targets_lack_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match="is 48; the style targets are there at 32,64"):
        train(config(run, [targets(run)], tmp_path / "size", style_size_px=48))
    with pytest.raises(UsageError, match=r"holds the style at relu1_2, .* and not at relu3_1"):
        train(config(run, [targets(run)], tmp_path / "layer", style_layers=("relu3_1",)))
    other = shutil.copy(targets(run), tmp_path / "other.safetensors")
    given = config(run, [other], tmp_path / "gone")
    object.__setattr__(given, "paintings", (other / "sand",))
    with pytest.raises(DataError, match="holds no style 'sand', only wave, dunes"):
        train(given)


@pytest.mark.usefixtures("no_export")
def test_targets_of_another_picture_than_was_learned_are_refused(run, tmp_path):
    painting = tiny_runs.write_painting(tmp_path / "sea.png")
    made = config(run, [painting], tmp_path / "run", steps=1)
    train(made)
    tiny_runs.write_painting(painting, 300, 260)
    with pytest.raises(
        ResumeError, match=r"sea.png is not the painting that the run in .* learned"
    ):
        export_style_targets(made.run_folder, tmp_path / "sea.onnx")
    assert not (tmp_path / "sea.targets.safetensors").exists()


@pytest.mark.usefixtures("no_export")
def test_a_style_of_the_targets_keeps_its_dots(run, tmp_path):
    painting = tiny_runs.write_painting(tmp_path / "mr. bean.png")
    made = config(run, [painting], tmp_path / "run", steps=1)
    train(made)
    file = export_style_targets(made.run_folder, tmp_path / "bean.onnx")
    again = config(run, [file], tmp_path / "again", steps=1)
    assert again.model_name == "mr. bean"
