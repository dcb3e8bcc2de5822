"""Adding a style to a model that is there."""

import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import tiny_runs
import torch
from PIL import Image
from tiny_models import SPECS

from impasto.data import open_photos
from impasto.errors import ModelError, UsageError
from impasto.export import export_network, load_weights, save_weights
from impasto.networks.blocks import is_style_table
from impasto.runtime.metadata import ModelMetadata, StyleEntry
from impasto.runtime.model_file import read_model_file
from impasto.runtime.stylizer import StyleModel
from impasto.training import make_config, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.recipes import default_start
from impasto.training.style_task import StyleTask

pytestmark = pytest.mark.usefixtures("small_previews")

SPEC = replace(SPECS["draft_refine"], parameter_sets=4)
NAMES = ["sea", "sand", "sky"]


def write_model(folder, spec=SPEC, **changed):
    """A model of three styles and an identity, whose weights are random."""
    folder.mkdir()
    torch.manual_seed(2)
    network = spec.build()
    for part in (network.draft, network.refine):
        torch.nn.init.normal_(part.style_parameters.table, 1.0, 1.0)
    sha256 = save_weights(network, folder / "old.safetensors")
    stated = {
        "styles": tuple(StyleEntry(name, name.title(), "5a" * 32) for name in NAMES),
        "strength": "identity",
        "recipe": {"style_size_px": 64},
        "working_px": 64,
        "halo_px": spec.halo_px,
    }
    metadata = ModelMetadata(
        min_size_px=spec.min_size_px,
        network=spec.to_dict(),
        weights_sha256=sha256,
        **(stated | changed),
    )
    export_network(network, metadata, folder / "old.onnx")
    return folder / "old.onnx"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "old")


@pytest.fixture(scope="module")
def adding(pictures, old):
    """Settings of a tiny run that adds a painting to the model."""
    settings = {k: v for k, v in tiny_runs.SETTINGS.items() if k != "style_size_px"}

    def make(output, painting=pictures / "wave.png", **changed):
        return make_config(
            painting,
            photos=pictures / "photos",
            validation_photos=pictures / "photos",
            output=output,
            **({"add_to": old, "refine_share": 0.0} | settings | changed),
        )

    return make


@pytest.fixture(scope="module")
def added(adding, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        return train(adding(tmp_path_factory.mktemp("added") / "run", steps=12))


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (41, 50, 3), np.uint8)


def test_old_styles_stay_bit_for_bit(old, added, photo):
    before, after = StyleModel(old), StyleModel(added)
    for name in NAMES:
        for strength in (1.0, 0.4):
            results = [
                m.with_blend({name: 1.0}).paint(photo, strength=strength) for m in (before, after)
            ]
            np.testing.assert_array_equal(*results)


def test_only_the_new_rows_are_learned(old, added):
    before, after = (load_weights(p.with_suffix(".safetensors")).state_dict() for p in (old, added))
    for name, value in before.items():
        if is_style_table(name):
            assert torch.equal(value, after[name][1:])
        else:
            assert torch.equal(value, after[name])
    table, rows = after["draft.style_parameters.table"], before["draft.style_parameters.table"]
    nearest = min((table[0] - row).abs().max() for row in rows[:3])
    assert 0 < nearest < 0.5  # steps of a hundredth, from one of the old styles


def test_the_refine_network_learns_the_new_row_too(old, adding, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.training.style_task.REFERENCE_CROPS", 2)
    photos = tiny_runs.write_photos(tmp_path / "photos", 2, height=200, width=220)
    changed = {"steps": 2, "refine_share": 0.5, "refine_photos": photos}
    model = train(adding(tmp_path / "run", **changed))
    before, after = (load_weights(p.with_suffix(".safetensors")) for p in (old, model))
    rows = before.refine.style_parameters.table
    table = after.refine.style_parameters.table
    assert torch.equal(table[1:], rows)
    assert min((table[0] - row).abs().max() for row in rows[:3]) > 0
    assert torch.equal(before.refine.stem.weight, after.refine.stem.weight)


def test_the_new_style_comes_first(old, added, photo):
    metadata = read_model_file(added)[1]
    before = read_model_file(old)[1]
    assert [style.name for style in metadata.styles] == ["wave", *NAMES]
    assert metadata.styles[1:] == before.styles
    assert metadata.strength == "identity"
    assert metadata.recipe["started_from"] == before.weights_sha256
    assert "add_to" not in metadata.recipe
    model = StyleModel(added)
    assert model.name == "wave"
    assert (model.paint(photo) != StyleModel(old).paint(photo)).mean() > 0.1


def test_a_second_style_is_added_to_the_first(added, adding, tmp_path):
    painting = tiny_runs.write_painting(tmp_path / "dunes.png")
    model = train(adding(tmp_path / "run", painting, add_to=added, steps=1))
    assert [s.name for s in read_model_file(model)[1].styles] == ["dunes", "wave", *NAMES]


def test_with_the_trunk_the_new_style_is_alone(old, adding, tmp_path):
    model = train(adding(tmp_path / "run", steps=3, train_trunk=True))
    metadata = read_model_file(model)[1]
    assert [style.name for style in metadata.styles] == ["wave"]
    assert metadata.parameter_sets == 2
    before, after = (load_weights(p.with_suffix(".safetensors")).state_dict() for p in (old, model))
    draft = {k: v for k, v in after.items() if k.startswith("draft.")}
    moved = [(before[k] - v).abs().max().item() for k, v in draft.items() if not is_style_table(k)]
    assert min(moved) > 0
    assert max(moved) < 0.02
    (table,) = filter(is_style_table, draft)
    identity = (before[table][-1] - after[table][-1]).abs().max().item()
    assert 0 < identity < 0.1


def begun(config, old):
    photos = open_photos(config.photos)
    task = StyleTask(config, photos, photos, torch.device("cpu"))
    network = config.network.build()
    task.begin(network)
    before = load_weights(old.with_suffix(".safetensors"))
    return [
        (part.style_parameters.table, former.style_parameters.table)
        for part, former in ((network.draft, before.draft), (network.refine, before.refine))
    ]


@pytest.mark.parametrize("number", range(3))
def test_a_painting_begins_at_the_nearest_style(number, old, adding, pictures, tmp_path):
    # What a style makes of a photo is nearer to itself than to the others.
    photo = np.asarray(Image.open(pictures / "photos" / "photo1.png"))
    result = StyleModel(old).with_blend({NAMES[number]: 1.0}).paint(photo)
    Image.fromarray(result).save(tmp_path / "new.png")
    for table, before in begun(adding(tmp_path / "run", tmp_path / "new.png"), old):
        assert torch.equal(table[0], before[number])
        assert torch.equal(table[1:], before)


def test_a_painting_of_a_known_name_begins_at_its_style(old, adding, tmp_path):
    painting = tiny_runs.write_painting(tmp_path / "sky.png")
    for table, before in begun(adding(tmp_path / "run", painting, train_trunk=True), old):
        assert torch.equal(table, before[2:])


@pytest.mark.usefixtures("no_export")
def test_a_run_goes_on_without_the_model(old, adding, added, tmp_path):
    model = tmp_path / "model" / "old.onnx"
    shutil.copytree(old.parent, model.parent)

    def stop(report):
        if report.step == 5:
            signal.raise_signal(signal.SIGINT)

    config = adding(tmp_path / "run", add_to=model, steps=12)
    train(config, on_step=stop)
    assert load_checkpoint(config.run_folder)[1]["step"] == 6
    shutil.rmtree(model.parent)
    train(config, resume=True)
    ours, straight = (
        load_checkpoint(folder)[0]["averaged"] for folder in (config.run_folder, added.parent)
    )
    assert all(torch.equal(value, straight[name]) for name, value in ours.items())


def test_plain_training_adds_to_the_shipped_styles(monkeypatch, old, pictures):
    monkeypatch.setattr("impasto.training.recipes.default_start", lambda: old)
    painting = pictures / "wave.png"
    config = make_config(painting)
    assert config.add_to == old
    assert [style.name for style in config.kept_styles] == NAMES
    assert config.max_time_s == 600
    assert make_config(painting, steps=3).max_time_s is None
    for given in (
        {"from_scratch": True},
        {"preset": "released"},
        {"network": "draft_refine"},
        {"width": 8},
        {"recipe": {}},
    ):
        scratch = make_config(painting, **given)
        assert scratch.add_to is None
        assert scratch.kept_styles == ()


def test_the_default_is_the_shipped_model_of_many_styles(monkeypatch, old):
    style = type("Style", (), {"path": old})
    monkeypatch.setattr("impasto.training.recipes.shipped_styles", lambda: (style, style))
    assert default_start() == old
    monkeypatch.setattr("impasto.training.recipes.shipped_styles", tuple)
    assert default_start() is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"network": "draft_refine"}, "--add-to and --network contradict each other"),
        ({"width": 8}, "--add-to and --width contradict each other"),
        ({"preset": "paper"}, "--add-to and --preset contradict each other"),
        ({"from_scratch": True}, "--add-to and --from-scratch contradict each other"),
        ({"style_size_px": 100}, "--style-size-px is 100; .* has 64: leave it out"),
        (
            {"add_to": None, "from_scratch": True, "train_trunk": True},
            "--train-trunk needs a model to begin with",
        ),
    ],
)
def test_contradictions_are_refused(changed, words, adding, tmp_path):
    with pytest.raises(UsageError, match=words):
        adding(tmp_path, **changed)


def test_a_style_of_the_same_name_is_refused(adding, tmp_path):
    with pytest.raises(UsageError, match="holds a style 'sand' already: give the painting's file"):
        adding(tmp_path, tmp_path / "sand.png")


def test_models_that_cannot_be_added_to_are_refused(old, adding, tmp_path):
    with pytest.raises(ModelError, match="no such model file"):
        adding(tmp_path, add_to=tmp_path / "none.onnx")
    alone = shutil.copy(old, tmp_path / "alone.onnx")
    with pytest.raises(ModelError, match=r"the plain weights of .* are missing: .*alone\.safe"):
        adding(tmp_path, add_to=alone)
    alone.with_suffix(".safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match="are not the weights of"):
        adding(tmp_path, add_to=alone)
    sizeless = write_model(tmp_path / "sizeless", recipe={})
    with pytest.raises(ModelError, match="does not state the size of its paintings"):
        adding(tmp_path, add_to=sizeless)


def test_a_network_of_one_style_is_refused(adding, tmp_path, trained_alone):
    with pytest.raises(
        UsageError, match="its network holds one style, --network draft_refine holds many"
    ):
        adding(tmp_path, add_to=trained_alone)


@pytest.fixture(scope="module")
def trained_alone(tiny_config, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        return train(tiny_config(tmp_path_factory.mktemp("alone") / "run", steps=1))


def test_another_model_than_planned_is_refused(old, adding, tmp_path):
    config = adding(tmp_path / "run")
    object.__setattr__(config, "started_from", "00" * 32)
    with pytest.raises(ModelError, match="is not the model that the run was planned with"):
        train(config)
